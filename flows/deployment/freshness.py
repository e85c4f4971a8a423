"""Whether what is live is what it should be: as the ledger says, as the YAML says, and unchanged.

This module imports no MLflow: a command asks here before it imports that.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.compression import chosen
from flows.deployment import live_file
from flows.deployment.live_file import Live
from flows.project.environment import Project
from flows.records import ledger
from flows.records.beside import Beside
from flows.records.champion_state import Standing, stand
from flows.records.ledger import Line
from pipelines.config import settings
from pipelines.config.data import Data
from pipelines.errors import RequestError
from pipelines.model.predictor import file_hash
from pipelines.sections.labels import Labels
from pipelines.sections.serve import Canary, Serve

FILES = "files.json"  # in the folder of a version: the SHA-256 of each other file
NO_LOG = {"log": False}  # where nobody knows what the YAML wants


def fresh(project: Project, model: str, lines: Sequence[Line] | None = None) -> bool:
    """Whether live.json says what the ledger says, without a problem, and the files of the version are there.

    lines: of the ledger, if they were read already. The alias is not asked: that takes MLflow.
    """
    found = live_file.read(project, model)
    if found is None:
        return False
    lines = ledger.of(project).lines(model) if lines is None else lines
    standing = stand(lines)
    if standing.champion is None:
        return found.version is None
    if found.version != standing.champion or found.problem:
        return False
    moved = standing.moved.sequence if standing.moved else 0
    wanted = wishes(model, found)
    same = (found.line, found.serve) == (moved, wanted.serve) and set(wanted.sensitive) <= set(found.sensitive)
    if not same or not trial_fresh(found, standing) or not form_fresh(found, standing, lines):
        return False
    named = [(found.folder, found.files_hash)]
    named += [(found.beside["folder"], found.beside["files_hash"])] if found.beside else []
    return all(_listed(live_file.place(project, model) / folder) == digest for folder, digest in named)


def form_fresh(found: Live, standing: Standing, lines: Sequence[Line]) -> bool:
    """Whether live.json says what the ledger says of the forms in which versions answer."""
    if found.form_line != newest_form(lines) or not answers_as(found.version, found.variant, found, standing):
        return False
    told = found.beside
    return told is None or answers_as(told["version"], told.get("variant", ""), told, standing)


def answers_as(number: int | None, variant: str, found: Live | Mapping[str, Any], standing: Standing) -> bool:
    """Whether a version answers in the form that the ledger names. found: what live.json says of it."""
    wanted = chosen.of(standing, number)
    if wanted is None or not variant:
        return wanted is None and not variant
    told = found["serving_hash"] if isinstance(found, Mapping) else found.serving_hash
    return (variant, told) == (wanted.name, wanted.serving_hash)


def trial_fresh(found: Live, standing: Standing) -> bool:
    """Whether live.json says of a trial what the ledger says. found: with the champion, and today's `serve`."""
    wanted, told = on_trial(standing), found.beside
    if wanted is None or told is None:
        return wanted is told
    asked = {"version": wanted.version, "line": wanted.line, "role": wanted.role, **callers(wanted.role, found.serve)}
    named = {name: told.get(name) for name in asked}
    return named == asked and set(found.sensitive) <= set(told["sensitive"])


def on_trial(standing: Standing) -> Beside | None:
    """What answers beside the champion by the ledger; None without a champion, and where it is the champion."""
    wanted = standing.beside
    return wanted if wanted and standing.champion not in (None, wanted.version) else None


def newest_trial(lines: Sequence[Line]) -> int:
    """The number of the newest line that may have changed what answers beside the champion; 0 for none."""
    return max((line.sequence for line in lines if line.action in ledger.TRIALS), default=0)


def newest_form(lines: Sequence[Line]) -> int:
    """The number of the newest line that may have changed in which form a version answers; 0 for none."""
    return max((line.sequence for line in lines if line.action in ledger.FORMS), default=0)


def callers(role: str, serve: Mapping[str, Any]) -> dict[str, Any]:
    """Whom a version answers beside the champion: the share of the callers, and the columns that name one."""
    if role != "canary":
        return {"share": 1.0, "key": []}
    asked = Canary.model_validate(serve.get("canary") or {})
    return {"share": asked.share, "key": asked.key}


def complete(project: Project, found: Live) -> bool:
    """Whether every file of the live version is as it was written."""
    return whole(live_file.place(project, found.model), found.folder, found.files_hash)


def whole(place: Path, name: str, files_hash: str) -> bool:
    """Whether every file of a version is as it was written. name: of its folder, relative to `place`."""
    folder = place / name
    if not name or _listed(folder) != files_hash:
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
        serve = settings.parse(model, "serve", content.get("serve", {}), Serve)
        marked = settings.parse(model, "data", content.get("data"), Data)
        kept = settings.parse(model, "labels", content.get("labels", {}), Labels).logged(marked)
        kept = list(dict.fromkeys([*kept, *serve.logged(marked)]))
    except RequestError:
        return Wishes(before.serve if before else NO_LOG, before.sensitive if before else [])
    return Wishes(serve.model_dump() | {"kept": kept}, sorted(marked.sensitive))
