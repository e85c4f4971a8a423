"""ratchet data: the versions of a model's data, two of them compared, or a trigger for the scheduler."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

import typer

from flows.cli import terminal
from flows.cli.answer import LOOK, Debug, Json, Model, State, answer, command
from flows.project.environment import Project
from flows.run import trigger
from pipelines.errors import RequestError


@command(50, LOOK)
def data(
    model: Model = "digits",
    diff: Annotated[
        tuple[str, str] | None,
        typer.Option(metavar="A B", help="Compare two: the beginnings of their hashes, `champion` or `latest`."),
    ] = None,
    changed: Annotated[bool, typer.Option("--changed", help="Trigger a check for new data now.")] = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """List the versions of a model's data and what was trained on each, or compare two of them."""
    answer(lambda project: do_data(project, model, diff, changed), data_text, as_json, debug)


def do_data(project: Project, model: str, words: tuple[str, str] | None, changed: bool) -> dict[str, Any]:
    """List the versions of a model's data, compare two, or trigger a check for new data. Raises RequestError."""
    if changed:
        return _tell_of_data(project, model)
    from flows.data.versions import data as work

    return work(project, model, words)


def _tell_of_data(project: Project, model: str) -> dict[str, Any]:
    """Send the event that makes the scheduler look for new data. Raises RequestError if nobody listens."""
    import requests

    from flows.cli import flow_session
    from flows.servers import lifecycle, prefect_login
    from pipelines import model_file

    model_file.check(model)
    if not flow_session.is_shared(project):
        raise RequestError("No Prefect server is up to receive the event.", "Run `ratchet up` first.")
    event = {"id": str(uuid4()), "occurred": datetime.now(UTC).isoformat(), "event": trigger.CHANGED}
    with lifecycle.for_a_run(project) as server:
        told = requests.post(
            f"{server.url()}/events",
            json=[event | {"resource": trigger.about(model)}],
            auth=prefect_login.of_requests(project),
            timeout=10,
        )
        told.raise_for_status()
    return {"format": 1, "model": model, "event": trigger.CHANGED}


def data_text(found: State) -> str:
    if "event" in found:
        return f"Triggered: the scheduler will check {found['model']} now ({found['event']})"
    if "data" not in found:
        return _two_data(found)
    rows = [
        {
            "data": one["data_hash"][:8],
            "first used": terminal.instant(one["first_used"]),
            "rows": terminal.count(one["rows"]),
            "versions": ", ".join(map(str, one["versions"])) or "none",
            "champion": "yes" if one["champion"] else "",
            "cached": f"lost rows {one['forgotten'][:10]}" if one["forgotten"] else "yes" if one["cached"] else "no",
            "source": one["source"] or "not known",
        }
        for one in found["data"]
    ]
    return terminal.table(rows) if rows else f"{found['model']}: no run has been published yet"


def _two_data(found: State) -> str:
    a, b, rows = found["a"], found["b"], found["rows"]
    if a["data_hash"] == b["data_hash"]:
        return f"{found['model']}: both are the same data, {_used(a)}"
    lines = [f"{found['model']}: data {b['data_hash'][:8]} beside {a['data_hash'][:8]}"]
    lines += [f"  {key}         {_used(found[key])}" for key in "ab"]
    lines += [f"  rows      only in a {rows['only_a']:,}, only in b {rows['only_b']:,}, in both {rows['both']:,}"]
    lone = [entry for entry in found["columns"] if not (entry["a"] and entry["b"])]
    for key in "ab":
        if names := ", ".join(entry["column"] for entry in lone if entry[key]):
            lines += [f"  columns   only in {key}: {names}"]
    if lone:
        lines += ["            so no row can be in both: the same row has the same columns"]
    tables = [_columns(found, ("number", "image"), _of_numbers), _columns(found, ("integer", "text"), _of_values)]
    return "\n\n".join(filter(None, ["\n".join(lines), *tables]))


def _used(one: State) -> str:
    champion = ", the champion's" if one["champion"] else ""
    parts = [f"{one['data_hash'][:8]}{champion}: {terminal.count(one['rows'])} rows"]
    parts += [
        f"first used {terminal.instant(one['first_used'])}",
        terminal.versions(one["versions"]) if one["versions"] else "",
    ]
    return ", ".join(filter(None, [*parts, one["source"]]))


def _columns(found: State, kinds: tuple[str, ...], cells: Callable[[State], dict[str, str]]) -> str:
    """The statistics of the columns of these kinds: a line for a and one for b where they differ, else one, dim."""
    rows: list[dict[str, str]] = []
    grey: set[int] = set()
    for entry in found["columns"]:
        for side in ("a", "b") if entry["differs"] else ("a, b",):
            if (of := entry[side[0]]) and of["kind"] in kinds:
                grey |= set() if entry["differs"] else {len(rows)}
                head = {"column": entry["column"], "in": side, "differs": "yes" if entry["differs"] else ""}
                kind = of["kind"].replace("image", "brightness")  # of an image that is what the numbers are about
                rows.append(head | {"kind": kind, "missing": f"{of['missing']:,}"} | cells(of))
    return terminal.table(rows, frozenset(grey)) if rows else ""


def _of_numbers(of: State) -> dict[str, str]:
    names = {"mean": "mean", "deviation": "standard_deviation", "smallest": "smallest", "largest": "largest"}
    return {name: "none" if of[key] is None else f"{of[key]:.4g}" for name, key in names.items()}


def _of_values(of: State) -> dict[str, str]:
    named = [(" ".join(str(entry["value"]).split()), entry["share"]) for entry in of["frequent"]]
    shown = [f"{text if len(text) <= 24 else text[:21] + '...'} {share:.1%}" for text, share in named]
    return {"distinct": f"{of['distinct']:,}", "most frequent": ", ".join(shown) or "none"}
