"""Retrain: the main job, in order.

refresh the pin -> is it due? -> every stage of dvc.yaml as a task -> publish to MLflow -> decide about the champion
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.context import TagsContext
from prefect.states import Completed

from flows.data import last_good, refresh
from flows.graph import lockfile, provenance, untracked, worktree
from flows.graph.pipeline import Graph, inputs_hash
from flows.processes import fork_pool, orphans
from flows.project import environment, lifeline, locks, preflight
from flows.project.environment import Project
from flows.records import attempts, outputs
from flows.records.attempts import Tick
from flows.records.outputs import Made
from flows.report import failure_page, prefect_artifacts, progress
from flows.run import data_report, notify, tasks, trigger
from flows.run.tasks import Run
from flows.run.trigger import Asked
from flows.servers import lifecycle
from flows.tracking import mlflow_process
from pipelines import model_file, visible_text
from pipelines.config import settings
from pipelines.errors import BusyError, IntegrityError, RatchetError, StageError, UnreachableError
from pipelines.hardware import gpus
from pipelines.process import seal

KEPT_LOGS = 200  # of runs
STATES = {"accepted": "Promoted"}  # the name of the state in which a run ends; of the others it is the decision's


@flow(name="retrain", flow_run_name="{model}")
def retrain(model: str, force: bool = False, reason: str = "") -> State:
    """Look for new data, and retrain one model if there is reason to.

    Hyperparameters are no parameters: models/<model>.yaml defines the model.

    Args:
        model: A model of models/, by its file's name.
        force: Retrain though nothing is new.
        reason: Why, for the record.
    """
    settings.check_name(model)  # before a lock, a log or a line of the ticks is named after it
    wanted = trigger.current(force, reason)
    project = environment.find() if wanted.by_hand else environment.join()
    if not wanted.by_hand:
        progress.use(prefect_artifacts.Logged())
    with ExitStack() as stack:
        try:
            if not wanted.by_hand:  # a command holds it already, having waited for it if that was asked for
                stack.enter_context(locks.hold(project, f"model-{model}", f"retraining of {model}", wait=False))
            run = _begin(project, model, wanted)
        except BusyError as error:
            return _busy(project, model, wanted, error)
        except RatchetError as error:
            _failed(project, Tick(model, "refused", str(error), wanted.trigger, _flow_run(), str(project.root)))
            raise
        stack.enter_context(lifeline.held(project))
        run.warm = stack.enter_context(fork_pool.shared(project))
        # the flow run has the clone's tag; of every task that has one Prefect asks the server whether it may begin
        stack.enter_context(TagsContext(current_tags=set()))
        answer = _noted(run, stack)
    return _ended(model, answer["decision"], answer["reason"], answer)


def _begin(project: Project, model: str, wanted: Asked) -> Run:
    """Raises RequestError, before any data is read, if the model cannot be trained here as it is declared."""
    logs = project.state / "logs" / "runs" / _flow_run()
    declared = model_file.check(model)
    gpus.require(declared.train.device)
    gpus.require(declared.evaluate.device, key="evaluate.device")
    preflight.check(project, model)
    return Run(project, declared, wanted, _flow_run(), logs, progress.current())


def _flow_run() -> str:
    return str(runtime.flow_run.id)


def _busy(project: Project, model: str, wanted: Asked, error: BusyError) -> State:
    """One run per model: a tick during another run is skipped, since that one began by looking for news too."""
    reason = f"another run has not ended: {error.what}"
    attempts.write(project, Tick(model, "skipped", reason, wanted.trigger, _flow_run(), str(project.root)))
    return _ended(model, "skipped", reason)


def _ended(model: str, decision: str, reason: str, answer: dict[str, Any] | None = None) -> State:
    """The state in which Prefect shows the run, with what `ratchet run --json` prints."""
    data = answer or {"format": 1, "model": model, "decision": decision, "reason": reason}
    return Completed(name=STATES.get(decision, decision.capitalize()), message=visible_text.line(reason), data=data)


def _noted(run: Run, stack: ExitStack) -> dict[str, Any]:
    """Do it; what came of it is written down, committed and told, however it ends."""
    try:
        answer = _work(run, stack)
    except BaseException as error:
        outcome, reason = "refused" if tasks.refusal(error) else "failed", str(error) or type(error).__name__
        _failed(run.project, run.tick(outcome, reason))
        raise
    attempts.write(run.project, run.tick(answer["decision"], answer["reason"]))
    if answer["decision"] != "skipped":
        worktree.commit(run.project, run.model, f"{answer['decision']}: version {answer['version']}")
    told = {key: answer[key] for key in ("model", "reason", "version", "champion", "data_hash") if key in answer}
    notify.tell(run.project, told | {"outcome": answer["decision"]}, run.shown.notice)
    return answer


def _failed(project: Project, tick: Tick) -> None:
    """Write it down; those who wait for news are told once, not at every tick until somebody has time for it."""
    before = attempts.last(attempts.read(project, tick.model), lambda line: line.outcome != "began")
    with suppress(OSError):  # a full disk: what has failed is told; the line that is missing says that the run died
        attempts.write(project, tick)
    known = before is not None and (before.outcome, before.reason) == (tick.outcome, tick.reason)
    if tick.trigger != "command" and not known:  # a person at a terminal has been told already
        told = {"model": tick.model, "outcome": tick.outcome, "reason": tick.reason}
        notify.tell(project, told, progress.current().notice)


def _work(run: Run, stack: ExitStack) -> dict[str, Any]:
    start, project, model = time.monotonic(), run.project, run.model
    if run.asked.by_hand:
        run.tracker = stack.enter_context(mlflow_process.shared(project))
    run.died = orphans.end(project, "retrain", model, UUID(run.flow_run)) > 0
    with Graph(project, model) as graph:
        preflight.cache(graph.cache)
        found, last = _bring_up_to_date(run, graph, stack)
    if found is None:
        return {"format": 1, "model": model, "decision": "skipped", "reason": last.message}
    publish, decide = (tasks.persistent(step, run) for step in (tasks.publish_version, tasks.decide_champion))
    with _ended_in_mlflow(run):
        last = publish("publish", run, found, wait_for=[last], return_state=True)
        published: Any = last.result()
    last_good.note(project, model, run.data, found.data_hash)
    answer: Any = decide("decide", run, found, published, wait_for=[last], return_state=True).result()
    if published.fresh or answer["decision"] != "unchanged":
        prefect_artifacts.data(project, model, run.refreshed)
        data_report.show(run)
        prefect_artifacts.show(project, model, found, published, answer)
    return {
        "format": 1,
        "model": model,
        **answer,
        "version": published.version,
        "run_id": published.run_id,
        "model_hash": found.model_hash,
        "data_hash": found.data_hash,
        "test_hash": found.test_hash,
        "metrics": found.metrics,
        "stages": run.stages,
        "untracked": provenance.added(project, run.tree),
        "seconds": round(time.monotonic() - start, 2),
    }


def _bring_up_to_date(run: Run, graph: Graph, stack: ExitStack) -> tuple[Made | None, State]:
    """Pin, decide whether, then every stage; returns what they made (None: not due), and the last one's state."""
    project = run.project
    saved = refresh.records(graph)
    state: Any = tasks.persistent(tasks.look_for_data, run)("refresh", run, graph, return_state=True)
    state.result()  # raises what the task raised
    run.refreshed = state.message or ""
    if run.asked.by_hand:
        tasks.look(run, graph)
    else:
        state = tasks.persistent(tasks.decide_whether, run)("due", run, graph, wait_for=[state], return_state=True)
        state.result()
    if state.name == "Skipped":
        return None, state
    attempts.write(project, run.tick("began", state.message or ""))
    _make_room(run.logs)
    run.tracker = run.tracker or stack.enter_context(mlflow_process.shared(project))
    if run.died:
        run.tracker.send("tracking.mlflow_runs.end", project, run.model, "KILLED")
        told = {"model": run.model, "outcome": "failed", "reason": "the process of the last run died"}
        notify.tell(project, told, run.shown.notice)
    run.tags = _tags(run)
    failure_page.clear(project.data(run.model))
    try:
        found, state = _stages(run, graph, state)
    except BaseException as error:
        with suppress(Exception):  # whatever it is, it does not hide what has failed
            prefect_artifacts.data(project, run.model, run.refreshed)
            if run.live:
                run.call("tracking.mlflow_runs.end", project, run.model, "FAILED")
        if isinstance(error, StageError) and error.stage.partition("@")[0] in tasks.OF_DATA and tasks.refusal(error):
            data_report.refused(run, error)
            refresh.restore(graph, saved)
        raise
    data_report.passed(run)
    return found, state


