"""The key for the hashes of sensitive values: a file of the state folder that only its user may read."""

import secrets
from pathlib import Path

from flows.project import private_files
from pipelines.errors import IntegrityError

NAME = "answers-key"
BYTES = 32


def of(state: Path) -> bytes:
    """The key, made at the first call. Raises IntegrityError if others could read or change it, or if it is none."""
    path = state / NAME
    if not path.exists():
        private_files.make(path, secrets.token_hex(BYTES))
    if problem := private_files.wrong(path):
        raise IntegrityError(
            f"{path} {problem}: it is the key of hashed values in the log.",
            f"Give it to this user alone (chmod 600), or move it away: then hashes begin anew with another key. {path}",
        )
    try:
        found = bytes.fromhex(path.read_text(encoding="ascii"))
    except ValueError:
        found = b""
    if len(found) != BYTES:
        raise IntegrityError(f"{path} holds no key.", "Restore it, or move it away: then hashes begin anew.")
    return found
