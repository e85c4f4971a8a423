"""Notifications that a run failed, was rejected or promoted, or that its version waits for approval.

There is always an event in Prefect, `ratchet.run.<what>`, for automations. RATCHET_WEBHOOK, an address, gets the same
as JSON by POST; RATCHET_HOOK, a command, gets it on standard input (flows/report/receivers/hooks.py). A hook that fails
does not fail the run.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prefect.events import emit_event

from flows.project import environment, private_files
from flows.project.environment import Project
from flows.report.receivers import hooks
from pipelines import visible_text

TOLD = {
    "accepted": "promoted", "promoted": "promoted", "waits": "waits", "rejected": "rejected", "expired": "expired",
    "failed": "failed", "refused": "failed",
}  # fmt: skip


def tell(project: Project, content: dict[str, Any], notice: Callable[[str], None]) -> None:
    """content: at least `model`, `outcome` and `reason`. notice: called with errors."""
    what = TOLD.get(content["outcome"])
    waits = content.get("approval")
    if what is None or (what == "waits" and (not waits or _heard(project, content["model"]) == waits["line"])):
        return  # what waits for a commit is the matter of whoever edits
    body = {"format": 1, "what": what, **visible_text.every(content)}
    resource = {"prefect.resource.id": f"ratchet.model.{content['model']}", "prefect.resource.name": content["model"]}
    emit_event(f"ratchet.run.{what}", resource=resource, payload=body)
    for wrong in to_hooks(project, body):
        notice(wrong)
    if waits:
        private_files.write(_place(project, content["model"]), {"format": 1, "line": waits["line"]})


def to_hooks(project: Project, body: dict[str, Any]) -> list[str]:
    """Give a body to both; returns why that failed, if it did."""
    return [wrong for name, to in environment.hooks().items() if (wrong := hooks.send(project, name, to, body))]


def said(project: Project, answer: dict[str, Any], notice: Callable[[str], None]) -> None:
    """What a person has said of a version that waits, by a command: for both hooks. answer: of approving.approve."""
    told = {key: answer[key] for key in ("model", "reason", "version", "champion", "approval", "person")}
    what = TOLD.get(answer["action"], answer["action"])
    for wrong in to_hooks(
        project, {"format": 1, "what": what, "outcome": answer["action"], **visible_text.every(told)}
    ):
        notice(wrong)


def _heard(project: Project, model: str) -> int | None:
    """The line of the ledger by which a version waits, and of which was told last."""
    try:
        return int(json.loads(_place(project, model).read_text(encoding="utf-8"))["line"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _place(project: Project, model: str) -> Path:
    return project.state / f"approval-{model}.json"
