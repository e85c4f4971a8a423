"""Notifications that a run failed, was rejected or promoted.

There is always an event in Prefect, `ratchet.run.<what>`, for automations. RATCHET_WEBHOOK, an address, gets the same
as JSON by POST; RATCHET_HOOK, a command, gets it on standard input (flows/report/receivers/hooks.py). A hook that fails
does not fail the run.
"""

from collections.abc import Callable
from typing import Any

from prefect.events import emit_event

from flows.project import environment
from flows.project.environment import Project
from flows.report.receivers import hooks
from pipelines import visible_text

TOLD = {"accepted": "promoted", "rejected": "rejected", "failed": "failed", "refused": "failed"}


def tell(project: Project, content: dict[str, Any], notice: Callable[[str], None]) -> None:
    """content: at least `model`, `outcome` and `reason`. notice: called with errors."""
    what = TOLD.get(content["outcome"])
    if what is None:
        return
    body = {"format": 1, "what": what, **visible_text.every(content)}
    resource = {"prefect.resource.id": f"ratchet.model.{content['model']}", "prefect.resource.name": content["model"]}
    emit_event(f"ratchet.run.{what}", resource=resource, payload=body)
    for name, target in environment.hooks().items():
        if wrong := hooks.send(project, name, target, body):
            notice(wrong)
