"""ratchet plan, status, doctor and history: they look and change nothing, except `doctor --fix`."""

from typing import Annotated

import typer

from flows.cli import terminal
from flows.cli.answer import Debug, Json, Model, State, answer, command


@command(30)
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
    return "\n".join(lines)


@command(40)
def status(as_json: Json = False, debug: Debug = False) -> None:
    """Show every model: champion, metrics and age, version of the data, last decision."""
    from flows.inspect.status import status as work

    answer(work, status_text, as_json, debug)


def status_text(found: State) -> str:
    rows, problems, waiting = [], [], []
    for entry in found["models"]:
        metrics = "\n".join(f"{name} {value:.4g}" for name, value in entry["metrics"].items())
        decision = "waited" if entry["decision"] == "waits" and not entry["next"] else entry["decision"]
        last = f"{decision}: version {entry['version']}" if decision else "never run"
        rows.append(
            {
                "model": entry["model"],
                "champion": f"version {entry['champion']}" if entry["champion"] else "none",
                "metrics": metrics,
                "age": entry["age"],
                "data": entry["data_hash"][:8],
                "last decision": last + (", held" if entry["held"] else ""),
                "next run": _next(found, entry),
            }
        )
        problems += [f"!! {entry['problem']}"] if entry["problem"] else []
        problems += [f"{entry['model']}: {entry['worn']}"] if entry["worn"] else []
        waiting += [f"{entry['model']}: version {entry['version']} waits: {entry['next']}"] if entry["next"] else []
        problems += [f"!! {entry['model']} is {entry['schedule']}"] if _broken(entry) else []
    ticks = [
        f"{entry['model']}: last tick {terminal.instant(entry['tick_at'])} {entry['tick']}: {entry['tick_reason']}"
        for entry in found["models"]
        if entry["tick"]
    ]
    more = ["", *waiting, *ticks] if waiting or ticks else []
    return "\n".join([terminal.table(rows), *problems, *more, *terminal.login(found)])


def _next(found: State, entry: State) -> str:
    """When, and by which schedule."""
    schedule = "not scheduled" if _broken(entry) else entry["schedule"] or "no schedule"
    if entry["running"]:
        return f"running now\n{schedule}"
    if not found["scheduler"]:
        return f"{schedule}\n(scheduler not up)" if entry["schedule"] else schedule
    return f"{terminal.instant(entry['next_run'])}\n{schedule}" if entry["next_run"] else schedule


def _broken(entry: State) -> bool:
    """Whether a model's file cannot be read: its schedule then says what is wrong."""
    return str(entry["schedule"]).startswith("not scheduled")


@command(90)
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


@command(130)
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
