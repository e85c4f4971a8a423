"""Why a run begins: who asks for a model to be retrained, and how much is asked for."""

from dataclasses import dataclass

CHANGED = "ratchet.dataset.changed"  # the event that makes a model look for new data at once


@dataclass(frozen=True)
class RunRequest:
    trigger: str = "command"  # or schedule, page, event
    force: bool = True  # retrain though nothing is new
    reason: str = ""  # a person's
    data: str = ""  # the beginning of the hash of an earlier version of the data

    @property
    def by_hand(self) -> bool:
        return self.trigger == "command"

    @property
    def words(self) -> str:
        asked = "asked for by hand" if self.by_hand else f"forced from a {self.trigger}"
        return f"{asked}: {self.reason}" if self.reason else asked


def about(model: str) -> dict[str, str]:
    """The resource that the event names."""
    return {"prefect.resource.id": f"ratchet.dataset.{model}", "prefect.resource.name": f"the data of {model}"}


def of_deployment(force: bool, reason: str) -> RunRequest:
    """Inside of a flow: what its deployment's schedule, its automation or its page has asked for."""
    from prefect.context import FlowRunContext

    context = FlowRunContext.get()
    run = context.flow_run if context else None
    if run is None or run.deployment_id is None:  # somebody has called the function
        return RunRequest(reason=reason)
    made_by = (run.created_by.type or "") if run.created_by else ""
    trigger = "schedule" if run.auto_scheduled else "event" if made_by == "AUTOMATION" else "page"
    return RunRequest(trigger, force, reason)
