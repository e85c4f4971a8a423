"""The rows of a series as a table of text: pasted from a spreadsheet (tabs), or from a CSV file."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from flows.web.form.fields import number, spelled

MARKS = ("\t", ";", ",")  # between cells; the one that is most often in the first line


class Unreadable(ValueError):
    """What is wrong with a pasted table, in one sentence."""


def text(rows: Sequence[Mapping[str, Any]]) -> str:
    """A CSV table of raw rows, with the names of all columns in its first line."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerows([names, *([spelled(row.get(name)) for name in names] for row in rows)])
    return target.getvalue()


def rows_of(described: Mapping[str, Any], pasted: str) -> list[dict[str, Any]]:
    """The raw rows of a table; an empty cell is a missing value. Raises Unreadable naming a line."""
    first = pasted.partition("\n")[0]
    try:
        lines = list(csv.reader(io.StringIO(pasted), delimiter=max(MARKS, key=first.count), strict=True))
    except csv.Error as error:
        raise Unreadable(f"This is not a table: {error}.") from error
    names, *rest = [[cell.strip() for cell in line] for line in lines if any(cell.strip() for cell in line)] or [[]]
    if not rest:
        raise Unreadable("A table has the names of the columns in its first line, and a row in each other line.")
    if twice := {name for name in names if names.count(name) > 1}:
        raise Unreadable(f"The first line names {sorted(twice)[0]!r} twice.")
    numbers = {str(one["name"]) for one in described["columns"] if one["role"] == "number"}
    numbers.add(str(described.get("target")) if described.get("task") == "regression" else "")
    return [_row(names, cells, line, numbers) for line, cells in enumerate(rest, 1)]


def _row(names: list[str], cells: list[str], line: int, numbers: set[str]) -> dict[str, Any]:
    if len(cells) != len(names):
        raise Unreadable(f"Row {line} has {len(cells)} cells, and the first line names {len(names)} columns.")
    pairs = zip(names, cells, strict=True)
    return {name: None if not cell else number(cell) if name in numbers else cell for name, cell in pairs}
