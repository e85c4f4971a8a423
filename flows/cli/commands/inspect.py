"""ratchet plan, status, doctor and history: they look and change nothing, except `doctor --fix`."""

from typing import Annotated

import typer

from flows.cli import terminal
from flows.cli.answer import LOOK, RETRAIN, RUNNING, Debug, Json, Model, State, answer, command
from flows.cli.status_text import status_text


@command(30, RETRAIN)
def plan(model: Model = "digits", as_json: Json = False, debug: Debug = False) -> None:
    """Show what `ratchet run` would do, stage by stage, and why."""
    from flows.inspect.plan import plan as work

    answer(lambda project: work(project, model), plan_text, as_json, debug)


def plan_text(found: State) -> str:
    lines = [f"{found['model']}: {found['source']}"]
    for stage in found["stages"]:
        seconds = f"{stage['seconds']:6.1f} s last time" if stage["seconds"] is not None else "never timed here"
        lines.append(f"  {stage['name']:<10}{stage['state']:<9}{seconds:<20}{'; '.join(stage['reasons'])}".rstrip())
    lines += [f"  {found['power']['said']}"] if found["power"] else []
    lines += [f"  {found['live']}"] if found["live"] else []
    return "\n".join(lines)


@command(40, LOOK)
def status(as_json: Json = False, debug: Debug = False) -> None:
    """Show every model: champion, metrics and age, version of the data, last decision."""
    from flows.inspect.status import status as work

    answer(work, status_text, as_json, debug)


@command(190, RUNNING)
def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Repair what can be repaired.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Check versions, devices, servers, telemetry switches and free disk, and say what to repair."""
    from flows.inspect.doctor import doctor as work

    answer(lambda project: work(project, fix), doctor_text, as_json, debug)


def doctor_text(found: State) -> str:
    lines = [f"{'ok ' if check['ok'] else '!! '} {check['name']:<12} {check['found']}" for check in found["checks"]]
    fixes = [f"   fix {check['name']}: {check['fix']}" for check in found["checks"] if not check["ok"]]
    return "\n".join([*lines, *fixes])


@command(60, LOOK)
def history(
    model: Model = "digits",
    at: Annotated[str, typer.Option(help="Who was champion at an instant, such as 2026-11-01T12:00Z.")] = "",
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Show every decision about a model's champion, or who was champion at an instant."""
    from flows.inspect.history import history as work

    answer(lambda project: work(project, model, at), history_text, as_json, debug)


def history_text(found: State) -> str:
    if "at" in found:
        return f"{found['model']} at {found['at']}: {_version(found['champion'])}"
    rows = [
        {
            "line": str(line["sequence"]),
            "when": terminal.instant(line["at"]),
            "who": line["actor"] if not line["actor"].startswith("gate") else "gate",
            "what": f"{line['action']} {line['version'] or ''}".rstrip(),
            "champion": _moved(line),
            "why": line["reason"],
        }
        for line in found["lines"]
    ]
    problem = [f"!! {found['problem']}"] if found["problem"] else []
    return "\n".join([*problem, terminal.table(rows) if rows else f"{found['model']}: nothing has been decided yet"])


def _moved(line: State) -> str:
    before, after = line["from_version"], line["to_version"]
    return f"{before or 'none'} -> {after or 'none'}" if before != after else f"{after or 'none'}"


def _version(number: int | None) -> str:
    return f"version {number}" if number else "no champion"
