"""Status: every model, its champion, and what was decided last."""

import json
import time
from typing import Any

from flows import registry, tracking
from flows.environment import Project
from flows.registry import ModelVersion
from flows.tracking import MlflowClient
from pipelines import settings

UNITS = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))


def status(project: Project) -> dict[str, Any]:
    """One entry for each model of models/, by name."""
    with tracking.reachable(project):
        store = tracking.client(project)
        return {"format": 1, "models": [_entry(store, model) for model in settings.models()]}


def _entry(store: MlflowClient, model: str) -> dict[str, Any]:
    champion = registry.champion(store, model)
    versions = [v for v in store.search_model_versions(f"name = '{model}'") if "ratchet.decided_at" in v.tags]
    last = max(versions, key=lambda version: version.tags["ratchet.decided_at"], default=None)
    tags = champion.tags if champion else {}
    return {
        "model": model,
        "champion": int(champion.version) if champion else None,
        "metrics": json.loads(tags.get("ratchet.metrics", "{}")),
        "age": age(champion) if champion else "",
        "data_hash": tags.get("ratchet.data_hash", ""),
        "version": int(last.version) if last else None,
        "decision": last.tags["ratchet.decision"] if last else "",
        "reason": last.tags["ratchet.reason"] if last else "",
        "decided_at": last.tags["ratchet.decided_at"] if last else "",
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
