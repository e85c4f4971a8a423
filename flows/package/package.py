"""Package: a folder that serves one version by itself, whole or not there at all."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.package import folder, registered
from flows.project import whole_files
from flows.project.environment import Project
from flows.project.locks import Notice
from pipelines.config import settings
from pipelines.errors import RequestError

ELSEWHERE = "Name another folder, or ask for the right to write there."
READABLE = (0o755, 0o644)  # of folders and files, for the user of an image; the package itself is its owner's alone


@dataclass(frozen=True)
class Wanted:
    """folder: a whole path. version: None for the champion."""

    model: str
    folder: Path
    version: int | None = None


def package(project: Project, wanted: Wanted, notice: Notice) -> dict[str, Any]:
    """The object that `ratchet package --json` prints. Raises RequestError, IntegrityError."""
    start = time.monotonic()
    settings.check_name(wanted.model)
    check_place(wanted.folder)
    with (
        registered.ready(project, wanted.model, wanted.version, notice) as version,
        whole_files.partial(wanted.folder, ELSEWHERE) as target,
    ):
        folder.check_onnx(version)
        target.mkdir(mode=0o700)
        manifest = folder.fill(target, project.root, version)
        _open(target)
        _put(target, wanted.folder)
    sizes = [path.stat().st_size for path in wanted.folder.rglob("*") if path.is_file()]
    return {
        "format": 1,
        **{key: manifest[key] for key in ("model", "version", "model_hash", "serving_hash")},
        "folder": str(wanted.folder),
        "files": len(sizes),
        "bytes": sum(sizes),
        "seconds": round(time.monotonic() - start, 3),
    }


def check_place(place: Path) -> None:
    """Raises RequestError for a place that is taken, or cannot be."""
    if place.is_symlink() or (place.exists() and not place.is_dir()):
        raise RequestError(f"{place} is there, and is no folder.", "Name a folder that is new or empty.")
    if place.is_dir() and any(place.iterdir()):
        raise RequestError(f"The folder {place} is not empty.", "Name one that is new or empty, or remove it first.")
    if not place.parent.is_dir():
        raise RequestError(f"There is no folder {place.parent} to write {place.name} in.", "Make it first.")


def _open(target: Path) -> None:
    """Let others read what is inside, whatever this process's umask."""
    for path in target.rglob("*"):
        path.chmod(READABLE[0] if path.is_dir() else READABLE[1])


def _put(target: Path, place: Path) -> None:
    """Give the whole folder its name. Raises RequestError if another one has got it meanwhile."""
    check_place(place)
    os.rename(target, place)  # an empty folder is replaced
