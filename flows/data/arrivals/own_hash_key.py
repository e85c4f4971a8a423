"""The key for hashed columns: made once for a clone, in its state folder, and named in a model's YAML."""

import secrets

from flows.project import private_files
from flows.project.environment import Project
from pipelines.errors import IntegrityError, SettingsError
from pipelines.ingest import Ingest
from pipelines.readers import hash_key


def check(project: Project, model: str, ingest: Ingest) -> None:
    """Whether the key that a model's columns are hashed with is here.

    Raises SettingsError with the line to write if the YAML names no key, and makes one if there is none; IntegrityError
    if another key lies here, or others could read it.
    """
    if not ingest.hashes:
        return
    path, own = hash_key.path(), project.state / hash_key.NAME
    if path == own and not path.exists() and not ingest.hash_key:
        private_files.make(path, secrets.token_hex(hash_key.BYTES))
    if path == own and path.exists() and (problem := private_files.wrong(path)):
        raise IntegrityError(
            f"{path} {problem}: it is the key of hashed columns.", f"Give it to this user alone: chmod 600 {path}"
        )
    if not ingest.hash_key:
        named = hash_key.fingerprint(hash_key.read(path))
        raise SettingsError(
            f"models/{model}.yaml hashes {', '.join(map(repr, ingest.hashes))}, and does not say with which key.",
            f"Write `hash_key: {named}` under `ingest:`: this names the key in {path}. Keep a copy of it, but not in "
            f"the repository. Another machine finds it by {hash_key.VARIABLE}.",
        )
    hash_key.of(ingest.hash_key, ingest.hashes)
