"""Table: the decisions of `ratchet new` as a short table for people, at most WIDTH columns wide."""

import io
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 80
MOST_COLUMNS = 12  # that have a line each; of more, those of one role share one
MOST_NAMES = 6  # of these
MOST_LEFT_OUT = 20  # that have a line each
LONGEST = 24  # letters of a name


def text(found: dict[str, Any]) -> str:
    """found: as of `decided`."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for label, said in _lines(found):
        table.add_row(Text(label), Text(said))
    console = Console(file=io.StringIO(), width=WIDTH - 2, color_system=None, legacy_windows=False)
    with console.capture() as taken:
        console.print(table)
    return "\n".join(f"  {line.rstrip()}" for line in taken.get().splitlines())


def _lines(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    problem, split = found["problem"], found["split"]
    kind = "" if problem["kind"] == "table" else f" ({problem['kind']})"
    yield "problem", f"{problem['task']}{kind}: {problem['why']}"
    yield "rows", _rows(found)
    by = split["by"] + (f" of {split['column']}" if split.get("column") else "")
    by += f", key {', '.join(split['key'])}" if split.get("key") else ""
    yield "split", f"by {by}" + (f": {split['why']}" if split["why"] else "")
    metric = found["metric"]
    side = metric["direction"].replace("_", " ")
    yield "metric", f"{metric['metric']}, {side} {metric['floor']:g} ({metric['why']}), margin {metric['margin']:g}"
    yield from _labelled("columns", _columns(found["columns"]))
    yield from _labelled("left out", _left_out(found["columns"]))
    yield from _labelled("look at", found["look"])


def _labelled(label: str, lines: Any) -> Iterator[tuple[str, str]]:
    yield from ((label if not index else "", line) for index, line in enumerate(lines))


def _rows(found: dict[str, Any]) -> str:
    rows, equal = found["rows"], found["duplicates"]
    said = f"{'the first ' if rows['more'] else ''}{rows['looked_at']:,}"
    if "splits" in rows:
        said += ": " + ", ".join(f"{name} {count:,}" for name, count in rows["splits"].items())
        said += "".join(f", {why} {count:,}" for why, count in rows["removed"].items())
    return f"{said}; {equal['why']}" if equal and "equal to" in equal["why"] else said


def _columns(columns: list[dict[str, str]]) -> list[str]:
    seen = [column for column in columns if column["role"] != "left out"]
    if len(seen) <= MOST_COLUMNS:
        return [f"{_name(column)}: {column['role']}, {column['why']}" for column in seen]
    folded = []
    for role, those in groupby(sorted(seen, key=lambda column: column["role"]), lambda column: column["role"]):
        names = [_name(column) for column in those]
        more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        folded.append(f"{len(names)} of role {role}: {', '.join(names[:MOST_NAMES])}{more}")
    return folded


def _left_out(columns: list[dict[str, str]]) -> list[str]:
    out = [f"{_name(column)}: {column['why']}" for column in columns if column["role"] == "left out"]
    more = len(out) - MOST_LEFT_OUT
    return [*out[:MOST_LEFT_OUT], *([f"and {more} more: the YAML has them"] if more > 0 else [])]


def _name(column: dict[str, str]) -> str:
    name = column["name"] or "(no name)"
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 3]}..."
