"""live.json: what is live of a model on this machine, for the processes that answer rows. They read nothing else.

    <state>/serving/<model>/live.json              replaced as a whole
    <state>/serving/<model>/versions/<folder>/     the files of a version; a folder that is there is complete

This module imports no MLflow: a command may ask whether anything is to be done before it imports that.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flows.project import private_files
from flows.project.environment import Project
from flows.records import ledger
from flows.records.champion_state import stand
from flows.records.ledger import Line
from pipelines import model_file
from pipelines.config import settings
from pipelines.config.data import Data
from pipelines.config.settings import FORMAT
from pipelines.errors import SettingsError
from pipelines.model.predictor import file_hash

FILES = "files.json"  # in the folder of a version: the SHA-256 of each other file
NO_LOG = {"log": False}  # where nobody knows what the YAML wants


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
        private_files.write(place(project, found.model) / "live.json", asdict(found))


def models(project: Project) -> list[str]:
    """The models with a state folder, by name."""
    return sorted(path.parent.name for path in (project.state / "serving").glob("*/live.json"))


def fresh(project: Project, model: str, lines: Sequence[Line] | None = None) -> bool:
    """Whether live.json says what the ledger says, without a problem, and the files of the version are there.

    lines: of the ledger, if they were read already. The alias is not asked: that takes MLflow.
    """
    found = read(project, model)
    if found is None or found.problem:
        return False
    standing = stand(ledger.of(project).lines(model) if lines is None else lines)
    if found.version != standing.champion:
        return False
    if found.version is None:
        return True
    moved = standing.moved.sequence if standing.moved else 0
    wanted = wishes(model, found)
    same = (found.line, found.serve, found.sensitive) == (moved, wanted.serve, wanted.sensitive)
    return same and _listed(place(project, model) / found.folder) == found.files_hash


def complete(project: Project, found: Live) -> bool:
    """Whether every file of the live version is as it was written."""
    folder = place(project, found.model) / found.folder
    if not found.folder or _listed(folder) != found.files_hash:
        return False
    return hashes(folder) == json.loads((folder / FILES).read_text(encoding="utf-8"))["files"]


def hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of a version's folder but the list itself, by its path."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / FILES)
    return {path.relative_to(folder).as_posix(): file_hash(path) for path in files}


def _listed(folder: Path) -> str:
    try:
        return hashlib.sha256((folder / FILES).read_bytes()).hexdigest()
    except OSError:
        return ""


@dataclass(frozen=True)
class Wishes:
    """What today's YAML says about serving. It may have changed since the version was trained."""

    serve: dict[str, Any]
    sensitive: list[str]


def wishes(model: str, before: Live | None) -> Wishes:
    """Of models/<model>.yaml. If that cannot be read: as before, or nothing is logged.

    A column that was sensitive when the version was trained stays so.
    """
    try:
        content = settings.read(model)
        kind = model_file.SECTIONS["serve"]
        serve = settings.parse(model, "serve", content.get("serve", {}), kind).model_dump()
        marked = settings.parse(model, "data", content.get("data"), Data)
    except SettingsError:
        return Wishes(before.serve if before else NO_LOG, before.sensitive if before else [])
    return Wishes(serve, sorted(marked.sensitive))
