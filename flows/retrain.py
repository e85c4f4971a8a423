"""Retrain: the main job, in order.

refresh the pin -> every stage of dvc.yaml as a task -> publish to MLflow -> decide about the champion
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from prefect import flow, runtime, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows import (
    abandoned,
    artifacts,
    environment,
    epochs,
    graph,
    lifeline,
    lockfile,
    made,
    progress,
    provenance,
    refresh,
    servers,
    times,
    tracker,
)
from flows.environment import Project
from flows.graph import Graph
from flows.made import Made
from flows.progress import Progress
from flows.tracker import Tracker
from pipelines import declaration, seal
from pipelines.declaration import Declaration
from pipelines.errors import IntegrityError

step = task(cache_policy=NO_CACHE, task_run_name="{name}")  # DVC keeps what was made; Prefect keeps times and states


@dataclass
class Run:
    """What the tasks of one run share."""

    project: Project
    declared: Declaration
    tracker: Tracker
    logs: Path
    shown: Progress
    tags: dict[str, str]
    tree: str = ""  # what the stages ran from, in git's store; "" if none ran
    stages: list[dict[str, Any]] = field(default_factory=list)
    live: bool = False  # whether MLflow has heard of this run

    @property
    def model(self) -> str:
        return self.declared.model


@flow(name="retrain", flow_run_name="{model}")
def retrain(model: str) -> dict[str, Any]:
    """Retrain one model; returns the summary that `ratchet run --json` prints. The flow fails if a stage does."""
    start = time.monotonic()
    project, declared = environment.find(), declaration.check(model)
    logs = project.state / "logs" / "runs" / str(runtime.flow_run.id)
    logs.mkdir(parents=True, exist_ok=True)
    with (
        lifeline.held(project),
        tracker.shared(project) as mlflow,
    ):
        if abandoned.end(project, "retrain", model, UUID(str(runtime.flow_run.id))):
            mlflow.send("tracking.end", project, model, "KILLED")
        run = Run(project, declared, mlflow, logs, progress.current(), _tags(project))
        try:
            found, last = _bring_up_to_date(run)
        except BaseException:
            if run.live:
                mlflow.call("tracking.end", project, model, "FAILED")
            raise
        published: Any = publish_version("publish", run, found, wait_for=[last])
        answer: Any = decide_champion("decide", run, found, published)
    if published.fresh or answer["decision"] != "unchanged":
        artifacts.show(project, model, found, published, answer)
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
        "seconds": round(time.monotonic() - start, 2),
    }


def _bring_up_to_date(run: Run) -> tuple[Made, State]:
    """Pin, then every stage in the order of the graph; returns what they made, and the last one's state."""
    with Graph(run.project, run.model) as graph:
        state = look_for_data("refresh", run, graph, return_state=True)
        state.result()  # raises what the task raised
        with _of_one_tree(run, graph) as inputs, lockfile.kept(run.project, graph):
            needs, states = graph.needs(), {"refresh": state}
            for stage in graph.order():
                before = [states[needed] for needed in needs[stage] or {"refresh"}]
                name = stage.partition("@")[0]
                state = reproduce(name, run, graph, stage, inputs, wait_for=before, return_state=True)
                state.result()
                states[stage] = state
    return made.read(run.project, run.model, inputs), state


@contextmanager
def _of_one_tree(run: Run, opened: Graph) -> Iterator[str]:
    """Around the stages; gives the hash of their inputs. Raises IntegrityError if these changed from first to last.

    Each stage is sealed while it runs (pipelines/seal.py). This is about the time between stages, and about files that
    a stage has made: without it a run could be of two trees, and be named after one.
    """
    inputs, signed = opened.inputs(), seal.sign(opened.sources())
    yield graph.inputs_hash(inputs)
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


@step
def look_for_data(name: str, run: Run, graph: Graph) -> State:
    """Pin what the source holds now."""
    return _timed(run, name, lambda: refresh.refresh(run.project, graph, run.declared))


@step
def reproduce(name: str, run: Run, graph: Graph, stage: str, inputs: str) -> State:
    """Bring one stage up to date. Raises StageError if its command fails."""
    start, log = time.monotonic(), run.logs / name
    with epochs.followed(run.project.data(run.model) / "history.csv", _watcher(run, inputs), only=name == "train"):
        state = _timed(run, name, lambda: (graph.reproduce(stage, log), progress.notes(log)))
    seconds = round(time.monotonic() - start, 2)
    run.stages.append({"name": name, "state": state.name, "seconds": seconds})
    if state.name == "Ran":
        times.note(run.project, run.model, name, seconds)
    return state


@step
def publish_version(name: str, run: Run, found: Made) -> Any:
    """One MLflow run and one registered version. Raises RatchetError if the tracking store cannot be used."""

    def work() -> tuple[str, str]:
        answer.append(run.tracker.call("publish.publish", run.project, run.declared, found, run.tags, run.tree))
        return "Ran" if answer[0].fresh else "Unchanged", f"version {answer[0].version}"

    answer: list[Any] = []
    _timed(run, name, work)
    return answer[0]


@step
def decide_champion(name: str, run: Run, found: Made, published: Any) -> dict[str, Any]:
    """Judge the version, and move the alias or say why not."""

    def work() -> tuple[str, str]:
        answer.update(run.tracker.call("decide.decide", run.project, run.declared, found, published))
        return "Unchanged" if answer["decision"] == "unchanged" else "Ran", str(answer["decision"])

    answer: dict[str, Any] = {}
    _timed(run, name, work)
    return answer


def _timed(run: Run, name: str, work: Callable[[], tuple[str, str]]) -> State:
    """Do one step and show it; returns a state with the name of what happened. work() returns (name, note)."""
    start, state, note = time.monotonic(), "Failed", ""
    run.shown.begin(name)
    try:
        state, note = work()
    finally:
        run.shown.end(name, state, time.monotonic() - start, note)
    return Completed(name=state, message=note or None)


def _watcher(run: Run, inputs: str) -> Callable[[list[epochs.Epoch]], None]:
    """Shows each epoch, and forwards it to MLflow while the stage trains. inputs: the hash that names the run."""
    total = run.declared.train.epochs

    def report(found: list[epochs.Epoch]) -> None:
        run.live = True
        run.shown.detail(progress.told(found[-1], total))
        run.tracker.send("tracking.forward", run.project, run.declared.raw, run.model, inputs, run.tags, found)

    return report


def _tags(project: Project) -> dict[str, str]:
    """Where a run comes from: git, Prefect, what started it."""
    page = f"{servers.address(project, 'prefect')}/runs/flow-run/{runtime.flow_run.id}"
    return provenance.commit(project) | {
        "prefect.flow_run_id": str(runtime.flow_run.id),
        "prefect.flow_run_url": page,
        "ratchet.trigger": "command",
    }
