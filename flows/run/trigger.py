"""The trigger of a run: who starts it, and what it should do."""

from dataclasses import dataclass

CHANGED = "ratchet.dataset.changed"  # the event that makes a model look for new data at once


@dataclass(frozen=True)
class RunRequest:
    trigger: str = "command"  # or schedule, page, event
    force: bool = True  # retrain although nothing is new
    reason: str = ""  # a person's
    data: str = ""  # the beginning of the hash of an earlier version of the data
    promote: bool = True  # whether the candidate may become champion
    started_by: str = ""  # the name of the person who has started it; "" where nobody has

    @property
    def by_hand(self) -> bool:
        return self.trigger == "command"

    @property
    def words(self) -> str:
        asked = "started by hand" if self.by_hand else f"forced from a {self.trigger}"
        return f"{asked}: {self.reason}" if self.reason else asked


def about(model: str) -> dict[str, str]:
    """The resource of the event."""
    return {"prefect.resource.id": f"ratchet.dataset.{model}", "prefect.resource.name": f"the data of {model}"}


def of_deployment(force: bool, reason: str) -> RunRequest:
    """Inside a flow: the request of its deployment's schedule, its automation or its page."""
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.deployment_id is None:  # somebody has called the function
        return RunRequest(reason=reason)
    made_by = (run.created_by.type or "") if run.created_by else ""
    trigger = "schedule" if run.auto_scheduled else "event" if made_by == "AUTOMATION" else "page"
    return RunRequest(trigger, force, reason)
