"""Decide: judge a published version, move the alias or say why not, and keep the decision.

A decision is known by what it was about: candidate, champion, test rows and the promote section. Made once, it is
not made again; an alias that a crash kept from following is moved by the next run.
"""

import hashlib
import json
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flows import promote, registry, tracking
from flows.environment import Project
from flows.made import Made, Published
from flows.promote import Scored
from flows.registry import ModelVersion
from flows.rescore import rescore
from flows.tracking import MlflowClient
from pipelines.declaration import Declaration


def decide(project: Project, declared: Declaration, found: Made, published: Published) -> dict[str, Any]:
    """Returns decision (accepted, rejected or unchanged), reason, and the champion's version afterwards."""
    store, model = tracking.client(project), declared.model
    version, champion = store.get_model_version(model, str(published.version)), registry.champion(store, model)
    candidate = Scored(f"version {version.version}", found.model_hash, found.test_hash, found.metrics)
    key = _key(declared, found, champion)
    if version.tags.get("ratchet.decision_key") == key:
        return _made_before(store, version, champion)
    verdict = promote.decide(declared.promote, candidate, _scored(store, declared, found, champion))
    itself = champion is not None and champion.tags.get("ratchet.model_hash") == found.model_hash
    if itself and verdict.accepted:
        answer = _answer("unchanged", f"{candidate.name} is the champion already", champion)
        if published.fresh:
            _note(store, published.run_id, answer, candidate)
        return answer
    answer = _answer("accepted" if verdict.accepted else "rejected", verdict.reason, champion)
    _note(store, published.run_id, answer, candidate)
    _record(store, version, answer, key)
    if verdict.accepted:
        store.set_registered_model_alias(model, registry.CHAMPION, str(version.version))
        return answer | {"champion": int(version.version)}
    return answer


def _made_before(store: MlflowClient, version: ModelVersion, champion: ModelVersion | None) -> dict[str, Any]:
    """The decision that is on record; an alias that did not follow it is moved now."""
    decision, reason = version.tags["ratchet.decision"], version.tags["ratchet.reason"]
    if decision == "rejected":
        return _answer(
            "unchanged", f"nothing has changed since version {version.version} was rejected: {reason}", champion
        )
    store.set_registered_model_alias(version.name, registry.CHAMPION, str(version.version))
    return _answer(decision, reason, version)


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


def _note(store: MlflowClient, run_id: str, answer: dict[str, Any], candidate: Scored) -> None:
    """The decision on the run: tags for the table, decision.json for whoever wants to know more."""
    content = {"format": 1, **answer, "candidate": asdict(candidate), "at": _now()}
    store.log_dict(run_id, content, "decision.json")
    for name in ("decision", "reason"):
        store.set_tag(run_id, f"ratchet.{name}", answer[name])


def _record(store: MlflowClient, version: ModelVersion, answer: dict[str, Any], key: str) -> None:
    """The decision on the version. The key goes last: with it the decision counts as made."""
    tags = {"decision": answer["decision"], "reason": answer["reason"], "decided_at": _now(), "decision_key": key}
    for name, value in tags.items():
        store.set_model_version_tag(version.name, str(version.version), f"ratchet.{name}", value)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
