"""ratchet run: retrain one model."""

from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from flows.cli.answer import Debug, Json, Model, State, answer, command
from flows.project import locks
from flows.project.environment import Project
from flows.run.trigger import RunRequest
from pipelines.errors import StageError

if TYPE_CHECKING:
    from flows.run.context import RunContext

MOST_NAMES = 8  # of files, in one line


@command(10)
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
    request = RunRequest(data=data, promote=not no_promote)
    answer(lambda project: do_run(project, model, as_json, not no_wait, request), run_text, as_json, debug)


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

    declared = context.checked(project, model)
    shown = flow_session.watched(quiet)
    if model_list.add(project, model):
        shown.notice(f"{model} is new in dvc.yaml, in the list of models")
    what = f"ratchet run {model}"
    with ExitStack() as stack:
        if not flow_session.is_shared(project):  # two embedded servers must not share a database: one run at a time
            stack.enter_context(locks.hold(project, "run", what, wait, shown.notice))
        stack.enter_context(locks.hold(project, f"model-{model}", what, wait, shown.notice))
        opened = stack.enter_context(context.opened(project, declared, request or RunRequest(), shown))
        if stage := fork_pool.first_stage(project, declared):  # imported there while Prefect is imported here
            opened.pool.begin(stage, declared.train)
        else:
            opened.mlflow.begin()
        rhythm.check(model, declared.schedule)  # it imports Prefect, while those import what they need
        if request and request.data:
            _check_data(opened, request.data)
        stack.enter_context(flow_session.server(project, shown))
        found = _retrain(opened)
        return found | {"next": found.get("next") or _next(project)}


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
    metrics = ", ".join(f"{name} {value:.4g}" for name, value in found["metrics"].items())
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


def _untracked(names: list[str]) -> list[str]:
    """What of the tree of a run nobody has committed: it is pushed with the refs of the runs."""
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    told = f"not committed, and in the run's own commit: {', '.join(names[:MOST_NAMES])}{more}"
    return [f"  recorded  {told}"] if names else []
