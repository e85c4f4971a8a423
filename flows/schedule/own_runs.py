"""The scheduler starts only its own flow, even if somebody changed a deployment on Prefect's server.

Our own server refuses such changes (flows/servers/prefect_guard.py). A team's server has no such guard, so each run is
checked once more before its process starts. A variable tells that process what to import: the server's answer could
change after the check.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any, Self

import anyio
from anyio.abc import TaskStatus
from prefect.client.schemas.objects import FlowRun, State
from prefect.client.schemas.responses import DeploymentResponse
from prefect.flows import Flow
from prefect.runner import Runner
from prefect.runner._flow_run_executor import ProcessStarter
from prefect.runner._process_manager import ProcessHandle
from prefect.states import Failed

from flows.servers.prefect_guard import ENTRYPOINT
from pipelines.errors import IntegrityError

EMPTY = ("pull_steps", "path", "storage_document_id", "infrastructure_document_id", "job_variables", "work_pool_name")
OF_A_RUN = ("infrastructure_document_id", "job_variables")
IMPORTED = "PREFECT__FLOW_ENTRYPOINT"  # a run's process imports this instead of its deployment's entrypoint


def foreign(deployment: DeploymentResponse, run: FlowRun | None = None) -> str:
    """The parts of a deployment, or of one of its runs, that differ from what the scheduler registered; "" if none."""
    found = [] if deployment.entrypoint == ENTRYPOINT else ["its entrypoint"]
    found += [f"its {key}" for key in _given(deployment, EMPTY)]
    found += [f"the {key} of the run" for key in (_given(run, OF_A_RUN) if run else ())]
    return ", ".join(key.replace("_", " ") for key in found)


def _given(thing: Any, keys: tuple[str, ...]) -> Iterator[str]:
    return (key for key in keys if getattr(thing, key, None))


class OwnRunner(Runner):
    """Prefect's runner, limited to runs that are as they were registered. notice: called for the others.

    Prefect 3.8 has no public hook between taking a run from the server and starting its process, so two private
    attributes are replaced. Remove this once there is a hook. tests/flows/schedule/test_own_runs.py fails if Prefect no
    longer uses them.
    """

    def __init__(self, flow: Flow[Any, Any], notice: Callable[[str], None], **options: Any):
        super().__init__(**options)
        self._own, self._notice = flow, notice
        os.environ[IMPORTED] = ENTRYPOINT  # the processes of runs inherit it

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        starter, hooks = self._scheduled_run_poller._resolve_starter, self._hook_runner
        self._scheduled_run_poller._resolve_starter = lambda flow_run: _Checked(self, starter(flow_run))
        if hooks is None or not callable(hooks._resolve_flow):
            raise RuntimeError("Prefect's runner has changed: it must get its flow here and not load one.")
        hooks._resolve_flow = self._flow  # else a run that crashed loads it here, pull steps included
        return self

    async def _flow(self, run: FlowRun) -> Flow[Any, Any]:
        return self._own

    async def checked(self, run: FlowRun) -> None:
        """Raises IntegrityError for a run that is not the scheduler's own; its state and the notice say why."""
        try:
            await self._look_at(run)
        except IntegrityError as error:
            self._notice(str(error))
            state: State[Any] = Failed(name="Refused", message=str(error))
            await self._client.set_flow_run_state(run.id, state, force=True)
            raise

    async def _look_at(self, run: FlowRun) -> None:
        if run.deployment_id is None:
            raise IntegrityError("This run has no deployment, so the scheduler did not register it.")
        deployment = await self._client.read_deployment(run.deployment_id)
        if wrong := foreign(deployment, await self._client.read_flow_run(run.id)):
            raise IntegrityError(
                f"The run {run.name!r} of {deployment.name} is not started: on Prefect's server this "
                f"differs from what the scheduler registered: {wrong}.",
                "Find out who changed it. Then run `ratchet down` and `ratchet up`, which registers it anew.",
            )


class _Checked:
    """A starter of Prefect's runner that checks a run first."""

    def __init__(self, runner: OwnRunner, starter: ProcessStarter):
        self._runner, self._starter = runner, starter

    async def start(
        self, flow_run: FlowRun, task_status: TaskStatus[ProcessHandle] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        await self._runner.checked(flow_run)
        await self._starter.start(flow_run, task_status)
