"""Status: every model, its champion, and its last decision."""

import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import requests

from flows.data.arrivals import unended
from flows.deployment import live_file
from flows.monitoring import events
from flows.monitoring import last as watch_before
from flows.project import locks
from flows.project.environment import Project
from flows.promotion import approving, champion_alias, waiting
from flows.records import attempts, ledger
from flows.records.attempts import Tick
from flows.records.champion_state import JUDGED, Standing, stand
from flows.records.ledger import Ledger, Line
from flows.records.persons.approvals import Wait
from flows.registry import model_registry
from flows.registry.model_registry import ModelVersion
from flows.run import rhythm
from flows.schedule import control
from flows.servers import lifecycle, prefect_login
from flows.tracking import mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient
from pipelines.config import settings
from pipelines.errors import RatchetError, SettingsError
from pipelines.ingest import Ingest
from pipelines.sections.schedule import Schedule


def status(project: Project) -> dict[str, Any]:
    """One entry for each model of models/, by name."""
    served, coming = control.running(project), _coming(project)
    with mlflow_runs.reachable(project):
        store, book = mlflow_runs.client(project), ledger.of(project)
        models = [_entry(store, book, model) | _ticking(project, model, served, coming) for model in settings.models()]
    models = [entry | {"live": _live(project, entry)} for entry in models]
    about = {"format": 1, "scheduler": served, "login": lifecycle.login(project), "answering": _answering(project)}
    return about | {"models": models}


def _answering(project: Project) -> dict[str, str]:
    """The addresses of the server that answers rows and of its pages, where they are up."""
    running = lifecycle.recorded(project)
    return {name: running[name].url for name in lifecycle.ANSWERING if name in running}


def _entry(store: MlflowClient, book: Ledger, model: str) -> dict[str, Any]:
    """The champion is that of the registry, because it is served; `problem` says if the ledger disagrees."""
    champion = model_registry.champion(store, model)
    lines, problem = champion_alias.compare(store, book, model)
    last = next((line for line in reversed(lines) if line.action in JUDGED), None)
    tags, standing = champion.tags if champion else {}, stand(lines)
    return {
        "model": model,
        "champion": int(champion.version) if champion else None,
        "metrics": json.loads(tags.get("ratchet.metrics", "{}")),
        "constant": json.loads(tags.get("ratchet.constant", "{}")),
        "age": age(champion) if champion else None,
        "data_hash": tags.get("ratchet.data_hash", ""),
        "version": last.version if last else None,
        "decision": last.action if last else "",
        "reason": last.reason if last else "",
        "next": waiting.advice(last) if last and _waits(last, standing) else "",
        "approvals": [_approval(wait) for wait in standing.approvals.waiting.values()],
        "decided_at": last.at if last else "",
        "because": last.facts.get("because", "") if last else "",
        "moved": _by_hand(standing.moved, last),
        "worn": last.facts.get("worn", "") if last else "",
        "reference": standing.reference,
        "held": standing.held is not None,
        "event": events.word([kind for kind, _ in events.open_now(lines)]),
        "events": [events.told(line) for line in events.open_now(lines).values()],
        "problem": problem,
    }


def _live(project: Project, entry: dict[str, Any]) -> dict[str, Any] | None:
    """What is live on this machine; None if nothing was ever made live. `problem` says why it is not the champion."""
    found = live_file.read(project, entry["model"])
    if found is None:
        return None
    champion = entry["champion"]
    late = f"version {champion} is champion, and not live yet" if found.version != champion else ""
    told = {name: getattr(found, name) for name in ("version", "since", "variant", "runtime", "why")}
    return told | {"problem": found.problem or entry["problem"] or late}


def _by_hand(moved: Line | None, judged: Line | None) -> dict[str, Any] | None:
    """How a person moved the champion after the gate's last decision: by a rollback, or a promotion by hand."""
    if moved is None or moved.action == "accepted" or (judged and judged.sequence > moved.sequence):
        return None
    about = {"action": moved.action, "from": moved.from_version, "to": moved.to_version}
    return about | {"reason": moved.reason, "actor": moved.actor, "at": moved.at}


def _waits(last: Line, standing: Standing) -> bool:
    """Whether its version still waits: a person may have promoted it since."""
    if waiting.of_persons(last):
        return last.version in standing.approvals.waiting
    return last.action == "waits" and standing.champion != last.version


def _approval(wait: Wait) -> dict[str, Any]:
    """A version that waits for persons. `state`: waits, approved or expired; the next run concludes the last two."""
    state = "approved" if wait.enough else "expired" if wait.expired(datetime.now(UTC)) else "waits"
    return approving.content(wait) | {"state": state}


def _ticking(project: Project, model: str, served: dict[str, Any], coming: dict[str, str]) -> dict[str, Any]:
    """The schedule (the served one, if there is one), the next run, and the last tick."""
    lines = attempts.read(project, model)
    last = attempts.last(lines, lambda tick: tick.outcome != "began")
    return {
        "schedule": served["models"].get(model, "") if served else _declared(model),
        "next_run": coming.get(model, "") if served else "",
        "tick": last.outcome if last else "",
        "tick_reason": last.reason if last else "",
        "tick_at": last.at if last else "",
        "refused": _attempt(attempts.refusal(lines)),
        "failed": _attempt(attempts.failure(lines)),
        "waiting": _waiting(project, model),
        "unwatched": watched.problems if (watched := watch_before.of(project, model)) else [],
        "running": bool(lines) and lines[-1].outcome == "began" and f"model-{model}" in locks.held(project),
    }


def _attempt(tick: Tick | None) -> dict[str, str] | None:
    return {"at": tick.at, "reason": tick.reason, "data": tick.data} if tick else None


def _waiting(project: Project, model: str) -> list[str]:
    """Files that have arrived and wait, in words; none of a model whose file is broken: that is told elsewhere."""
    with suppress(RatchetError):
        return unended.told(project, settings.parse(model, "ingest", settings.read(model).get("ingest"), Ingest))
    return []


def _declared(model: str) -> str:
    """The schedule in a model's YAML, in words; for a broken file the error, so that other models are still shown."""
    try:
        rules = settings.parse(model, "schedule", settings.read(model).get("schedule"), Schedule)
        rhythm.check(model, rules)
        return rules.words
    except SettingsError as error:
        return f"not scheduled: {error}"


def _coming(project: Project) -> dict[str, str]:
    """The time of each model's next run, from Prefect; {} if its server is not up."""
    running = lifecycle.recorded(project)
    if not project.prefect and "prefect" not in running:
        return {}
    wanted = {"tags": {"all_": [project.clone]}, "state": {"type": {"any_": ["SCHEDULED"]}}}
    body: Any = {"flow_runs": wanted, "sort": "NEXT_SCHEDULED_START_TIME_ASC", "limit": 200}
    found: dict[str, str] = {}
    try:
        api = project.prefect or running["prefect"].api
        login = prefect_login.of_requests(project)
        for run in requests.post(f"{api}/flow_runs/filter", json=body, auth=login, timeout=10).json():
            found.setdefault(run["parameters"].get("model", ""), run["next_scheduled_start_time"])
    except (requests.RequestException, ValueError, KeyError, TypeError):  # also an answer that is an error object
        return {}
    return found


def age(version: ModelVersion) -> int:
    """Seconds since a version was registered."""
    return max(0, int(time.time() - version.creation_timestamp / 1000))
