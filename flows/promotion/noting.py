"""Notes in MLflow of a decision in the ledger: decision.json of the run, tags and descriptions of run and version."""

from flows.promotion import waiting
from flows.records.ledger import Line
from flows.registry.model_registry import ModelVersion
from flows.tracking import annotate, training_cost
from flows.tracking.mlflow_runs import MlflowClient
from pipelines import visible_text


def words(store: MlflowClient, version: ModelVersion, line: Line) -> None:
    """Only what has come of a version, where the line is no verdict of the gate."""
    for name, value in {"decision": line.action, "reason": visible_text.line(line.reason)[:5000]}.items():
        store.set_model_version_tag(version.name, version.version, f"ratchet.{name}", value)


def note(store: MlflowClient, version: ModelVersion, line: Line) -> None:
    """Write the decision on run and version: decision.json, and tags for the tables. The line's number goes last."""
    facts = line.facts
    content = {key: getattr(line, key) for key in ("format", "at", "reason", "version", "reference", "decision_key")}
    content |= {"decision": line.action, "line": line.sequence, "line_hash": line.hash}
    content |= {"champion_before": line.from_version, "champion": line.to_version}
    store.log_dict(facts["run_id"], content | facts, "decision.json")
    annotate.numbers(store, facts["run_id"], line)
    judged = {"decision": line.action, "reason": line.reason, "looks": facts["looks"], "against": line.from_version}
    judged |= {"next": waiting.advice(line)} if line.action == "waits" else {}
    annotate.on_run(store, facts["run_id"], version.name, int(version.version), judged)
    annotate.on_version(store, version, line)
    tags = {"ratchet.decision": line.action, "ratchet.reason": visible_text.line(line.reason)[:5000]}
    if line.action == "accepted":
        training_cost.note(store, facts["run_id"])
    for name, value in tags.items():
        store.set_tag(facts["run_id"], name, value)
    for name, value in (tags | {"ratchet.decided_at": line.at, "ratchet.decision_line": str(line.sequence)}).items():
        store.set_model_version_tag(version.name, version.version, name, value)
