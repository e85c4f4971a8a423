"""Known pins: Ratchet wrote them, or git's store has them. An edited pin is refused by name.

A pin decides which data a model learns from. `ingest` checks that the files fit the pin. This module checks that a run
wrote the pin: by a list of hashes in the state folder, and by git, where every run stores its whole tree.
"""

import hashlib
import json
from pathlib import Path

from flows.project import git, whole_files
from flows.project.environment import Project
from pipelines.errors import IntegrityError
from pipelines.readers import sources

MOST = 1000  # hashes that are kept, the newest


def note(project: Project, model: str) -> None:
    """Note the current pin as written by us."""
    path = sources.pin_path(model)
    if path.exists() and (digest := _hash(path)) not in (known := _noted(project, model) or []):
        _write(project, model, [*known, digest][-MOST:])


def check(project: Project, model: str) -> None:
    """Raises IntegrityError if the pin was neither noted nor is in git's store."""
    path, known = sources.pin_path(model), _noted(project, model)
    if not path.exists():
        return
    if known is None or _hash(path) in known or _in_git(project, path):
        note(project, model)
        return
    raise IntegrityError(
        f"{path} was changed after `ratchet run` wrote it, and no commit has this content. It may name other data than "
        "the pinned ones.",
        f"Bring it back with `git checkout -- {path}` or `ratchet restore {model}`. Or delete it: then the next run "
        "pins the current content of the source.",
    )


def _in_git(project: Project, path: Path) -> bool:
    """Whether git's store has this very content."""
    name = git.ask(project.root, "hash-object", "--", str(path))
    return bool(name) and git.run(project.root, "cat-file", "-e", name).returncode == 0


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _file(project: Project, model: str) -> Path:
    return project.state / f"pins-{model}.json"


def _noted(project: Project, model: str) -> list[str] | None:
    """None if nothing was ever noted, or it can no longer be read."""
    try:
        return list(json.loads(_file(project, model).read_text(encoding="utf-8"))["pins"])
    except (OSError, ValueError, KeyError):
        return None


def _write(project: Project, model: str, digests: list[str]) -> None:
    whole_files.write(_file(project, model), json.dumps({"format": 1, "pins": digests}))
