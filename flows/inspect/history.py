"""History: every decision about a model's champion, from the ledger; or who was champion at an instant."""

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from flows.project.environment import Project
from flows.promotion import champion_alias
from flows.records import ledger
from flows.records.champion_state import stand
from flows.tracking import mlflow_runs
from pipelines.config import settings
from pipelines.errors import IntegrityError, RequestError


def history(project: Project, model: str, at: str) -> dict[str, Any]:
    """All lines, or with `at` (an instant with a time zone) the champion at that time. Raises RequestError."""
    name = settings.check_name(model)
    instant = _instant(at) if at else None
    book = ledger.of(project)
    lines = book.lines(name)
    if not lines and name not in settings.models():
        wrong = f"There is no model {name!r}, neither in models/ nor in the ledger."
        raise RequestError(wrong, settings.suggestion(name))
    if instant is not None:
        if where := ledger.broken(lines):
            raise IntegrityError(f"The ledger of {name} is broken: {where}.", "So it cannot say who was champion.")
        champion = stand(lines, instant).champion
        return {"format": 1, "model": name, "at": instant.isoformat(), "champion": champion}
    with mlflow_runs.reachable(project):
        lines, problem = champion_alias.compare(mlflow_runs.client(project), book, name)
    shown = [asdict(line) | {"evidence": line.facts} for line in lines]
    return {"format": 1, "model": name, "problem": problem, "lines": shown}


def _instant(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise RequestError(f"--at {text!r} is not a date and time: write it as 2026-11-01T12:00Z.") from error
    if found.tzinfo is None:
        raise RequestError(f"--at {text!r} has no time zone: write it as {text}Z for UTC.")
    return found.astimezone(UTC)
