"""The watch of a run: a scheduled one looks at the rows that its model has answered, before anything is decided.

It looks in a process of its own, which may die. A run goes on whatever becomes of it: its failure is a failed task, a
notice, and a line of `ratchet status`.
"""

import os
from datetime import UTC, datetime
from functools import partial
from typing import Any

from prefect.client.schemas.objects import State
from prefect.events import emit_event

from flows.monitoring import alerts, events
from flows.monitoring.alerts import Receiver
from flows.monitoring.looks import answered
from flows.processes import fresh_process
from flows.project import scratch
from flows.records import ledger
from flows.run import tasks
from flows.run.context import RunContext
from pipelines.errors import RatchetError
from pipelines.process import fork_server


def look(run: RunContext) -> None:
    """Watch the model, if a tick or an event runs it and it has answered anything."""
    if run.request.by_hand or not answered.there(run.project.state, run.model):
        return
    state: Any = watch("watch", run, return_state=True)
    if state.is_failed():
        run.shown.notice(f"watch: {state.message}")


@tasks.step
def watch(name: str, run: RunContext) -> State:
    """Look at the live rows. The data of the state is what `ratchet watch --json` prints of a model."""
    from flows.monitoring import last  # what it imports is for models that have answered

    found: dict[str, Any] = {}

    def work() -> tuple[str, str]:
        now, book = datetime.now(UTC), ledger.of(run.project)
        lines = book.lines(run.model)
        prefect = [Receiver("prefect", partial(_emit, run.model))]
        alerts.ready(run.project, run.model, lines, prefect)
        if last.soon(run.project, run.model, now, lines):
            alerts.tell(run.project, run.model, lines, prefect, run.shown.notice)  # what a watch by hand has noticed
            return "Unchanged", "it was watched a few minutes ago"
        try:
            found.update(_apart(run, now))
        except Exception as error:
            last.note(run.project, run.model, now, lines, [str(error)])
            raise RatchetError(str(error) or type(error).__name__) from error
        alerts.tell(run.project, run.model, book.lines(run.model), prefect, run.shown.notice)
        for problem in found["problems"]:
            run.shown.notice(f"watch: {problem}")
        return "Watched", events.words(found)

    return tasks.timed(run, name, work, lambda: found)


def _apart(run: RunContext, now: datetime) -> dict[str, Any]:
    """The content of flows/monitoring/watch.py, from a process of its own. Raises RatchetError if that fails."""
    environment = {name: value for name, value in os.environ.items() if name != fork_server.VARIABLE}
    request = {"model": run.model, "now": now.isoformat()}
    with scratch.folder("watch") as place:
        return fresh_process.run("flows.monitoring", request, place, environment, "The live rows cannot be watched")


def _emit(model: str, body: dict[str, Any]) -> str:
    """Into Prefect, for automations: what moved a champion is an event like that of a run."""
    resource = {"prefect.resource.id": f"ratchet.model.{model}", "prefect.resource.name": model}
    kind = "ratchet.watch." if "events" in body else "ratchet.run."
    emit_event(f"{kind}{body['what'].replace(' ', '_')}", resource=resource, payload=body)
    return ""
