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
    beside: dict[str, Any] | None = None  # the version on trial: the fields of Beside
    trial_line: int = 0  # the number of the newest line that may have changed that; 0 for none
    variant: str = ""  # the smaller form of the version that answers, such as int8; "" for the version itself
    variant_model: str = ""  # the model_hash of that form, where it has no ONNX file
    parent: str | None = None  # of a smaller form: the serving_hash of the version's own files
    form_line: int = 0  # the number of the newest line that may have changed in which form a version answers
    format: int = FORMAT

    @property
    def newest(self) -> int:
        """The number of the newest line of the ledger that this follows."""
        return max(self.line, self.trial_line, self.form_line)

    @property
    def folders(self) -> set[str]:
        """Those that a process may read, relative to the folder of live.json."""
        return {self.folder, self.previous, self.beside["folder"] if self.beside else ""} - {""}

    @property
    def unmade(self) -> bool:
        """Whether a version is live for which no serving files were made yet."""
        return self.version is not None and self.serving_hash is None

    @property
    def own_hash(self) -> str | None:
        """The serving_hash of the version's own files, whichever form of it answers."""
        return self.parent if self.variant else self.serving_hash


@dataclass(frozen=True)
class Beside:
    """A version that answers beside the champion. role to key are its own fields, the others are as in Live."""

    version: int
    model_hash: str
    artifact_hash: str
    serving_hash: str | None
    runtime: str
    why: str
    folder: str
    files_hash: str
    sensitive: list[str]
    role: str  # shadow, canary or before
    since: str  # the instant of the line of the ledger that put it there
    line: int  # the number of that line
    share: float = 1.0  # of the callers that a canary answers
    key: list[str] = field(default_factory=list)  # the columns of a row that name a caller
    variant: str = ""
    variant_model: str = ""
    parent: str | None = None


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
    """The versions that are live, were live before or are on trial: a server may still answer with them."""
    found = read(project, model)
    named = [NUMBERED.match(folder) for folder in found.folders] if found else []
    return {int(number[1]) for number in named if number}
