"""Retrain: the main job, in order.

look at the live rows -> refresh the pin -> is it due? -> the stages of dvc.yaml as tasks -> publish to MLflow
-> decide about the champion -> the stages after the gate -> make the champion live on this machine
"""

import json
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.context import TagsContext
from prefect.exceptions import CancelledRun, TerminationSignal
from prefect.states import Cancelled, Completed

from flows.data import last_good, reached, refresh
from flows.data.arrivals import unended
from flows.graph import lockfile, provenance, worktree
from flows.graph.pipeline import Graph
from flows.processes import orphans, stopping
from flows.project import environment, locks, preflight
from flows.project.environment import Project
from flows.records import attempts, constant_answers, outputs
from flows.records.attempts import Tick
from flows.records.outputs import Published, StageOutputs
from flows.report import failure_page, prefect_artifacts, prefect_failures
from flows.report.failure_page import Page
from flows.report.progress import Progress
from flows.run import context, data_report, notify, remote_calls, rhythm, tasks, trigger
from flows.run.after_gate import going_live
from flows.run.context import RunContext, RunRecord
from flows.run.first_look import one_tree
from flows.run.live_rows import watching
from flows.run.tasks import StageResult
from flows.run.trigger import RunRequest
from flows.servers import lifecycle
from pipelines import visible_text
from pipelines.clean import Clean
from pipelines.config import settings
from pipelines.errors import BusyError, RatchetError, StageError, UnreachableError

KEPT_LOGS = 200  # of runs
STOPS = (KeyboardInterrupt, TerminationSignal)
STATES = {"accepted": "Promoted"}  # the name of a run's last state; for other decisions it is the decision's name


# ------------------------------------------------------------------ two ways to begin


@flow(name="retrain", flow_run_name="{model}")
def retrain(model: str, force: bool = False, reason: str = "") -> State:
    """Look for new data, and retrain one model if there is reason to.

    Hyperparameters are no parameters: models/<model>.yaml defines the model.

    Args:
        model: A model of models/, by its file's name.
        force: Retrain though nothing is new.
        reason: Why, for the record.
    """
    prefect_failures.without_tracebacks()
    settings.check_name(model)  # before a lock, a log or a line of the ticks is named after it
    request, project = trigger.of_deployment(force, reason), environment.join()
    shown, flow_run = prefect_artifacts.Logged(), _flow_run()
    with ExitStack() as stack:
        try:
            stack.enter_context(locks.hold(project, f"model-{model}", f"retraining of {model}", wait=False))
            declared = context.checked(project, model)
            rhythm.check(model, declared.schedule)
        except BusyError as error:
            return _busy(project, model, request, error)
        except RatchetError as error:
            tick = Tick(model, "refused", str(error), request.trigger, flow_run, str(project.root))
            _note_failure(project, tick, shown)
            return prefect_failures.failed(error, refused=True)
        except Exception as error:  # unforeseen: it is on record all the same
            _note_failure(
                project, Tick(model, "failed", _said(error), request.trigger, flow_run, str(project.root)), shown
            )
            raise
        run = stack.enter_context(context.opened(project, declared, request, shown))
        return _conclude(replace(run, flow_run=flow_run))


def by_hand(run: RunContext) -> dict[str, Any]:
    """The same for a command, which has checked the model, holds its lock, and has a server.

    Returns what `ratchet run --json` prints. A run that is stopped is Cancelled in Prefect, and raises Stopped.
    """
    stops, since = list[stopping.Stopped](), datetime.now(UTC)

    @flow(name=retrain.name, flow_run_name=retrain.flow_run_name)
    def begun(model: str, force: bool = False, reason: str = "") -> State:
        try:
            return _conclude(replace(run, flow_run=_flow_run()))
        except STOPS as error:
            stops.append(stopping.found(error) or stopping.Stopped())
            return Cancelled(message=str(stops[0]))

    prefect_failures.without_tracebacks()
    try:
        return dict(begun(run.model))
    except CancelledRun:
        raise stops[0] from None
    except STOPS as error:  # in Prefect's own code, which takes it for a crash
        stop = stopping.found(error) or stopping.Stopped()
        with suppress(Exception):
            orphans.cancel(run.project, retrain.name, run.model, since, str(stop))
        raise stop from error


