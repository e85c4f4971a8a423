"""The scheduler: every model's deployment, served until it is stopped: python -m flows.schedule PARALLEL

It runs in the worktree of scheduled runs (flows/graph/worktree.py). Prefect keeps the time and starts each run in its
own process. This module adds three things: it takes over new commits of the declared branch while no run is active, it
merges missed ticks into one, and it ends the runs that a dead scheduler left open.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psutil
from prefect.client.orchestration import PrefectClient, get_client
from prefect.client.schemas.filters import DeploymentFilter, FlowRunFilter
from prefect.client.schemas.objects import FlowRun, State
from prefect.deployments.runner import EntrypointType, RunnerDeployment
from prefect.events import DeploymentEventTrigger
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Cancelled, Completed

from flows.graph import worktree
from flows.processes import orphans
from flows.project import environment, locks, private_files
from flows.project.environment import Project
from flows.retrain import retrain
from flows.run import rhythm, trigger
from flows.schedule import control
from flows.schedule.own_runs import OwnRunner, foreign
from flows.servers import lifecycle, prefect_login
from pipelines import model_file
from pipelines.config import settings
from pipelines.errors import BusyError, RatchetError
from pipelines.sections.schedule import Schedule

QUERY = 2.0  # seconds between two looks for runs to start
EARLY = 5.0  # seconds that a process starts before its time, to load its libraries
LATE = 6.0  # seconds after its time, when a tick that did not start counts as missed
CARE = 5.0  # seconds between two looks at the branch and at late ticks
AGAIN = 10.0  # seconds before it starts again after a failure
OVERTAKEN: State[Any] = Completed(name="Skipped", message="another run has not ended")
COALESCED: State[Any] = Cancelled(name="Coalesced", message="a later tick replaces all missed ones")


async def deployment(project: Project, model: str, rules: Schedule) -> RunnerDeployment:
    """The deployment of one model: its schedule, its form, and the event that starts it."""
    found = rhythm.of(rules)
    event = DeploymentEventTrigger(
        name=f"{model}: new data",
        expect={trigger.CHANGED},
        match={"prefect.resource.id": trigger.about(model)["prefect.resource.id"]},
        parameters={"model": model, "reason": "the data have changed"},
    )
    return await retrain.ato_deployment(
        name=model,
        schedules=[found] if found else [],
        parameters={"model": model},
        triggers=[event],
        tags=[project.clone],
        description=f"Retrains {model} ({rules.words or 'without a schedule'}). models/{model}.yaml defines it.",
        entrypoint_type=EntrypointType.MODULE_PATH,
    )


class Scheduler:
    """Serves the deployments of a project until its process is stopped."""

    def __init__(self, project: Project, parallel: int, notice: Callable[[str], None]):
        self.project, self.notice = project, notice
        self.runner = OwnRunner(
            retrain,
            notice,
            name="ratchet",
            pause_on_shutdown=False,
            limit=parallel,
            query_seconds=QUERY,
            prefetch_seconds=EARLY,
        )
        self.served: dict[str, UUID] = {}  # model -> its deployment
        self.words: dict[str, str] = {}  # model -> its schedule as people read it

    async def run(self) -> None:
        self.end_what_died()
        async with get_client() as client:
            await self.deploy(client)
            await self.coalesce(client, datetime.now(UTC))
            care = asyncio.create_task(self.take_care(client))
            try:
                await self.runner.start()
            finally:
                care.cancel()

    def end_what_died(self) -> None:
        """Mark the runs that a dead scheduler or machine left open as Crashed, unless they still work."""
        for model in settings.models():
            try:
                with locks.hold(self.project, f"model-{model}", "looking for runs that died", wait=False):
                    if died := orphans.end_of_deployment(self.project, model):
                        self.notice(f"{model}: {died} dead run{'s' if died > 1 else ''} marked as crashed")
            except BusyError:  # it outlived its scheduler
                self.notice(f"{model}: a run of the scheduler before this one is still active")

    async def deploy(self, client: PrefectClient) -> None:
        """Update the deployments from the files of the worktree; a broken file stops no other model."""
        for model in settings.models():
            try:
                rules = model_file.check(model).schedule
                rhythm.check(model, rules)
                self.served[model] = await self._registered(client, await deployment(self.project, model, rules))
                self.words[model] = rules.words
            except RatchetError as error:
                self.words[model] = f"not scheduled: {error}"
            except PrefectHTTPStatusError as error:
                self.words[model] = f"not scheduled: Prefect refuses it: {' '.join(str(error).split())[:300]}"
        await self._forget(client)
        self._announce()

    async def _registered(self, client: PrefectClient, wanted: RunnerDeployment) -> UUID:
        """Its id. A deployment that somebody changed is made anew: Prefect keeps values that an update lacks."""
        found = await self.runner.aadd_deployment(wanted)
        if wrong := foreign(await client.read_deployment(found)):
            self.notice(f"{wanted.name}: registered anew, because somebody changed {wrong}")
            await client.delete_deployment(found)
            found = await self.runner.aadd_deployment(wanted)
        return found

    async def _forget(self, client: PrefectClient) -> None:
        """Delete the deployments of removed models, also those of an earlier scheduler."""
        ours = DeploymentFilter.model_validate({"tags": {"all_": [self.project.clone]}})
        for found in await client.read_deployments(deployment_filter=ours):
            if found.name not in settings.models():
                await client.delete_deployment(found.id)
                self.served.pop(found.name, None)
                self.words.pop(found.name, None)

    def _announce(self) -> None:
        """Write the served models into the state folder: the sign that the scheduler is ready."""
        content = {"format": 1, "pid": os.getpid(), "branch": worktree.declared(self.project), "models": self.words}
        private_files.write(control.ready(self.project), content)
        for model, words in self.words.items():
            self.notice(f"{model}: {words or 'no schedule'}")

    async def take_care(self, client: PrefectClient) -> None:
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # replaces the runner's handler, which ends nothing
        while True:
            await asyncio.sleep(CARE)
            try:
                if worktree.behind(self.project) and self.idle():
                    worktree.update(self.project)  # blocks this loop, so that no run is started meanwhile
                    self.notice(f"took over {worktree.declared(self.project)} at {worktree.head(self.project)[:9]}")
                    await self.deploy(client)
                await self.coalesce(client, datetime.now(UTC) - timedelta(seconds=LATE))
            except Exception as error:  # the server may be away for a while: the next round tries again
                self.notice(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")

    def idle(self) -> bool:
        """Whether no run is active or about to be."""
        running = any(child.status() != psutil.STATUS_ZOMBIE for child in psutil.Process().children())
        return not running and not any(name.startswith("model-") for name in locks.held(self.project))

    async def coalesce(self, client: PrefectClient, before: datetime) -> None:
        """Drop a model's ticks that should have begun `before`, except one; while a run is active, drop all."""
        active = locks.held(self.project)
        for model, deployment_id in self.served.items():
            late = await self._late(client, deployment_id, before)
            busy = f"model-{model}" in active
            for run in late if busy else late[:-1]:
                await client.set_flow_run_state(run.id, OVERTAKEN if busy else COALESCED)
            if gone := len(late) - (not busy and bool(late)):
                self.notice(f"{model}: {gone} missed tick{'s' if gone > 1 else ''} dropped")

    async def _late(self, client: PrefectClient, deployment_id: UUID, before: datetime) -> list[FlowRun]:
        """Its missed ticks, the earliest first; without runs that a person or an event started."""
        begins = {"before_": before.isoformat()}
        wanted = {"state": {"type": {"any_": ["SCHEDULED"]}}, "next_scheduled_start_time": begins}
        found = await client.read_flow_runs(
            deployment_filter=DeploymentFilter.model_validate({"id": {"any_": [deployment_id]}}),
            flow_run_filter=FlowRunFilter.model_validate(wanted),
        )
        ticks = [run for run in found if run.auto_scheduled]
        return sorted(ticks, key=lambda run: run.next_scheduled_start_time or before)


def main(parallel: str) -> None:
    project = environment.prepare()
    running = lifecycle.recorded(project)
    os.environ["PREFECT_API_URL"] = project.prefect or running["prefect"].api
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with (
        locks.hold(project, "schedule", "the scheduler", wait=False),
        temporary_settings(prefect_login.settings(project) | {PREFECT_API_URL: os.environ["PREFECT_API_URL"]}),
    ):
        _print(f"Prefect {lifecycle.address(project, 'prefect')}, MLflow {lifecycle.address(project, 'mlflow')}")
        try:
            while True:
                serve(project, int(parallel))
        except KeyboardInterrupt:
            _print("stopped")
        finally:
            control.ready(project).unlink(missing_ok=True)


def serve(project: Project, parallel: int) -> None:
    """Serve until it is stopped, or Prefect's runner gives up because its server is away for long."""
    try:
        asyncio.run(Scheduler(project, parallel, _print).run())
    except Exception as error:
        _print(f"starts again in {AGAIN:.0f} s: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
        time.sleep(AGAIN)


def _print(text: str) -> None:
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {text}", flush=True)