@contextmanager
def _ended_in_mlflow(run: Run) -> Iterator[None]:
    """Around publishing: should it fail, MLflow does not go on to say "running"; the next run takes it up again."""
    try:
        yield
    except UnreachableError:  # nor could that be said
        raise
    except BaseException:
        with suppress(Exception):
            run.call("tracking.mlflow_runs.end", run.project, run.model, "FAILED")
        raise


def _stages(run: Run, graph: Graph, before: State) -> tuple[Made, State]:
    """Every stage, in the order of the graph."""
    with _measured(run), _of_one_tree(run, graph) as inputs, lockfile.kept(run.project, graph):
        needs, states, state = graph.needs(), {"": before}, before
        for stage in graph.order():
            waits = [states[needed] for needed in needs[stage] or {""}]
            name = stage.partition("@")[0]
            state = tasks.reproduce(name, run, graph, stage, inputs, wait_for=waits, return_state=True)
            state.result()
            states[stage] = state
        signed = graph.check_outputs()
    return outputs.read(run.project, run.model, inputs, signed), state


@contextmanager
def _measured(run: Run) -> Iterator[None]:
    """What the first stages that run have begun to measure ends with the last one, or with one that fails."""
    try:
        yield
    finally:
        run.measure("end")


def _make_room(logs: Path) -> None:
    """The folder of a run's logs; the oldest ones go."""
    logs.mkdir(parents=True, exist_ok=True)
    for old in sorted(logs.parent.iterdir(), key=lambda folder: folder.stat().st_mtime)[:-KEPT_LOGS]:
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def _of_one_tree(run: Run, opened: Graph) -> Iterator[str]:
    """Around the stages; gives the hash of their inputs. Raises IntegrityError if these changed from first to last.

    Each stage is sealed while it runs (pipelines/process/seal.py). This is about the time between stages, and about
    files that a stage has made: without it a run could be of two trees, and be named after one.
    """
    untracked.check(run.project, [*opened.sources(), run.project.root / "models" / f"{run.model}.yaml"])
    inputs, signed = opened.inputs(), seal.sign(opened.sources())
    yield inputs_hash(inputs)
    if any(stage["state"] != "Unchanged" for stage in run.stages):
        run.tree = provenance.tree(run.project)
    moved = [str(path.relative_to(run.project.root)) for path in seal.changed(signed)]
    if opened.inputs() != inputs:
        moved.append(f"models/{run.model}.yaml")
    if found := [*moved, *lockfile.torn(lockfile.effective(run.project, run.model))]:
        raise IntegrityError(
            f"{found[0]} changed while {run.model} was being made, so it is not known what it was made of: nothing is "
            "published.",
            "Run again when nothing edits the project's files.",
        )


def _tags(run: Run) -> dict[str, str]:
    """Where a run comes from: git, Prefect, what started it, and on which data."""
    page = f"{lifecycle.address(run.project, 'prefect')}/runs/flow-run/{run.flow_run}"
    rhythm = {"ratchet.schedule": run.declared.schedule.words} if run.asked.trigger == "schedule" else {}
    return (
        provenance.commit(run.project)
        | rhythm
        | {
            "prefect.flow_run_id": run.flow_run,
            "prefect.flow_run_url": page,
            "ratchet.trigger": run.asked.trigger,
            "ratchet.pin": run.data,
        }
    )