def _flow_run() -> str:
    return str(runtime.flow_run.id)


# ------------------------------------------------------------------ the run, in order


def _conclude(run: RunContext) -> State:
    """Do the run; its result is recorded, committed and reported, however it ends.

    Returns the last state. That of a RatchetError has failed, and raises it for whoever asks for its result.
    """
    record = RunRecord()
    # the flow run has the clone's tag; of every task that has one Prefect asks the server whether it may begin
    with TagsContext(current_tags=set()):
        try:
            answer = _work(run, record)
        except BaseException as error:
            outcome, reason = _outcome(error)
            _note_failure(run.project, record.tick(run, outcome, reason), run.shown)
            if not isinstance(error, RatchetError):
                raise
            return prefect_failures.failed(error, outcome == "refused", record.headline)
    return _ended(run.model, answer["decision"], answer["reason"], answer)


def _outcome(error: BaseException) -> tuple[str, str]:
    """Of a run that ends by an error: its outcome and the reason, as they are recorded."""
    if stop := stopping.found(error):
        return "stopped", str(stop)
    return "refused" if tasks.refusal(error) else "failed", _said(error)


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _work(run: RunContext, record: RunRecord) -> dict[str, Any]:
    """Every step of a run; returns what `ratchet run --json` prints.

    What follows the decision cannot undo it: it is recorded before, and told whatever happens.
    """
    start, project, model = time.monotonic(), run.project, run.model
    died = orphans.end(project, "retrain", model, UUID(run.flow_run)) > 0  # the last run of this model was killed
    watching.look(run)
    with context.graph(run) as graph:
        preflight.cache(graph.cache)
        saved = run.early.saved if run.early else refresh.records(graph)
        refreshed = _look_for_data(run, graph)
        due = _is_due(run, record, graph, refreshed)
        if due.name == "Skipped":
            skipped = {"format": 1, "model": model, "decision": "skipped", "reason": due.message}
            _record(run, record, skipped)
            _tell(run, skipped)
            return skipped
        made = _make(run, record, graph, due, refreshed, saved, died)
        page = data_report.passed(run, record, made.tags)
    published = _publish(run, made)
    unreached = _unreached(run)
    last_good.note(project, model, record.data, made.outputs.data_hash)
    decide = tasks.persistent(tasks.decide_champion, run)
    about = (run, made.outputs, published, made.uncommitted, record.because)
    answer: Any = decide("decide", *about, wait_for=[made.last], return_state=True).result()
    if published.fresh or answer["decision"] != "unchanged":
        _show(run, made, published, answer, refreshed.message or "", page)
    concluded = {
        "format": 1,
        "model": model,
        **answer,
        "version": published.version,
        "run_id": published.run_id,
        "model_hash": made.outputs.model_hash,
        "data_hash": made.outputs.data_hash,
        "test_hash": made.outputs.test_hash,
        "metrics": made.outputs.metrics,
        "constant": _constant(run, made.outputs) if answer["decision"] != "unchanged" else {},
        "stages": [stage.row for stage in made.stages],
        "unreached": unreached,
        "waiting": unended.told(project, run.declared.ingest),
        "untracked": provenance.added(project, made.tree),
        "uncommitted": made.uncommitted,
        "live": {},
    }
    _record(run, record, concluded)
    try:
        stages, live = going_live.make_live(run, made.outputs, published, concluded)
    finally:
        _tell(run, concluded)
    concluded |= {"stages": [*concluded["stages"], *(stage.row for stage in stages)], "live": live}
    return concluded | {"seconds": round(time.monotonic() - start, 2)}


def _constant(run: RunContext, found: StageOutputs) -> dict[str, float]:
    """What one answer to every test row reaches, by metric."""
    return constant_answers.scores(found.folder, run.declared.data, [*found.metrics])


# ------------------------------------------------------------------ its steps


def _look_for_data(run: RunContext, graph: Graph) -> State:
    state: Any = tasks.persistent(tasks.look_for_data, run)("refresh", run, graph, return_state=True)
    state.result()  # raises what the task raised
    return state


