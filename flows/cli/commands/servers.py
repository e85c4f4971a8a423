"""ratchet up, down, schedule, serve and token: the servers, the scheduler, and who may ask."""

import shutil
from dataclasses import asdict
from typing import Annotated, Any

import typer

from flows.cli import completion, terminal
from flows.cli.answer import RUNNING, USE, Debug, Json, State, answer, command
from flows.project.environment import Project
from pipelines.errors import RequestError


@command(180, RUNNING)
def schedule(
    parallel: Annotated[int | None, typer.Option(min=1, help="Runs at once. Default: half the cores.")] = None,
    debug: Debug = False,
) -> None:
    """Run every model's schedule in this terminal, until it is stopped; `ratchet up` does it in the background."""
    answer(lambda project: do_schedule(project, parallel), str, False, debug)


def do_schedule(project: Project, parallel: int | None) -> dict[str, Any]:
    """Serve every model's schedule in this terminal, until it is stopped."""
    from flows.schedule import control

    control.here(project, parallel)
    return {}


@command(130, USE)
def serve(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]...", help="Default: all.", autocompletion=completion.models),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Where to listen; beyond this machine, callers need a token.")
    ] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Default: one that this clone keeps.")] = None,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes that answer.")] = 1,
    no_log: Annotated[bool, typer.Option("--no-log", help="Keep no answered row.")] = False,
    allow_host: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="A name by which a proxy calls this server.")
    ] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Answer raw rows with the champions over HTTP, until it is stopped; `ratchet up` does it in the background."""
    words = [f"--host={host}", f"--workers={workers}", *(f"--allow-host={name}" for name in allow_host or [])]
    words += ["--no-log"] * no_log + ["--json"] * as_json
    answer(lambda project: do_serve(project, models or [], port, words), str, as_json, debug)


def do_serve(project: Project, models: list[str], port: int | None, words: list[str]) -> dict[str, Any]:
    """Become the answering server. words: its other options. Raises RequestError for a port that is taken."""
    from flows.servers import lifecycle, serving

    running = lifecycle.recorded(project)
    if port is None and "serving" in running:
        raise RequestError(
            f"`ratchet up` has started a server that answers at {running['serving'].url}.",
            "Use that one, stop it with `ratchet down`, or choose another port with --port.",
        )
    chosen = lifecycle.kept_port(project, "serving") if port is None else port
    serving.become(project, models, [*words, f"--port={chosen}"])
    return {}


@command(160, RUNNING)
def up(
    no_schedule: Annotated[bool, typer.Option("--no-schedule", help="Without the scheduler.")] = False,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Without the server that answers rows.")] = False,
    no_warm: Annotated[bool, typer.Option("--no-warm", hidden=True)] = False,  # of versions up to 0.1, and no effect
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Start all servers and the scheduler in the background, and print their addresses."""
    answer(lambda project: do_up(project, not no_schedule, not no_serve), servers_text, as_json, debug)


def do_up(project: Project, schedule: bool = True, serve: bool = True) -> dict[str, Any]:
    """Servers and scheduler; `schedule` of the answer is {} without one, and `problem` says why."""
    from flows.schedule import control
    from flows.servers import lifecycle

    names = lifecycle.NAMES + lifecycle.ANSWERING * serve
    found: dict[str, Any] = {"format": 1}
    found |= {"servers": [asdict(server) for server in lifecycle.up(project, names).values()]}
    found |= {"login": lifecycle.login(project)}
    try:
        return found | {"schedule": control.start(project) if schedule else {}, "problem": ""}
    except RequestError as error:  # without git there is nothing to run from: the servers are up all the same
        return found | {"schedule": {}, "problem": str(error)}


@command(170, RUNNING)
def down(as_json: Json = False, debug: Debug = False) -> None:
    """Stop what `ratchet up` has started: the servers and the scheduler."""
    answer(do_down, lambda found: f"stopped: {', '.join(found['stopped']) or 'nothing was running'}", as_json, debug)


def do_down(project: Project) -> dict[str, Any]:
    """The scheduler first, so that it starts nothing more. Raises BusyError while a run is active."""
    from flows.schedule import control
    from flows.servers import lifecycle

    lifecycle.check_idle(project)
    stopped = ["schedule"] if control.stop(project) else []
    shutil.rmtree(project.state / "warm", ignore_errors=True)  # until 0.1 `up` kept processes, which end without it
    return {"format": 1, "stopped": stopped + lifecycle.down(project)}


@command(140, USE)
def token(
    name: Annotated[str | None, typer.Argument(help="Whose it is: a person, or a program.")] = None,
    role: Annotated[
        list[str] | None, typer.Option(help="look, run, approve or manage. Default: look, which may ask for answers.")
    ] = None,
    list_them: Annotated[bool, typer.Option("--list", help="List the tokens; the secrets are kept nowhere.")] = False,
    remove: Annotated[str | None, typer.Option(metavar="NAME", help="A token that opens nothing any more.")] = None,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Make a token, by which a caller of another machine is known; it is printed once."""
    answer(lambda project: do_token(project, name, role or [], list_them, remove), token_text, as_json, debug)


def do_token(
    project: Project, name: str | None, roles: list[str], list_them: bool, remove: str | None
) -> dict[str, Any]:
    """Make, remove or list tokens. Raises RequestError unless one of the three is asked for."""
    from flows.access import tokens
    from flows.project import locks

    if (name is not None) + (remove is not None) + list_them != 1:
        raise RequestError("Nothing, or more than one thing, is asked for.", "Give a NAME, --list, or --remove NAME.")
    with locks.hold(project, "tokens", "ratchet token"):
        made = tokens.add(project.state, name, roles or ["look"]) if name is not None else ""
        if remove is not None:
            tokens.remove(project.state, remove)
        known = tokens.read(project.state)
    listed = [{"name": one.name, "roles": list(one.roles), "created": one.created} for one in known]
    return {"format": 1, "token": made, "removed": remove or "", "tokens": listed}


def token_text(found: State) -> str:
    if found["removed"]:
        return f"removed: {found['removed']}"
    if found["token"]:
        return f"{found['token']}\nIt is shown this once. Callers send it as: Authorization: Bearer TOKEN"
    if not found["tokens"]:
        return "no token: only this machine may ask"
    return terminal.natural([{**one, "roles": ", ".join(one["roles"])} for one in found["tokens"]])


def servers_text(found: State) -> str:
    shown = sorted(found["servers"], key=lambda server: bool(server["name"] != "web"))  # where a person begins
    lines = [f"{terminal.server(server['name']):<9} {server['url']}" for server in shown]
    lines += terminal.login(found)
    served = found["schedule"]
    for model, words in served.get("models", {}).items():
        lines.append(f"{'schedule':<9} {model}: {words or 'none'} (branch {served['branch']})")
    lines += [f"{'schedule':<9} {found['problem'] or 'not started'}"] if not served else []
    return "\n".join([*lines, "stop them with: ratchet down"])
