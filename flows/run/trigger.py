"""Asked: who wants a model to be retrained, and how much is asked for."""

from contextvars import ContextVar
from dataclasses import dataclass

CHANGED = "ratchet.dataset.changed"  # the event that makes a model look for news at once


@dataclass(frozen=True)
class Asked:
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


_by_hand: ContextVar[Asked | None] = ContextVar("asked", default=None)


def by_hand(asked: Asked) -> None:
    """For a command: what the flow that it calls is asked for."""
    _by_hand.set(asked)


def about(model: str) -> dict[str, str]:
    """The resource that the event names."""
    return {"prefect.resource.id": f"ratchet.dataset.{model}", "prefect.resource.name": f"the data of {model}"}


def current(force: bool, reason: str) -> Asked:
    """Inside of a flow: what its command, its deployment's schedule, its automation or its page has asked for."""
    from prefect.context import FlowRunContext

    given, context = _by_hand.get(), FlowRunContext.get()
    if given is not None:
        return given
    run = context.flow_run if context else None
    if run is None or run.deployment_id is None:
        return Asked(reason=reason)
    made_by = (run.created_by.type or "") if run.created_by else ""
    trigger = "schedule" if run.auto_scheduled else "event" if made_by == "AUTOMATION" else "page"
    return Asked(trigger, force, reason)
