"""What stands below the rows of a table: notes such as `(300 rows)`, and rows that are the sum of all others."""

import math
import re

import pandas as pd
import pyarrow as pa

from flows.new.text_files.table import Table
from pipelines.readers import text_errors

MOST_NOTES = 5  # lines
CERTAIN = 5  # rows of the usual width above them
FEWEST = 20  # rows, of which a last one may be the sum
WORD = re.compile(r"[^\W\d_]{2,}")


def notes(lines: list[str], found: Table) -> list[str]:
    """The lines at the end that are no rows: text in a single cell, which is nothing that the first column has.

    A last line without a line end may be a row that was cut off, so it is no note.
    """
    width, numbered = found.width + found.trailing, enumerate(lines, 1)
    records = text_errors.records(iter(numbered), found.delimiter or ",", found.quote)
    rows = [(taken, cells) for taken, cells in records if any(cell.strip() for cell in cells)]
    if not found.delimiter or width < 2 or not lines[-1:] or not lines[-1].endswith(("\n", "\r")):
        return []
    first = {row[0].strip() for row in found.rows}
    count = 0
    while count < min(MOST_NOTES, len(rows)) and _is_note(rows[-1 - count][1], width, first):
        count += 1
    above = rows[: len(rows) - count][-CERTAIN:]
    if not count or len(above) < CERTAIN or any(len(cells) != width for _, cells in above):
        return []
    return [text for text in lines[above[-1][0] :] if text.strip()]


def _is_note(cells: list[str], width: int, first: set[str]) -> bool:
    text = cells[0].strip()
    return len(cells) == 1 < width and bool(WORD.search(text)) and text not in first


def is_total(table: pa.Table) -> str:
    """Why the last row of a table is the sum or the mean of all others, in words; "" where it is not.

    table: text, its numbers as programs write them. Every number in the row has to be one, and one of its other cells
    is empty or a word of its own.
    """
    if len(table) < FEWEST:
        return ""
    last = {name: _cell(table[name], -1) for name in table.column_names}
    totals = {name: number for name, cell in last.items() if (number := _number(cell)) is not None}
    sums = []
    for name, number in totals.items():
        if not _is_sum(number, table[name]):
            return ""
        sums.append(name)
    own = any(not cell or (name not in totals and _is_own(table[name], cell)) for name, cell in last.items())
    if not own or not any(_is_outside(totals[name], table[name]) for name in sums):
        return ""
    return f"the last row is the total of all others, in {', '.join(map(repr, sums[:3]))}"


def _cell(column: pa.ChunkedArray, row: int) -> str:
    value = column[row].as_py()
    return "" if value is None else str(value).strip()


def _is_own(column: pa.ChunkedArray, cell: str) -> bool:
    """Whether the last cell of a column is a word that no other row has."""
    return bool(WORD.search(cell)) and column.to_pylist().count(cell) == 1


def _above(column: pa.ChunkedArray) -> "pd.Series":
    return pd.to_numeric(column.slice(0, len(column) - 1).to_pandas(), errors="coerce").dropna()


def _is_sum(number: float, column: pa.ChunkedArray) -> bool:
    values = _above(column)
    is_sum = math.isclose(number, values.sum(), rel_tol=1e-6, abs_tol=0.01)
    return values.nunique() > 1 and (is_sum or math.isclose(number, values.mean(), rel_tol=1e-6))


def _is_outside(number: float, column: pa.ChunkedArray) -> bool:
    """Whether no row above has so large a number: a sum that a row could have shows nothing."""
    return bool(abs(number) > _above(column).abs().max())


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