def _is_due(run: RunContext, record: RunRecord, graph: Graph, refreshed: State) -> State:
    """Whether there is a reason to train: a state named Skipped, or a state whose message is the reason.

    A person's command is always a reason; then it is the state of `refresh`.
    """
    if run.request.by_hand:
        state, case = refreshed, tasks.look(run, graph)
    else:
        due = tasks.persistent(tasks.decide_whether, run)
        state = due("due", run, graph, refreshed.message or "", wait_for=[refreshed], return_state=True)
        case = state.result()
    record.because = run.request.words if run.request.by_hand else state.message or ""
    record.data, record.rows, record.definition = case.data, case.rows, case.definition
    record.unfinished = case.before is not None and case.before.outcome == "began"
    return state


@dataclass(frozen=True)
class Reproduced:
    """The result of a run's stages."""

    outputs: StageOutputs
    stages: list[StageResult]
    tags: dict[str, str]  # of the run in MLflow
    tree: str  # what the stages ran from, in git's store; "" if none ran
    uncommitted: list[str]  # files of the stages that differ from the last commit
    last: State  # of the last stage


def _make(
    run: RunContext, record: RunRecord, graph: Graph, due: State, refreshed: State, saved: Any, died: bool
) -> Reproduced:
    """Run every stage. If one fails, MLflow and Prefect show it, and refused data are unpinned: see `saved`."""
    project, model = run.project, run.model
    attempts.write(project, record.tick(run, "began", due.message or ""))
    _make_room(run.logs)
    if died or record.unfinished:
        run.mlflow.send(remote_calls.end, project, model, "KILLED")
        told = {"model": model, "outcome": "failed", "reason": "the process of the last run died"}
        notify.tell(project, told, run.shown.notice)
    tags = _tags(run, record)
    failure_page.clear(project.data(model))
    try:
        return _stages(run, record, graph, due, tags)
    except BaseException as error:
        with suppress(Exception):  # an error here must not hide the failure
            prefect_artifacts.data(project, model, refreshed.message or "")
            if record.live:
                run.mlflow.call(remote_calls.end, project, model, _status(error))
        if isinstance(error, StageError) and tasks.refuses_data(error):
            data_report.refused(run, record, tags, error)
            refresh.restore(graph, saved)
        raise


def _stages(run: RunContext, record: RunRecord, graph: Graph, before: State, tags: dict[str, str]) -> Reproduced:
    """Every stage before the gate, in the order of the graph."""
    done: list[StageResult] = []

    def ran() -> bool:
        return any(stage.state != "Unchanged" for stage in done)

    with _measured(run), one_tree.held(run.project, graph, ran) as tree, lockfile.kept(run.project, graph):
        needs, state = graph.needs(), before
        states: dict[str, Any] = {"": before}
        for stage in graph.before_gate():
            waits = [states[needed] for needed in needs[stage] or {""}]
            name = stage.partition("@")[0]
            state = tasks.reproduce(
                name, run, graph, stage, tree.inputs, tags, record, wait_for=waits, return_state=True
            )
            states[stage] = state
            result: StageResult = states[stage].result()
            done.append(result)
            tags |= result.tags
        signed = graph.check_outputs(graph.before_gate())
    made = outputs.read(run.project, run.model, tree.inputs, signed)
    return Reproduced(made, done, tags, tree.hash, tree.uncommitted, state)


@contextmanager
def _measured(run: RunContext) -> Iterator[None]:
    """End the measurements of the stages after the last stage, or after one that fails."""
    try:
        yield
    finally:
        run.meter.end()


def _publish(run: RunContext, made: Reproduced) -> Published:
    """Publish. After a failure MLflow does not keep showing "running", and the next run continues."""
    publish = tasks.persistent(tasks.publish_version, run)
    arguments = ("publish", run, made.outputs, made.tags, made.tree)
    try:
        state: Any = publish(*arguments, wait_for=[made.last], return_state=True)
        published: Published = state.result()
    except UnreachableError:  # nor could that be said
        raise
    except BaseException as error:
        with suppress(Exception):
            run.mlflow.call(remote_calls.end, run.project, run.model, _status(error))
        raise
    return published


