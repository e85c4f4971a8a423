"""The tasks of a run: each does one thing, shows it, and ends in a state named after what happened."""

import contextvars
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.data import refresh
from flows.graph.pipeline import Graph
from flows.processes import log_watch
from flows.processes.fork_pool import Warm
from flows.project.environment import Project
from flows.records import attempts, epochs, ledger, stage_times, throughput
from flows.records.outputs import Made
from flows.report import findings, prefect_artifacts, progress
from flows.report.progress import Progress
from flows.run import due
from flows.run.trigger import Asked
from flows.tracking.mlflow_process import Tracker
from pipelines import visible_text
from pipelines.errors import RatchetError, StageError, UnreachableError
from pipelines.model_file import Declaration

DELAYS = [5.0, 20.0, 60.0, 180.0]  # seconds before a task is tried again because something was away
OF_DATA = ("ingest", "validate", "clean", "check")  # the stages that refuse data
REFUSALS = ("RequestError", "SettingsError", "DataError", "ExpectationError", "TrainingError")  # the same would happen

step = task(cache_policy=NO_CACHE, task_run_name="{name}")  # DVC keeps what was made; Prefect keeps times and states


@dataclass
class Run:
    """What the tasks of one run share."""

    project: Project
    declared: Declaration
    asked: Asked
    flow_run: str
    logs: Path
    shown: Progress
    tags: dict[str, str] = field(default_factory=dict)
    warm: Warm | None = None
    tracker: Tracker | None = None  # from the moment that it is known to be needed
    tree: str = ""  # what the stages ran from, in git's store; "" if none ran
    stages: list[dict[str, Any]] = field(default_factory=list)
    live: bool = False  # whether MLflow has heard of this run
    measuring: bool = False  # whether that process measures
    died: bool = False  # whether the last run of this model was killed
    refreshed: str = ""  # what `refresh` found, in words
    data: str = ""  # the version that is pinned
    rows: int = 0
    definition: str = ""
    broken: list[str] | None = None  # the rules that the data broke; None until that was looked at
    page: Any = None  # of a run that passed, if something is to be said (flows/report/failure_page.py)

    @property
    def model(self) -> str:
        return self.declared.model

    def call(self, name: str, *arguments: Any) -> Any:
        """A function in the process that has MLflow."""
        return cast(Tracker, self.tracker).call(name, *arguments)

    def measure(self, what: str, *arguments: Any) -> None:
        """Tell the process that has MLflow (flows/run/metering.py), once that measures; nobody waits for it."""
        if self.tracker is not None and self.measuring:
            with suppress(RuntimeError):  # it has died
                self.tracker.send(f"run.metering.{what}", *arguments)

    def tick(self, outcome: str, reason: str) -> attempts.Tick:
        """A line about this run for the list of ticks."""
        return attempts.Tick(
            self.model,
            outcome,
            reason[:2000],
            trigger=self.asked.trigger,
            flow_run=self.flow_run,
            tree=str(self.project.root),
            data=self.data,
            rows=self.rows,
            definition=self.definition,
            broken=self.broken,
        )


def refusal(error: BaseException) -> bool:
    """Whether the same inputs would fail in the same way again."""
    kind = error.kind if isinstance(error, StageError) else type(error).__name__
    return isinstance(error, RatchetError) and kind in REFUSALS


def persistent(work: Task[Any, Any], run: Run) -> Task[Any, Any]:
    """The task, tried again with growing delays while something is away. A person at a terminal is told at once."""
    if run.asked.by_hand:
        return work

    def may_work_later(task: Any, task_run: Any, state: State) -> bool:
        return isinstance(state.result(raise_on_failure=False), UnreachableError)

    return work.with_options(retries=len(DELAYS), retry_delay_seconds=DELAYS, retry_condition_fn=may_work_later)


@step
def look_for_data(name: str, run: Run, graph: Graph) -> State:
    """Pin what the source holds now, or the version that was asked for."""

    def work() -> tuple[str, str]:
        if run.asked.data:
            earlier = run.call("data.versions.pinned", run.project, run.model, run.asked.data)
            return refresh.bring_back(graph, run.declared, *earlier)
        try:
            return refresh.refresh(run.project, graph, run.declared, _refused(run, graph))
        finally:
            _tell(run, graph)

    return timed(run, name, work)


def _tell(run: Run, graph: Graph) -> None:
    """A person is told what was found wrong, and what was done about it."""
    while graph.notices:
        run.shown.notice(graph.notices.pop(0))


def _refused(run: Run, graph: Graph) -> str:
    """The version of the data that the last tick refused under the same definition, or ""; nobody is to be asked."""
    if run.asked.force:
        return ""
    here = [tick for tick in attempts.read(run.project, run.model) if tick.tree == str(run.project.root)]
    before = attempts.last(here, lambda tick: tick.outcome not in ("skipped", "began"))
    same = before and before.outcome == "refused" and before.definition == due.definition(graph, run.declared)
    return before.data if before and same else ""


