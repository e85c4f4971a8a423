"""Status: every model, its champion, and what was decided last."""

import json
import time
from typing import Any

from flows import ledger, moves, registry, tracking
from flows.environment import Project
from flows.ledger import Ledger
from flows.registry import ModelVersion
from flows.standing import JUDGED, stand
from flows.tracking import MlflowClient
from pipelines import settings

UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def status(project: Project) -> dict[str, Any]:
    """One entry for each model of models/, by name."""
    with tracking.reachable(project):
        store, book = tracking.client(project), ledger.of(project)
        return {"format": 1, "models": [_entry(store, book, model) for model in settings.models()]}


def _entry(store: MlflowClient, book: Ledger, model: str) -> dict[str, Any]:
    """The champion is the registry's, which is what is served; `problem` says if the ledger has another."""
    champion, lines = registry.champion(store, model), book.lines(model)
    last = next((line for line in reversed(lines) if line.action in JUDGED), None)
    tags, standing = champion.tags if champion else {}, stand(lines)
    return {
        "model": model,
        "champion": int(champion.version) if champion else None,
        "metrics": json.loads(tags.get("ratchet.metrics", "{}")),
        "age": age(champion) if champion else "",
        "data_hash": tags.get("ratchet.data_hash", ""),
        "version": last.version if last else None,
        "decision": last.action if last else "",
        "reason": last.reason if last else "",
        "decided_at": last.at if last else "",
        "reference": standing.reference,
        "held": standing.held is not None,
        "problem": moves.problem(store, model, lines),
        "schedule": _schedule(model),
    }


def age(version: ModelVersion) -> str:
    """How long ago a version was registered, in its largest unit: "3 d"."""
    seconds = max(0.0, time.time() - version.creation_timestamp / 1000)
    unit, size = next((entry for entry in UNITS if seconds >= entry[1]), UNITS[-1])
    return f"{seconds // size:.0f} {unit}"


def _schedule(model: str) -> str:
    schedule = settings.read(model).get("schedule") or {}
    return f"{schedule['cron']} {schedule.get('timezone', 'UTC')}" if schedule.get("cron") else "none"
