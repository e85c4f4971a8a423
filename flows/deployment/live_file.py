"""live.json: what is live of a model on this machine, for the processes that answer rows. They read nothing else.

    <state>/serving/<model>/live.json              replaced as a whole
    <state>/serving/<model>/versions/<folder>/     the files of a version; a folder that is there is complete

This module imports little: a process that only watches should stay small.
"""

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flows.project import private_files
from flows.project.environment import Project

FORMAT = 1
NUMBERED = re.compile(r"versions/([0-9]+)-")  # the folder of a version


@dataclass(frozen=True)
class Live:
    """The content of live.json (docs/reference/state.md). version: None if there is no champion."""

    model: str
    version: int | None = None
    model_hash: str = ""
    artifact_hash: str = ""
    serving_hash: str | None = None  # None: no serving files were recorded for this version
    runtime: str = ""  # onnx or keras
    why: str = ""  # why not onnx
    folder: str = ""  # of its files, relative to the folder of live.json
    files_hash: str = ""  # SHA-256 of files.json in it
    since: str = ""  # the instant of the line of the ledger that made it champion
    line: int = 0  # the number of that line
    problem: str = ""  # why this is not what it should be
    serve: dict[str, Any] = field(default_factory=dict)  # the section `serve` of the YAML
    sensitive: list[str] = field(default_factory=list)
    previous: str = ""  # the folder that was live before: a process may still read it
    format: int = FORMAT

    @property
    def unmade(self) -> bool:
        """Whether a version is live for which no serving files were made yet."""
        return self.version is not None and self.serving_hash is None


def place(project: Project, model: str) -> Path:
    """The folder of a model's state."""
    return project.state / "serving" / model


def read(project: Project, model: str) -> Live | None:
    """None if there is none, or none that this version can read: then it is written anew."""
    try:
        content = json.loads((place(project, model) / "live.json").read_text(encoding="utf-8"))
        found = Live(**content)
    except (OSError, ValueError, TypeError):
        return None
    return found if found.format == FORMAT and found.model == model else None


def write(project: Project, found: Live) -> None:
    """Replace the file. It is only written if something differs, so that a reader need not load again."""
    if read(project, found.model) != found:
        place(project, found.model).mkdir(mode=0o700, parents=True, exist_ok=True)
        private_files.write(place(project, found.model) / "live.json", asdict(found))


def models(project: Project) -> list[str]:
    """The models with a state folder, by name."""
    return sorted(path.parent.name for path in (project.state / "serving").glob("*/live.json"))


def versions(project: Project, model: str) -> set[int]:
    """The versions that are live, or were live before: a server may still answer with them."""
    found = read(project, model)
    if found is None:
        return set()
    before = NUMBERED.match(found.previous)
    return {number for number in (found.version, int(before[1]) if before else None) if number is not None}
