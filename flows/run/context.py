"""The context of a run: its request, and the processes that work for it. Built once, at the start of a run."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from flows.graph.pipeline import Graph
from flows.processes import fork_pool
from flows.processes.fork_pool import ForkPool
from flows.project import lifeline, preflight
from flows.project.environment import Project
from flows.records.attempts import Tick
from flows.report.progress import Progress
from flows.run import remote_calls
from flows.run.meter import Meter
from flows.run.trigger import RunRequest
from flows.tracking import mlflow_process
from flows.tracking.mlflow_process import MlflowProcess
from pipelines import model_file
from pipelines.hardware import gpus
from pipelines.model_file import Declaration

if TYPE_CHECKING:
    from flows.run.first_look.early import Early


@dataclass(frozen=True)
class RunContext:
    """What is known about a run before its first step. It never changes."""

    project: Project
    declared: Declaration
    request: RunRequest
    shown: Progress
    pool: ForkPool
    mlflow: MlflowProcess
    meter: Meter
    flow_run: str = ""  # its id in Prefect, once that has begun
    early: "Early | None" = None  # what the command has done before the flow

    @property
    def model(self) -> str:
        return self.declared.model

    @property
    def logs(self) -> Path:
        """The folder of the run's logs, a file for each stage."""
        return self.project.state / "logs" / "runs" / self.flow_run


@dataclass
class RunRecord:
    """What a run has found so far. It is recorded, however the run ends."""

    data: str = ""  # the version that is pinned (the tag `ratchet.pin`)
    rows: int = 0
    definition: str = ""  # the hash of code, settings and gate
    because: str = ""  # why it retrains, in words
    broken: list[str] | None = None  # the rules that the data broke; None until that was looked at
    headline: str = ""  # of the page about refused data
    unfinished: bool = False  # whether the run before began, by its line, and no line says that it ended
    live: bool = False  # whether the training is already in MLflow

    def tick(self, run: RunContext, outcome: str, reason: str) -> Tick:
        """A line about this run for the list of ticks."""
        return Tick(
            run.model,
            outcome,
            reason[:2000],
            trigger=run.request.trigger,
            flow_run=run.flow_run,
            tree=str(run.project.root),
            data=self.data,
            rows=self.rows,
            definition=self.definition,
            broken=self.broken,
        )


def checked(project: Project, model: str) -> Declaration:
    """The model's YAML, after a check that this machine can train it and that a run can write its files.

    Raises SettingsError, RequestError or ShortageError, before any lock, server or stage.
    """
    declared = model_file.check(model)
    gpus.require(declared.train.device)
    gpus.require(declared.evaluate.device, key="evaluate.device")
    preflight.check(project, model)
    return declared


@contextmanager
def opened(project: Project, declared: Declaration, request: RunRequest, shown: Progress) -> Iterator[RunContext]:
    """The context, with processes that end with the run. None has started yet."""
    with ExitStack() as stack:
        stack.enter_context(lifeline.held(project))
        pool = stack.enter_context(fork_pool.opened(project))
        mlflow = stack.enter_context(mlflow_process.opened(project, remote_calls.PRELOADED))
        yield RunContext(project, declared, request, shown, pool, mlflow, Meter(mlflow))


@contextmanager
def graph(run: RunContext) -> Iterator[Graph]:
    """That of the command, which is open, or one for the flow."""
    if run.early:
        yield run.early.graph
        return
    with Graph(run.project, run.model) as opened:
        yield opened
