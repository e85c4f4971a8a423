"""live.json: which version of a model is live, as flows/deployment writes it."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.serving.version import Version
from pipelines.errors import IntegrityError

NAME = "live.json"
FORMAT = 1
MODEL = re.compile(r"[a-z][a-z0-9_]{0,99}")  # a name of a model
DO = "Upgrade the server, or promote the version again."


@dataclass(frozen=True)
class Beside:
    """The version that answers beside the champion. role: `shadow` and `before` answer unseen, `canary` some callers.
    key: the columns of a row that name a caller. content: live.json."""

    version: Version
    files_hash: str
    role: str
    share: float
    key: tuple[str, ...]
    content: dict[str, Any]


@dataclass(frozen=True)
class Told:
    """What live.json says. version: without its columns, which lie in its folder; None if there is no champion."""

    version: Version | None
    files_hash: str
    problem: str
    beside: Beside | None = None


@dataclass(frozen=True)
class Stamp:
    """By what a new live.json is told from the one before."""

    inode: int
    changed: int
    size: int


def models(folder: Path) -> list[str]:
    """The models that have a live.json. folder: `serving` of the state; it may be absent."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if MODEL.fullmatch(entry.name))
    except FileNotFoundError:
        return []
    return [name for name in names if (folder / name / NAME).is_file()]


def stamp(folder: Path) -> Stamp | None:
    """Of the live.json in a folder; None if none can be seen."""
    try:
        found = (folder / NAME).stat()
    except OSError:  # a folder that is not there, or that this user may not read
        return None
    return Stamp(found.st_ino, found.st_mtime_ns, found.st_size)


def read(folder: Path) -> Told:
    """folder: of a model. Raises IntegrityError for a file that is not what it should be."""
    path = folder / NAME
    try:
        return parsed(folder, json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise IntegrityError(f"{path} cannot be read: {type(error).__name__} {error}.", DO) from error


def parsed(folder: Path, found: dict[str, Any]) -> Told:
    """The content of the live.json of a model's folder. Raises IntegrityError, ValueError, KeyError, TypeError."""
    if found["format"] != FORMAT or found["model"] != folder.name:
        told = f"has the format {found['format']!r} for the model {found['model']!r}"
        raise IntegrityError(f"{folder / NAME} {told}.", DO)
    if found["version"] is None:
        return Told(None, "", str(found["problem"]))
    version = _version(folder, found)
    return Told(version, str(found["files_hash"]), str(found["problem"]), _beside(folder, found))


def _beside(folder: Path, found: dict[str, Any]) -> Beside | None:
    told = found.get("beside")
    if told is None:
        return None
    version = _version(folder, told | {"serve": found["serve"]})
    share, key = float(told["share"]), tuple(map(str, told["key"]))
    return Beside(version, str(told["files_hash"]), str(told["role"]), share, key, found)


def _version(folder: Path, found: dict[str, Any]) -> Version:
    place = (folder / found["folder"]).resolve()
    if not place.is_relative_to((folder / "versions").resolve()):
        raise IntegrityError(f"{folder / NAME} names a folder outside of versions/.", DO)
    return Version(
        model=folder.name,
        number=int(found["version"]),
        model_hash=str(found["model_hash"]),
        serving_hash=found["serving_hash"],
        runtime=str(found["runtime"]),
        why=str(found["why"]),
        since=str(found["since"]),
        folder=place,
        serve=dict(found["serve"]),
        sensitive=tuple(found["sensitive"]),
        columns={},
        variant=str(found.get("variant", "")),
        variant_model=str(found.get("variant_model", "")),
    )
