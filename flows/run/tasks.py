"""The tasks of a run: each does one thing, shows it, and ends in a state with the name of its result."""

import contextvars
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.data import refresh
from flows.data.arrivals import unended
from flows.graph.pipeline import Graph
from flows.labels import learned
from flows.processes import log_watch, stopping
from flows.promotion.waiting import Experiment
from flows.records import epochs, ledger, stage_times, throughput
from flows.records.outputs import Published, StageOutputs
from flows.report import findings, prefect_artifacts, prefect_failures, progress
from flows.run import due, remote_calls
from flows.run.context import RunContext, RunRecord
from flows.run.due import Case
from flows.run.live_epochs import LiveEpochs
from pipelines import visible_text
from pipelines.config.stages import STAGES
from pipelines.errors import RatchetError, StageError, UnreachableError

DELAYS = [5.0, 20.0, 60.0, 180.0]  # seconds before a task is tried again because something was away
REFUSALS = ("RequestError", "SettingsError", "DataError", "ExpectationError", "TrainingError")  # the same would happen

step = task(cache_policy=NO_CACHE, task_run_name="{name}")  # DVC keeps what was made; Prefect keeps times and states


@dataclass(frozen=True)
class StageResult:
    """The result of one stage of a run. tags: for its run in MLflow."""

    name: str
    state: str  # Ran, Restored or Unchanged
    seconds: float
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def row(self) -> dict[str, Any]:
        """As `ratchet run --json` prints it."""
        return {"name": self.name, "state": self.state, "seconds": self.seconds}


def refusal(error: BaseException) -> bool:
    """Whether the same inputs would fail in the same way again."""
    kind = error.kind if isinstance(error, StageError) else type(error).__name__
    return isinstance(error, RatchetError) and kind in REFUSALS


def refuses_data(error: BaseException) -> bool:
    """Whether a stage refused the data. Only stages of `pipelines/` can."""
    stage = STAGES.get(error.stage.partition("@")[0]) if isinstance(error, StageError) else None
    return stage is not None and stage.refuses_data and refusal(error)


def persistent(work: Task[Any, Any], run: RunContext) -> Task[Any, Any]:
    """The task, tried again with growing delays while something is away. At a terminal it fails at once."""
    if run.request.by_hand:
        return work

    def may_work_later(task: Any, task_run: Any, state: State) -> bool:
        return isinstance(state.result(raise_on_failure=False), UnreachableError)

    return work.with_options(retries=len(DELAYS), retry_delay_seconds=DELAYS, retry_condition_fn=may_work_later)


@step
def look_for_data(name: str, run: RunContext, graph: Graph) -> State:
    """Pin the current content of the source, or the requested version."""

    def work() -> tuple[str, str]:
        if run.request.data:
            earlier = run.mlflow.call(remote_calls.pinned, run.project, run.model, run.request.data)
            return refresh.bring_back(graph, run.declared, *earlier)
        if run.request.by_hand and not run.early:
            unended.wait(run.project, run.declared.ingest, run.shown.notice)
        try:
            if run.early:
                return run.early.refreshed
            refused = "" if run.request.force else due.refused(run.project, graph, run.declared)
            return learned.refreshed(run.project, graph, run.declared, refused, datetime.now(UTC))
        finally:
            _tell(run, graph)

    return timed(run, name, work)


def _tell(run: RunContext, graph: Graph) -> None:
    """Show the problems that were found, and their repairs."""
    while graph.notices:
        run.shown.notice(graph.notices.pop(0))


def look(run: RunContext, graph: Graph) -> Case:
    """The facts of this run: data, definition, and earlier runs."""
    lines = ledger.of(run.project).lines(run.model)
    return due.gather(run.project, graph, run.declared, lines, run.flow_run)


@step
def decide_whether(name: str, run: RunContext, graph: Graph, refreshed: str) -> State:
    """Whether this tick retrains. The state has the name Due or Skipped, and its data is the Case.

    refreshed: the words of `look_for_data`.
    """

    def work() -> tuple[str, str]:
        lines = ledger.of(run.project).lines(run.model)
        found.append(due.with_reasons(look(run, graph), run.project, run.declared, lines))
        if run.request.force:
            return "Due", run.request.words
        wanted, reason = due.due(found[0])
        return ("Due", reason) if wanted else ("Skipped", f"{reason}; {refreshed}")

    found: list[Case] = []
    return timed(run, name, work, lambda: found[0])


