"""Orphaned runs: a killed process leaves them "running" in Prefect and MLflow, and the model's next run ends them.

A tag on each run names this clone's state folder. The holder of the model's lock there knows that no other run of the
model lives. Runs of other clones, which may share the servers, are not touched.
"""

from datetime import datetime
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, FlowFilter, FlowRunFilter, TaskRunFilter
from prefect.client.schemas.objects import State
from prefect.states import Cancelled, Crashed

from flows.project.environment import Project

OPEN = ["SCHEDULED", "PENDING", "RUNNING", "CANCELLING", "PAUSED"]


def end(project: Project, flow: str, name: str, living: UUID) -> int:
    """Set flow runs of this flow, name and clone to Crashed, and their tasks; returns how many. living: our own run."""
    is_open = {"type": {"any_": OPEN}}
    wanted = {"name": {"any_": [name]}, "tags": {"all_": [project.clone]}, "state": is_open}
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_filter=FlowFilter.model_validate({"name": {"any_": [flow]}}),
            flow_run_filter=FlowRunFilter.model_validate(wanted),
        )
        died = [run.id for run in found if run.id != living]
        for run_id in died:
            _crash(client, run_id, is_open)
    return len(died)


def cancel(project: Project, flow: str, name: str, since: datetime, reason: str) -> None:
    """Set the flow runs of this flow, name and clone that began since then, and did not end in order, to Cancelled."""
    broken_off = {"type": {"any_": [*OPEN, "CRASHED"]}}
    begun = {"after_": since.isoformat()}
    wanted = {"name": {"any_": [name]}, "tags": {"all_": [project.clone]}, "state": broken_off}
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            flow_filter=FlowFilter.model_validate({"name": {"any_": [flow]}}),
            flow_run_filter=FlowRunFilter.model_validate(wanted | {"expected_start_time": begun}),
        )
        for run in found:
            client.set_flow_run_state(run.id, Cancelled(message=reason), force=True)


def end_of_deployment(project: Project, model: str) -> int:
    """Set the runs of a model that a dead scheduler left open to Crashed; returns how many.

    Only for the start of a scheduler, with the model's lock held: later, a run that is pending is about to begin.
    """
    is_open = {"type": {"any_": ["PENDING", "RUNNING", "CANCELLING"]}}
    wanted = {"tags": {"all_": [project.clone]}, "state": is_open}
    with get_client(sync_client=True) as client:
        found = client.read_flow_runs(
            deployment_filter=DeploymentFilter.model_validate({"name": {"any_": [model]}}),
            flow_run_filter=FlowRunFilter.model_validate(wanted),
        )
        for run in found:
            _crash(client, run.id, is_open)
    return len(found)


def _crash(client: SyncPrefectClient, run_id: UUID, is_open: dict[str, dict[str, list[str]]]) -> None:
    state: State = Crashed(message="The process of this run died.")
    tasks = client.read_task_runs(
        flow_run_filter=FlowRunFilter.model_validate({"id": {"any_": [run_id]}}),
        task_run_filter=TaskRunFilter.model_validate({"state": is_open}),
    )
    for task in tasks:
        client.set_task_run_state(task.id, state, force=True)
    client.set_flow_run_state(run_id, state, force=True)
