"""ratchet run: retrain one model."""

import importlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli import command_time
from flows.cli.answer import RETRAIN, Debug, Json, Model, State, answer, command
from flows.processes.stopping import Stopped, found
from flows.project import locks
from flows.project.environment import Project
from flows.run.trigger import RunRequest
from pipelines.errors import StageError

if TYPE_CHECKING:
    from flows.run.context import RunContext
    from flows.run.first_look.unchanged import Found
    from flows.servers.lifecycle import ForARun

MOST_NAMES = 8  # of files, in one line


@command(10, RETRAIN)
def run(
    model: Model = "digits",
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Fail if another run is active, instead of waiting.")
    ] = False,
    data: Annotated[str, typer.Option(metavar="HASH", help="Retrain on an earlier version of the data.")] = "",
    no_promote: Annotated[
        bool, typer.Option("--no-promote", help="Judge the new version, but leave the champion as it is.")
    ] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Retrain a model: refresh, stages, publish, gate, promote."""

    def work(project: Project) -> State:
        from flows.access import persons

        request = RunRequest(data=data, promote=not no_promote, started_by=persons.here(project.state).name)
        try:
            return do_run(project, model, as_json, not no_wait, request)
        except KeyboardInterrupt as error:
            raise Stopped((found(error) or Stopped()).number, _go_on(project, model)) from error

    answer(work, run_text, as_json, debug)


def _go_on(project: Project, model: str) -> str:
    """What comes of a run that was stopped, if it is repeated."""
    from flows.records import epochs

    epoch = epochs.kept(project.data(model))
    return f"run again to go on after epoch {epoch}" if epoch else "run again: the finished stages are kept"


def do_run(
    project: Project, model: str, quiet: bool, wait: bool = True, request: RunRequest | None = None
) -> dict[str, Any]:
    """Retrain one model. Raises RatchetError with the paragraph that says what to do.

    wait: whether to wait for another run that holds what this one needs, or to raise BusyError.
    """
    from flows.cli import flow_session
    from flows.graph import model_list
    from flows.processes import fork_pool
    from flows.run import context, rhythm
    from flows.run.first_look import unchanged
    from flows.servers import lifecycle

    declared = context.checked(project, model)
    shown = flow_session.watched(quiet)
    if model_list.add(project, model):
        shown.notice(f"{model} is new in dvc.yaml, in the list of models")
    what, shared = f"ratchet run {model}", flow_session.is_shared(project)
    with ExitStack() as stack:
        if not shared:  # two embedded servers must not share a database: one run at a time
            stack.enter_context(locks.hold(project, "run", what, wait, shown.notice))
        stack.enter_context(locks.hold(project, f"model-{model}", what, wait, shown.notice))
        opened = stack.enter_context(context.opened(project, declared, request or RunRequest(), shown))
        server = stack.enter_context(lifecycle.for_a_run(project))
        if stage := fork_pool.first_stage(project, declared):  # imported there while Prefect is imported here
            opened.pool.begin(stage, declared.train)
            server.begin()
        else:
            opened.mlflow.begin()
        if stage:  # else the YAML is that of the last result
            rhythm.check(model, declared.schedule)
        if opened.request.data:
            _check_data(opened, opened.request.data)
        else:
            opened = stack.enter_context(_looked(opened))
        looked = unchanged.look(opened, opened.early) if opened.early else None
        made = _noted(opened, server, looked) if looked else _in_a_flow(opened, server)
    return made | {"next": made.get("next") or _next(project), "seconds": command_time.so_far()}


@contextmanager
def _looked(run: "RunContext") -> Iterator["RunContext"]:
    """The run, with what can be known before its flow. What fails here fails in the flow again, where it is shown."""
    from flows.run.first_look import early

    with ExitStack() as stack:
        try:
            found = stack.enter_context(early.begun(run))
        except Exception:
            found = None
        yield replace(run, early=found)


def _noted(run: "RunContext", server: "ForARun", looked: "Found") -> dict[str, Any]:
    """The answer of a run that found nothing changed, recorded; a Prefect server that is up shows it, too."""
    from flows.cli import flow_session

    if not server.is_up:
        looked.record(run)
        return looked.answer
    from flows.run.first_look import shown

    with flow_session.server(run.project, run.shown, server):
        shown.in_prefect(run, looked.steps, looked.answer, lambda flow_run: looked.record(run, flow_run))
    return looked.answer


def _in_a_flow(run: "RunContext", server: "ForARun") -> dict[str, Any]:
    from flows.cli import flow_session

    server.begin()
    importlib.import_module("flows.retrain")  # and with it Prefect: two seconds, in which the server starts
    with flow_session.server(run.project, run.shown, server):
        return _retrain(run)


def _check_data(opened: "RunContext", word: str) -> None:
    """Raises RequestError if no version of the data can be meant: before a run begins, so that none is recorded."""
    from flows.data import refresh
    from flows.run import remote_calls

    pin, _ = opened.mlflow.call(remote_calls.pinned, opened.project, opened.model, word)
    refresh.check_source(opened.declared, pin)


def _retrain(opened: "RunContext") -> dict[str, Any]:
    from prefect import tags

    from flows import retrain

    try:
        with tags(opened.project.clone):
            return retrain.by_hand(opened)
    except StageError as error:
        back = f"The champion is as it was; `ratchet restore {opened.model}` brings the workspace back to its data."
        raise StageError(error.stage, f"{error} {back}", error.status) from error


def _next(project: Project) -> str:
    from flows.cli import flow_session
    from flows.servers import lifecycle

    if flow_session.is_shared(project):
        return f"MLflow {lifecycle.address(project, 'mlflow')}, Prefect {lifecycle.address(project, 'prefect')}"
    return "`ratchet up` opens the pages of MLflow and Prefect, `ratchet status` shows every model"


def run_text(found: State) -> str:
    metrics = ", ".join(_metric(name, value, found.get("constant", {})) for name, value in found["metrics"].items())
    champion = f"version {found['champion']}" if found["champion"] else "none"
    return "\n".join(
        [
            "",
            f"{found['model']}: {found['decision']}: {found['reason']}.",
            f"  version   {found['version']}, champion: {champion}",
            f"  test      {metrics}",
            f"  took      {found['seconds']:.1f} s",
            *([f"  training  {found['unreached']}"] if found["unreached"] else []),
            *(f"  waiting   {words}" for words in found.get("waiting", [])),
            *_untracked(found["untracked"]),
            f"  next      {found['next']}",
        ]
    )


def _metric(name: str, value: float, constant: dict[str, float]) -> str:
    """With what one answer to every row reaches, if it is known."""
    return f"{name} {value:.4g}" + (f" (constant answer: {constant[name]:.4g})" if name in constant else "")


def _untracked(names: list[str]) -> list[str]:
    """What of the tree of a run nobody has committed: it is pushed with the refs of the runs."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    told = f"not committed, and in the run's own commit: {', '.join(names[:MOST_NAMES])}{more}"
    return [f"  recorded  {told}"] if names else []