@step
def reproduce(
    name: str, run: RunContext, graph: Graph, stage: str, inputs: str, tags: dict[str, str], record: RunRecord
) -> State:
    """Bring one stage up to date: the data of the state is a StageResult. Raises StageError if its command fails.

    inputs: the hash that names the run in MLflow; tags: sent to MLflow with the epochs of a training.
    """
    start, log = time.monotonic(), run.logs / name
    history = run.project.data(run.model) / "history.csv"
    done: list[StageResult] = []

    def work() -> tuple[str, str]:
        watcher = _watcher(run, inputs, tags, record)
        with epochs.followed(history, watcher, only=name == "train"), log_watch.followed(log, run.shown.notice):
            found = graph.reproduce(stage, log, lambda: warm_up(run, name, inputs))
        _tell(run, graph)
        told = progress.device(log) if name == "train" else {}
        if name == "train":
            (run.meter.trained if found == "Ran" else run.meter.restored)()
        notes = progress.notes(log) if found == "Ran" else findings.warnings(history.parent, name)
        slow = throughput.advice(history) if (name, found) == ("train", "Ran") else ""
        done.append(StageResult(name, found, round(time.monotonic() - start, 2), told))
        return found, "; ".join(filter(None, [findings.removed(history.parent, name), notes, slow]))

    state = timed(run, name, work, lambda: done[0])
    if state.name == "Ran":
        stage_times.note(run.project, run.model, name, done[0].seconds)
    return state


def warm_up(run: RunContext, stage: str, inputs: str) -> None:
    """Start the imports of this stage's and later stages' libraries in the background, and MLflow's measurements."""
    if stage != "compress" or run.declared.compress.wanted:  # without variants it writes one small file
        run.pool.begin(stage, run.declared.train)
    if STAGES[stage].after_gate:  # the run is published: nothing of it is measured any more
        return
    if STAGES[stage].after:  # until then nobody knows whether MLflow will be needed
        run.meter.begin(run.project, run.model, inputs)
        if stage == "train":
            run.meter.train()
        run.mlflow.begin()


@step
def publish_version(name: str, run: RunContext, found: StageOutputs, tags: dict[str, str], tree: str) -> State:
    """One MLflow run and one registered version: the data of the state. Raises UnreachableError if MLflow is away.

    tree: the files that the stages ran from, in git's store; "" if no stage ran.
    """

    def work() -> tuple[str, str]:
        answer.append(run.mlflow.call(remote_calls.publish, run.project, run.declared, found, tags, tree))
        return "Ran" if answer[0].fresh else "Unchanged", f"version {answer[0].version}"

    answer: list[Published] = []
    return timed(run, name, work, lambda: answer[0])


@step
def decide_champion(
    name: str,
    run: RunContext,
    found: StageOutputs,
    published: Published,
    uncommitted: list[str],
    because: str,
) -> State:
    """Judge the version, and move the alias or say why not. The answer is the data of the state.

    uncommitted: the files of the stages that differ from the last commit. because: why the run retrained.
    """
    experiment = Experiment(not run.request.promote, uncommitted)

    def work() -> tuple[str, str]:
        asked = (run.project, run.declared, found, published, experiment, because, run.request.started_by)
        answer.update(run.mlflow.call(remote_calls.decide, *asked))
        return "Unchanged" if answer["decision"] == "unchanged" else "Ran", str(answer["decision"])

    answer: dict[str, Any] = {}
    return timed(run, name, work, lambda: answer)


def timed(
    run: RunContext, name: str, work: Callable[[], tuple[str, str]], data: Callable[[], Any] = lambda: None
) -> State:
    """Do one step and show it; returns a state with the name of what happened, also if it failed.

    work() returns (name, note); data() returns the data of the state, called after the work.
    """
    start, state, note = time.monotonic(), "Failed", ""
    run.shown.begin(name)
    try:
        state, note = work()
        note = visible_text.line(note)
    except RatchetError as error:
        return prefect_failures.failed(error, refusal(error))
    except BaseException as error:
        state = "Stopped" if stopping.found(error) else state
        raise
    finally:
        run.shown.end(name, state, time.monotonic() - start, note)
    return Completed(name=state, message=note or None, data=data())


def _watcher(
    run: RunContext, inputs: str, tags: dict[str, str], record: RunRecord
) -> Callable[[list[epochs.Epoch]], None]:
    """Shows each epoch, and sends it to MLflow while the stage trains."""
    total = run.declared.train.epochs
    declared = run.declared.raw
    live = LiveEpochs(
        lambda found: run.mlflow.send(remote_calls.forward, run.project, declared, run.model, inputs, tags, found)
    )
    bar = prefect_artifacts.Bar(run.model)
    here = contextvars.copy_context()  # by which Prefect knows the task, in the thread that watches

    def report(seen: list[epochs.Epoch]) -> None:
        record.live = True
        found = throughput.beside(seen, run.project.data(run.model) / "pace.csv")
        run.shown.detail(", ".join(filter(None, [progress.told(found[-1], total), throughput.words(found[-1])])))
        live.add(found)
        here.run(bar.move, found[-1], total)

    return report
