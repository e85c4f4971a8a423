"""The journal: which run of a model is under way, so that the next one can tell that it died.

Only the holder of a model's lock reads or writes it. A run that ends, well or not, takes its entry out; an entry that
is found was left by a process that was killed. Its run is then ended in Prefect and in MLflow, where it would read
"running" for ever.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import UUID

from flows.environment import Project
from flows.tracker import Tracker


@contextmanager
def kept(project: Project, model: str, flow_run_id: str, tracker: Tracker) -> Iterator[None]:
    """Around one run. First ends what an earlier one, that was killed, has left running."""
    path = project.state / "journal" / f"{model}.json"
    for died in _read(path):
        _crashed(died)
        tracker.send("tracking.end", project, model, "KILLED")
    path.parent.mkdir(exist_ok=True)
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps({"format": 1, "flow_run_id": flow_run_id, "pid": os.getpid()}), encoding="utf-8")
    os.replace(partial, path)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _read(path: Any) -> list[str]:
    """The run that is noted there, if one is."""
    try:
        return [json.loads(path.read_text(encoding="utf-8"))["flow_run_id"]]
    except FileNotFoundError:
        return []
    except (ValueError, KeyError):
        path.unlink()
        return []


def _crashed(flow_run_id: str) -> None:
    """Set a flow run and its tasks to Crashed where they are not at an end. Another Prefect server may not know it."""
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId
    from prefect.client.schemas.objects import State
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Crashed

    state: State = Crashed(message="The process of this run died.")
    with suppress(ObjectNotFound), get_client(sync_client=True) as client:
        wanted = FlowRunFilter(id=FlowRunFilterId(any_=[UUID(flow_run_id)]))
        for task in client.read_task_runs(flow_run_filter=wanted):
            if task.state is None or not task.state.is_final():
                client.set_task_run_state(task.id, state, force=True)
        known = client.read_flow_run(UUID(flow_run_id)).state
        if known is None or not known.is_final():
            client.set_flow_run_state(UUID(flow_run_id), state, force=True)
