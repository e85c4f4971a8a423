"""When a model was watched last, and what could not be looked at then."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from flows.labels import store
from flows.project import private_files
from flows.project.environment import Project
from flows.records.ledger import Line

SOON = timedelta(minutes=15)  # in which a tick does not look again, if nothing but answers came


@dataclass(frozen=True)
class Last:
    """at: an instant in UTC. line: of the ledger, the newest one; labels: the newest file of them, or ""."""

    at: str
    line: int = 0
    labels: str = ""
    problems: list[str] = field(default_factory=list)
    format: int = 1


def of(project: Project, model: str) -> Last | None:
    try:
        return Last(**json.loads(_path(project, model).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def note(project: Project, model: str, now: datetime, lines: list[Line], problems: list[str]) -> None:
    """Write down that it was watched."""
    path = _path(project, model)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = Last(now.isoformat(), lines[-1].sequence if lines else 0, _labels(project, model), problems)
    private_files.write(path, asdict(found))


def soon(project: Project, model: str, now: datetime, lines: list[Line]) -> bool:
    """Whether a look now would see nothing but a few more answers of the same day."""
    found = of(project, model)
    if found is None or found.problems:
        return False
    at, line = datetime.fromisoformat(found.at), lines[-1].sequence if lines else 0
    same = (at.date(), found.line, found.labels) == (now.date(), line, _labels(project, model))
    return same and timedelta(0) <= now - at < SOON


def _labels(project: Project, model: str) -> str:
    found = store.parts(project.state, model)
    return found[-1].path.name if found else ""


def _path(project: Project, model: str) -> Path:
    return project.state / "watch" / model / "last.json"