def _unreached(run: RunContext) -> str:
    """What to say where new rows came and none is a training row; a notice where nobody reads the last lines."""
    report = json.loads((run.project.data(run.model) / "clean.json").read_text(encoding="utf-8"))
    config = cast(Clean, run.declared.sections["clean"])
    said = reached.none_of_them(run.model, last_good.of(run.project, run.model), report, config)
    if said and not run.request.by_hand:
        run.shown.notice(said)
    return said


def _status(error: BaseException) -> str:
    """In MLflow, of a run that ends by an error."""
    return "KILLED" if stopping.found(error) else "FAILED"


def _show(
    run: RunContext, made: Reproduced, published: Published, answer: Any, refreshed: str, page: Page | None
) -> None:
    """On the run's page in Prefect."""
    prefect_artifacts.data(run.project, run.model, refreshed)
    if page is not None:
        prefect_artifacts.page(run.model, page)
    prefect_artifacts.show(run.project, run.model, made.outputs, published, answer)


# ------------------------------------------------------------------ what is written down


def _record(run: RunContext, record: RunRecord, answer: dict[str, Any]) -> None:
    """The line of a run that came to a decision."""
    attempts.write(run.project, record.tick(run, answer["decision"], answer["reason"]))


def _tell(run: RunContext, answer: dict[str, Any]) -> None:
    """Commit what a scheduled run has made, and tell whoever wants to know of decisions."""
    if answer["decision"] != "skipped":
        worktree.commit(run.project, run.model, f"{answer['decision']}: version {answer['version']}")
    keys = ("model", "reason", "version", "champion", "data_hash", "approval")
    told = {key: answer[key] for key in keys if key in answer}
    notify.tell(run.project, told | {"outcome": answer["decision"]}, run.shown.notice)


def _busy(project: Project, model: str, request: RunRequest, error: BusyError) -> State:
    """One run per model: a tick during another run is skipped, because that run looked for new data too."""
    reason = f"another run has not ended: {error.what}"
    attempts.write(project, Tick(model, "skipped", reason, request.trigger, _flow_run(), str(project.root)))
    return _ended(model, "skipped", reason)


def _ended(model: str, decision: str, reason: str, answer: dict[str, Any] | None = None) -> State:
    """The state that Prefect shows for the run, with the answer of `ratchet run --json`."""
    data = answer or {"format": 1, "model": model, "decision": decision, "reason": reason}
    return Completed(name=STATES.get(decision, decision.capitalize()), message=visible_text.line(reason), data=data)


def _note_failure(project: Project, tick: Tick, shown: Progress) -> None:
    """Record a failure, and notify once, not at every tick until somebody repairs it."""
    before = attempts.last(attempts.read(project, tick.model), lambda line: line.outcome != "began")
    with suppress(OSError):  # a full disk: the failure is reported; the missing line says that the run died
        attempts.write(project, tick)
    known = before is not None and (before.outcome, before.reason) == (tick.outcome, tick.reason)
    if tick.trigger != "command" and not known:  # at a terminal the person has seen it already
        told = {"model": tick.model, "outcome": tick.outcome, "reason": tick.reason}
        notify.tell(project, told, shown.notice)


def _make_room(logs: Path) -> None:
    """The folder of a run's logs; the oldest ones go."""
    logs.mkdir(parents=True, exist_ok=True)
    for old in sorted(logs.parent.iterdir(), key=lambda folder: folder.stat().st_mtime)[:-KEPT_LOGS]:
        shutil.rmtree(old, ignore_errors=True)


def _tags(run: RunContext, record: RunRecord) -> dict[str, str]:
    """Tags for the origin of a run: git, Prefect, its trigger and its data."""
    page = f"{lifecycle.address(run.project, 'prefect')}/runs/flow-run/{run.flow_run}"
    rhythm = {"ratchet.schedule": run.declared.schedule.words} if run.request.trigger == "schedule" else {}
    return (
        provenance.commit(run.project)
        | rhythm
        | {
            "prefect.flow_run_id": run.flow_run,
            "prefect.flow_run_url": page,
            "ratchet.trigger": run.request.trigger,
            "ratchet.because": visible_text.line(record.because)[:5000],
            "ratchet.pin": record.data,
        }
    )
