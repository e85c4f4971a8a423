"""ratchet rollback, promote and restore: what a person decides about the champion."""

from pathlib import Path
from typing import Annotated, Any

import typer

from flows.cli.answer import CHAMPION, Debug, Json, Model, State, answer, command
from flows.project import locks, scratch
from flows.project.environment import Project
from pipelines.errors import RatchetError, RequestError


@command(100, CHAMPION)
def rollback(
    model: Model,
    hold: Annotated[bool, typer.Option("--hold", help="Promote nothing more until a person does.")] = False,
    reason: Annotated[str, typer.Option(help="Why, for the ledger.")] = "",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make the previous champion champion again. The version that loses the alias is blocked (a veto)."""
    answer(lambda project: do_rollback(project, model, reason, hold), move_text, as_json, debug)


def do_rollback(project: Project, model: str, reason: str, hold: bool) -> dict[str, Any]:
    """The champion before this one is champion again. Raises RequestError if there is none."""
    from flows.promotion import champion_alias
    from pipelines.config import settings

    settings.check_name(model)
    return live(project, champion_alias.rollback(project, model, reason, hold))


@command(90, CHAMPION)
def promote(
    model: Model,
    version: Annotated[int | None, typer.Argument(help="A version of the registry.")] = None,
    reason: Annotated[str, typer.Option(help="Why, for the ledger.")] = "",
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Take over an alias that was changed outside Ratchet.")
    ] = False,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="With approvals: your token. Else RATCHET_TOKEN, or your user."),
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a version champion by hand. The gate does not judge it, and the ledger says so.

    Where `promote: approval:` asks for persons, it waits for their approval. Yours counts, if you are one of them.
    """
    answer(lambda project: do_promote(project, model, version, reason, adopt, token_file), move_text, as_json, debug)


def do_promote(
    project: Project, model: str, version: int | None, reason: str, adopt: bool, token_file: Path | None = None
) -> dict[str, Any]:
    """A person's decision. Raises RequestError if it says neither why, nor which version or `adopt`."""
    from flows.access import persons
    from flows.promotion import approving, champion_alias
    from pipelines.config import settings

    settings.check_name(model)
    if not reason.strip():
        raise RequestError(f"Promoting {model} by hand needs a reason for the ledger.", "Add --reason '...'.")
    if adopt == (version is not None):
        raise RequestError("Say which version to promote, or take over a changed alias with --adopt: one of them.")
    if version is not None:
        rules = champion_alias.approval_of(model)
        if rules is None:
            return live(project, champion_alias.promote(project, model, version, reason))
        person = persons.here(project.state, token_file)
        person.check("promote a version")
        asked = champion_alias.promote(project, model, version, reason, person)
        if person.name in rules.by:
            asked |= approving.approve(project, model, version, "asked for it", person)
        return live(project, asked)
    return live(project, champion_alias.adopt(project, model, reason))


def live(project: Project, moved: dict[str, Any]) -> dict[str, Any]:
    """The answer of a move, and what is live on this machine after it. A failure cannot undo the move: it is told."""
    from flows.deployment import deploy

    try:
        live = deploy.now(project, moved["model"])
    except RatchetError as error:
        live = {"version": None, "variant": "", "runtime": "", "why": "", "problem": str(error)}
    return moved | {"live": live}


def move_text(found: State) -> str:
    """Of `ratchet rollback` and `promote`."""
    before = f"version {found['from']}" if found["from"] else "none"
    champion = f"version {found['champion']}" if found["champion"] else "none"
    return "\n".join(
        [
            f"{found['model']}: {found['action']}: the champion is {champion}.",
            f"  before    {before}",
            f"  reason    {found['reason']}",
            f"  live      {live_text(found['live'])}",
            f"  next      `ratchet history {found['model']}` shows every move,",
            f"            `ratchet restore {found['model']}` brings the workspace to the champion's data",
        ]
    )


def live_text(live: State) -> str:
    """What is live on this machine after a move."""
    if live["problem"]:
        return f"not on this machine: {live['problem']} `ratchet serve` tries again."
    by = "ONNX" if live["runtime"] == "onnx" else f"Keras: {live['why']}"
    form = f" as {live['variant']}" if live["variant"] else ""
    return f"version {live['version']}{form}, answered by {by}"


@command(110, CHAMPION)
def restore(model: Model, as_json: Json = False, debug: Debug = False) -> None:
    """Bring data/MODEL and its entries in dvc.lock back to what the champion was made of."""
    answer(lambda project: do_restore(project, model), lambda found: found["restored"], as_json, debug)


def do_restore(project: Project, model: str) -> dict[str, Any]:
    """Bring pin, dvc.lock entries and outputs back to the champion's. Raises RequestError if there is no champion."""
    from flows.data import versions
    from flows.graph import lockfile
    from flows.graph.pipeline import Graph
    from flows.registry import definition, model_registry
    from flows.tracking import mlflow_runs
    from pipelines import model_file

    model_file.check(model)
    with locks.hold(project, f"model-{model}", f"ratchet restore {model}"), mlflow_runs.reachable(project):
        store = mlflow_runs.client(project)
        champion = model_registry.champion(store, model)
        if champion is None:
            raise RequestError(f"{model} has no champion to go back to.", f"Run `ratchet run {model}` first.")
        with scratch.folder("restore") as temporary:
            run = store.get_run(str(champion.run_id))
            versions.check(model, run)
            wanted = {"dvc.lock", "pin.json", "source.dvc"} & definition.names(store, run)
            files = {name: definition.fetch(store, run, name, temporary) for name in sorted(wanted)}
            with Graph(project, model) as graph:
                lockfile.restore(project, graph, files)
                told = "".join(f"; {one}" for one in graph.notices)
    return {"format": 1, "restored": f"data/{model} is that of version {champion.version}, the champion{told}"}