def look(run: Run, graph: Graph) -> due.Case:
    """What the run finds: data, definition, and what was before."""
    case = due.gather(run.project, graph, run.declared, ledger.of(run.project).lines(run.model), run.flow_run)
    run.data, run.rows, run.definition = case.data, case.rows, case.definition
    run.died = run.died or (case.before is not None and case.before.outcome == "began")
    return case


@step
def decide_whether(name: str, run: Run, graph: Graph) -> State:
    """Whether this tick retrains. The state is named Due or Skipped."""

    def work() -> tuple[str, str]:
        case = look(run, graph)
        if run.asked.force:
            return "Due", run.asked.words
        wanted, reason = due.due(case)
        return ("Due", reason) if wanted else ("Skipped", f"{reason}; {run.refreshed}")

    return timed(run, name, work)


@step
def reproduce(name: str, run: Run, graph: Graph, stage: str, inputs: str) -> State:
    """Bring one stage up to date. Raises StageError if its command fails."""
    start, log = time.monotonic(), run.logs / name
    history = run.project.data(run.model) / "history.csv"

    def work() -> tuple[str, str]:
        watched = epochs.followed(history, _watcher(run, inputs), only=name == "train")
        with watched, log_watch.followed(log, run.shown.notice):
            found = graph.reproduce(stage, log, lambda: warm_up(run, name, inputs))
        _tell(run, graph)
        if name == "train":
            run.tags |= progress.device(log)
            run.measure("trained" if found == "Ran" else "restored")
        notes = progress.notes(log) if found == "Ran" else findings.warnings(history.parent, name)
        slow = throughput.advice(history) if (name, found) == ("train", "Ran") else ""
        return found, "; ".join(filter(None, [notes, slow]))

    state = timed(run, name, work)
    seconds = round(time.monotonic() - start, 2)
    run.stages.append({"name": name, "state": state.name, "seconds": seconds})
    if state.name == "Ran":
        stage_times.note(run.project, run.model, name, seconds)
    return state


def warm_up(run: Run, stage: str, inputs: str) -> None:
    """Let the libraries of this stage and the later ones be imported meanwhile, and from the second stage on MLflow,
    which then begins to measure."""
    if run.warm is not None:
        run.warm.begin(stage, run.declared.train)
    if run.tracker is not None and run.stages:
        run.measuring = True
        run.measure("begin", run.project, run.model, inputs)
        if stage == "train":
            run.measure("train")
        run.tracker.begin()


@step
def publish_version(name: str, run: Run, found: Made) -> State:
    """One MLflow run and one registered version: the data of the state. Raises UnreachableError if MLflow is away."""

    def work() -> tuple[str, str]:
        answer.append(run.call("tracking.publish.publish", run.project, run.declared, found, run.tags, run.tree))
        return "Ran" if answer[0].fresh else "Unchanged", f"version {answer[0].version}"

    answer: list[Any] = []
    return timed(run, name, work, lambda: answer[0])


@step
def decide_champion(name: str, run: Run, found: Made, published: Any) -> State:
    """Judge the version, and move the alias or say why not; the answer is the data of the state."""

    def work() -> tuple[str, str]:
        answer.update(run.call("promotion.decide.decide", run.project, run.declared, found, published))
        return "Unchanged" if answer["decision"] == "unchanged" else "Ran", str(answer["decision"])

    answer: dict[str, Any] = {}
    return timed(run, name, work, lambda: answer)


def timed(run: Run, name: str, work: Callable[[], tuple[str, str]], data: Callable[[], Any] = lambda: None) -> State:
    """Do one step and show it; returns a state with the name of what happened.

    work() returns (name, note); data() what the state is to carry, asked once the work is done.
    """
    start, state, note = time.monotonic(), "Failed", ""
    run.shown.begin(name)
    try:
        state, note = work()
        note = visible_text.line(note)
    finally:
        run.shown.end(name, state, time.monotonic() - start, note)
    return Completed(name=state, message=note or None, data=data())


def _watcher(run: Run, inputs: str) -> Callable[[list[epochs.Epoch]], None]:
    """Shows each epoch, and forwards it to MLflow while the stage trains. inputs: the hash that names the run."""
    total = run.declared.train.epochs
    bar = prefect_artifacts.Bar(run.model)
    here = contextvars.copy_context()  # by which Prefect knows the task, in the thread that watches

    def report(seen: list[epochs.Epoch]) -> None:
        run.live = True
        found = throughput.beside(seen, run.project.data(run.model) / "pace.csv")
        run.shown.detail(", ".join(filter(None, [progress.told(found[-1], total), throughput.words(found[-1])])))
        if run.tracker is not None:
            run.tracker.send(
                "tracking.mlflow_runs.forward", run.project, run.declared.raw, run.model, inputs, run.tags, found
            )
        here.run(bar.move, found[-1], total)

    return report
