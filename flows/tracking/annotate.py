"""Shows a decision on MLflow's own pages: numbers beside the test metrics, and descriptions of run and version.

A description by a person stays. Writing the same again changes nothing.
"""

from typing import Any

from flows.records.ledger import Line
from flows.registry.model_registry import ModelVersion
from flows.tracking import mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient
from pipelines.safety import markdown

NOTE = "mlflow.note.content"  # the description of a run
OURS = "gate: "  # the beginning of our descriptions
MOST = 4900  # characters of a description


def numbers(store: MlflowClient, run_id: str, line: Line) -> None:
    """Log gate/gain, gate/low, gate/high against the champion of that time, in the unit of the gate's metric; and
    privacy/membership_*, what the model gives away of its training rows.

    `step` is the number of the line in the ledger, because a run may be judged again.
    """
    for look in line.facts["looks"]:
        if look["what"] == "champion" and look["gain"] is not None:
            found = {f"gate/{key}": float(f"{look[key]:.6g}") for key in ("gain", "low", "high")}  # as a page shows it
            mlflow_runs.log_step(store, run_id, found, line.sequence)
    if given := line.facts.get("membership"):
        names = {"advantage": "membership_advantage", "low": "membership_low", "high": "membership_high"}
        found = {f"privacy/{name}": float(f"{given[key]:.6g}") for key, name in names.items()}
        mlflow_runs.log_step(store, run_id, found, line.sequence)


def on_run(store: MlflowClient, run_id: str, model: str, version: int, answer: dict[str, Any]) -> None:
    """Describe a run. answer: decision, reason, looks, `against`: the champion of that time, if any, and `next`: what a
    person can do, if there is something."""
    parts = [_sentence(answer["decision"], answer["reason"])]
    if "next" in answer:
        parts.append(f"Next: {answer['next']}.")
    if answer["looks"]:
        parts.append(
            markdown.table(
                [
                    {"looked at": look["what"], "verdict": look["verdict"], "what was found": look["said"]}
                    for look in answer["looks"]
                ]
            )
        )
    if answer["against"] not in (None, version):
        parts.append(f"Side by side: `ratchet compare {model} {answer['against']} {version}`")
    text = "\n\n".join(parts)
    if _is_ours(store.get_run(run_id).data.tags.get(NOTE)):
        store.set_tag(run_id, NOTE, text if len(text) <= MOST else f"{text[:MOST]} ...")


def on_version(store: MlflowClient, version: ModelVersion, line: Line) -> None:
    """Describe a version in one sentence, for the list of versions."""
    if _is_ours(store.get_model_version(version.name, version.version).description):
        text = _sentence(line.action, line.reason)
        store.update_model_version(version.name, version.version, description=text[:MOST])


def _is_ours(text: str | None) -> bool:
    return not text or text.startswith(OURS)


def _sentence(decision: str, reason: str) -> str:
    return f"{OURS}{decision}: {markdown.told(reason)}."
