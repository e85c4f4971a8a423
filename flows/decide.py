"""Decide: judge a published version, move the alias or say why not, and keep the decision.

A decision is known by what it was about: candidate, champion, test rows and the promote section. Made once, it is
not made again; an alias that a crash kept from following is moved by the next run.
"""

import hashlib
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mlflow.entities.model_registry import ModelVersion
from mlflow.tracking import MlflowClient

from flows import promote, registry, tracking
from flows.environment import Project
from flows.made import Made
from flows.promote import Decision, Scored
from flows.publish import Published
from flows.rescore import rescore
from pipelines.declaration import Declaration


def decide(project: Project, declared: Declaration, found: Made, published: Published) -> dict[str, Any]:
    """Returns decision (accepted, rejected or unchanged), reason, and the champion's version afterwards."""
    store, model = tracking.client(project), declared.model
    version = store.get_model_version(model, str(published.version))
    champion = registry.champion(store, model)
    name = f"version {version.version}"
    if champion is not None and champion.tags.get("ratchet.model_hash") == found.model_hash:
        return _answer("unchanged", f"{name} is the champion already", champion)
    key = _key(declared, found, champion)
    if version.tags.get("ratchet.decision_key") == key:
        decision, reason = version.tags["ratchet.decision"], version.tags["ratchet.reason"]
        if decision == "rejected":
            return _answer("unchanged", f"nothing has changed since {name} was rejected: {reason}", champion)
        store.set_registered_model_alias(model, registry.CHAMPION, str(version.version))
        return _answer(decision, reason, version)
    candidate = Scored(name, found.model_hash, found.test_hash, found.metrics)
    verdict = promote.decide(declared.promote, candidate, _scored(store, declared, found, champion))
    word = "accepted" if verdict.accepted else "rejected"
    _record(store, version, published.run_id, word, verdict, key, candidate, champion)
    if verdict.accepted:
        store.set_registered_model_alias(model, registry.CHAMPION, str(version.version))
    return _answer(word, verdict.reason, version if verdict.accepted else champion)


def _answer(decision: str, reason: str, champion: ModelVersion | None) -> dict[str, Any]:
    return {"decision": decision, "reason": reason, "champion": int(champion.version) if champion else None}


def _key(declared: Declaration, found: Made, champion: ModelVersion | None) -> str:
    against = champion.tags.get("ratchet.model_hash") if champion else None
    about = [against, found.model_hash, found.test_hash, declared.raw["promote"]]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _scored(store: MlflowClient, declared: Declaration, found: Made, champion: ModelVersion | None) -> Scored | None:
    """The champion on the candidate's test rows: its recorded metrics if they are of these rows, else scored again."""
    if champion is None:
        return None
    name, model_hash = f"version {champion.version}", champion.tags.get("ratchet.model_hash", "")
    metrics = json.loads(champion.tags.get("ratchet.metrics", "{}"))
    if champion.tags.get("ratchet.test_hash") != found.test_hash or declared.promote.metric not in metrics:
        with tempfile.TemporaryDirectory(prefix="ratchet-champion-") as temporary:
            metrics = rescore(registry.fetch(store, champion, Path(temporary)), declared.model)
    return Scored(name, model_hash, found.test_hash, metrics)


def _record(
    store: MlflowClient,
    version: ModelVersion,
    run_id: str,
    word: str,
    verdict: Decision,
    key: str,
    candidate: Scored,
    champion: ModelVersion | None,
) -> None:
    """On the run and on the version. The key goes last: with it the decision counts as made."""
    at = datetime.now(UTC).isoformat(timespec="seconds")
    content = {
        "format": 1,
        "decision": word,
        "reason": verdict.reason,
        "at": at,
        "version": int(version.version),
        "metrics": candidate.metrics,
        "test_hash": candidate.test_hash,
        "champion_before": int(champion.version) if champion else None,
    }
    store.log_dict(run_id, content, "decision.json")
    tags = {"decision": word, "reason": verdict.reason, "decided_at": at, "decision_key": key}
    for name, value in tags.items():
        store.set_model_version_tag(version.name, str(version.version), f"ratchet.{name}", value)
        if name != "decision_key":
            store.set_tag(run_id, f"ratchet.{name}", value)
