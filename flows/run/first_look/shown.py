"""A run that finds nothing changed, on the pages of a Prefect server that is up: the flow and the steps of other runs.

It imports Prefect alone: what else a flow needs takes as long again to import.
"""

from collections.abc import Callable
from typing import Any

from prefect import flow, runtime, tags, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.context import TagsContext
from prefect.states import Completed

from flows.run.context import RunContext
from flows.run.first_look.unchanged import Step
from pipelines import visible_text


def in_prefect(run: RunContext, steps: list[Step], answer: dict[str, Any], noted: Callable[[str], None]) -> None:
    """noted: called with the id of the flow run, while that is at work."""

    @task(cache_policy=NO_CACHE, task_run_name="{name}")
    def step(name: str, note: str) -> State:
        return Completed(name="Unchanged", message=note or None)

    @flow(name="retrain", flow_run_name="{model}")  # as flows/retrain.py: for Prefect it is the same flow
    def retrain(model: str, force: bool = False, reason: str = "") -> State:
        with TagsContext(current_tags=set()):
            for one in steps:
                step(one.name, one.note, return_state=True)
        noted(str(runtime.flow_run.id))
        return Completed(name="Unchanged", message=visible_text.line(answer["reason"]), data=answer)

    with tags(run.project.clone):
        retrain(run.model)
