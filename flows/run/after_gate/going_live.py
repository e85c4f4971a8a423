"""The stages after the gate, and what is live on this machine then."""

from typing import Any

from prefect.client.schemas.objects import State

from flows.deployment import freshness, live_file
from flows.graph import lockfile
from flows.promotion.waiting import Experiment
from flows.records.outputs import Published, StageOutputs
from flows.report import prefect_artifacts
from flows.run import context, remote_calls, tasks
from flows.run.context import RunContext, RunRecord
from flows.run.tasks import StageResult
from pipelines.errors import RatchetError

COMPRESS, EXPLAIN = "compress", "explain"  # the stages that make smaller forms, and explanations


def make_live(
    run: RunContext, found: StageOutputs, published: Published, concluded: dict[str, Any]
) -> tuple[list[StageResult], dict[str, Any]]:
    """The stages after the gate, the form in which the version answers, and what is live on this machine then.

    A stage that fails makes the run fail, because a failed stage is never a green run; the next run does it again. The
    decision stands, and the champion is live all the same: the model itself answers. Smaller forms that cannot be
    judged are told in a line, and what answered before answers on; the next run judges them. So is a champion that
    cannot be made live: the run has done its work, and `ratchet serve` tries again.
    """
    stages, failure = list[StageResult](), None
    try:
        stages = _after_gate(run)
    except RatchetError as error:
        failure = error
    if any(stage.name == COMPRESS for stage in stages):
        _choose(run, found, published, concluded)
    work = tasks.persistent(deploy, run)
    names = [stage.name for stage in stages]
    state: Any = work("deploy", run, published, names, return_state=True)
    live = {} if state.is_failed() else state.result()
    if state.is_failed() or (live.get("problem") and concluded["champion"]):
        problem = live.get("problem") or state.result(raise_on_failure=False)
        run.shown.notice(f"not live on this machine: {problem} `ratchet serve` tries again.")
    if failure is not None:
        decided = f"The decision stands ({concluded['decision']}: version {concluded['version']})."
        raise RatchetError(str(failure), f"{decided} `ratchet run {run.model}` tries this stage again.") from failure
    return stages, live


def _after_gate(run: RunContext) -> list[StageResult]:
    """The stages that nothing waits for. Raises StageError, IntegrityError if their inputs are not what was decided."""
    done: list[StageResult] = []
    with context.graph(run) as graph, lockfile.kept(run.project, graph):
        for stage in graph.after_gate():
            name = stage.partition("@")[0]
            state: Any = tasks.reproduce(name, run, graph, stage, "", {}, RunRecord(), return_state=True)
            done.append(state.result())
        graph.check_outputs(graph.after_gate())
    return done


def _choose(run: RunContext, found: StageOutputs, published: Published, concluded: dict[str, Any]) -> None:
    """Choose the form in which the version answers; told on the run's page.

    A run that moves no champion by itself (an experiment) changes nothing of what is served either.
    """
    uncommitted = [] if concluded["decision"] == "accepted" else concluded["uncommitted"]
    if experiment := Experiment(not run.request.promote, uncommitted):
        if run.declared.compress.wanted:
            run.shown.notice(f"no smaller form is chosen, because {experiment.why()}")
        return
    state: Any = tasks.persistent(choose, run)("choose", run, found, published, return_state=True)
    if state.is_failed():
        told = state.result(raise_on_failure=False)
        run.shown.notice(
            f"no smaller form was chosen: {told} What answered before answers on; the next run tries again."
        )
        return
    answer: dict[str, Any] = state.result()
    if answer["forms"] and answer["state"] == "Ran":
        prefect_artifacts.forms(run.model, answer)


@tasks.step
def choose(name: str, run: RunContext, found: StageOutputs, published: Published) -> State:
    """Judge the smaller forms of the version, and choose the one that answers. The answer is the data of the state."""

    def work() -> tuple[str, str]:
        answer.update(run.mlflow.call(remote_calls.choose_form, run.project, run.declared, found, published))
        said = f"{answer['served_as'] or 'the version itself'} answers" if answer["forms"] else answer["reason"]
        return str(answer["state"]), said

    answer: dict[str, Any] = {}
    return tasks.timed(run, name, work, lambda: answer)


@tasks.step
def deploy(name: str, run: RunContext, published: Published, stages: list[str]) -> State:
    """Publish the serving files and the explanations, if stages made some, and make the champion live on this machine.

    The data of the state says what is live (flows/deployment/deploy.py).
    """

    def work() -> tuple[str, str]:
        if stages:
            run.mlflow.call(remote_calls.publish_serving, run.project, run.model, published)
        explained = EXPLAIN in stages and run.mlflow.call(
            remote_calls.publish_explanations, run.project, run.model, published
        )
        there = live_file.read(run.project, run.model)
        unmade = explained or (stages and there and there.unmade)
        if freshness.fresh(run.project, run.model) and not unmade:
            return "Unchanged", ""
        live.update(run.mlflow.call(remote_calls.make_live, run.project, run.model))
        return "Ran", words(live)

    live: dict[str, Any] = {}
    return tasks.timed(run, name, work, lambda: live)


def words(live: dict[str, Any]) -> str:
    """In words. live: of `deploy`."""
    if live["problem"]:
        return str(live["problem"])
    if live["version"] is None:
        return "there is no champion to be live"
    by = "ONNX" if live["runtime"] == "onnx" else f"Keras, because {live['why']}"
    form = f" as {live['variant']}" if live["variant"] else ""
    return f"version {live['version']} is live{form}, answered by {by}"
