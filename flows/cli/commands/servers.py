"""ratchet up, down and schedule: the servers and the scheduler."""

import shutil
from dataclasses import asdict
from typing import Annotated, Any

import typer

from flows.cli import terminal
from flows.cli.answer import Debug, Json, State, answer, command
from flows.project.environment import Project
from pipelines.errors import RequestError


@command(60)
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


@command(70)
def up(
    no_schedule: Annotated[bool, typer.Option("--no-schedule", help="Without the scheduler.")] = False,
    no_warm: Annotated[bool, typer.Option("--no-warm", hidden=True)] = False,  # of versions up to 0.1, and no effect
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Start the servers of Prefect and MLflow and the scheduler in the background, and print their addresses."""
    answer(lambda project: do_up(project, not no_schedule), servers_text, as_json, debug)


def do_up(project: Project, schedule: bool = True) -> dict[str, Any]:
    """Servers and scheduler; `schedule` of the answer is {} without one, and `problem` says why."""
    from flows.schedule import control
    from flows.servers import lifecycle

    found: dict[str, Any] = {"format": 1, "servers": [asdict(server) for server in lifecycle.up(project).values()]}
    found |= {"login": lifecycle.login(project)}
    try:
        return found | {"schedule": control.start(project) if schedule else {}, "problem": ""}
    except RequestError as error:  # without git there is nothing to run from: the servers are up all the same
        return found | {"schedule": {}, "problem": str(error)}


@command(80)
def down(as_json: Json = False, debug: Debug = False) -> None:
    """Stop what `ratchet up` has started: the servers of Prefect and MLflow, and the scheduler."""
    answer(do_down, lambda found: f"stopped: {', '.join(found['stopped']) or 'nothing was running'}", as_json, debug)


def do_down(project: Project) -> dict[str, Any]:
    """The scheduler first, so that it starts nothing more. Raises BusyError while a run is active."""
    from flows.schedule import control
    from flows.servers import lifecycle

    lifecycle.check_idle(project)
    stopped = ["schedule"] if control.stop(project) else []
    shutil.rmtree(project.state / "warm", ignore_errors=True)  # until 0.1 `up` kept processes, which end without it
    return {"format": 1, "stopped": stopped + lifecycle.down(project)}


def servers_text(found: State) -> str:
    lines = [f"{server['name']:<9} {server['url']}" for server in found["servers"]]
    lines += terminal.login(found)
    served = found["schedule"]
    for model, words in served.get("models", {}).items():
        lines.append(f"{'schedule':<9} {model}: {words or 'none'} (branch {served['branch']})")
    lines += [f"{'schedule':<9} {found['problem'] or 'not started'}"] if not served else []
    return "\n".join([*lines, "stop them with: ratchet down"])
