"""What parts the cells of a line, by what the lines have in common.

The delimiter is the one by which most lines have the same number of cells, and whose cells look like one value each: a
cell such as `73;2` holds two.
"""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from pipelines.readers import text_errors
from pipelines.readers.layout import NO_QUOTES, Layout

ROWS = 500  # that are looked at
DELIMITERS = (",", ";", "\t", "|", " ")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
GROUPED = re.compile(r"[-+]?(\d{1,3}([.,'\u2019 \u00a0\u202f]\d{3})+|\d+)([.,]\d*)?([eE][-+]?\d+)?")
MOMENT = re.compile(r"\d{1,4}([-./])\d{1,2}\1\d{1,4}([T ]\d{1,2}[:.]\d{2}\S*)?")
QUOTED = re.compile(r"'[^']*'")
FEW = 3  # lines with quotes, from which quotes that close nowhere are letters


@dataclass(frozen=True)
class Row:
    """start: the lines before it; cells: as they are written."""

    start: int
    cells: list[str]

    @property
    def filled(self) -> int:
        return sum(bool(cell.strip()) for cell in self.cells)


@dataclass(frozen=True)
class Cut:
    """A reading of the lines: width is the number of cells that most rows have."""

    delimiter: str
    quote: str  # "" for none
    rows: list[Row]
    width: int
    share: float  # of the rows that have so many cells
    fitness: float

    @property
    def body(self) -> list[list[str]]:
        return [row.cells for row in self.rows if len(row.cells) == self.width]


def best(lines: Sequence[tuple[int, str]], delimiters: Sequence[str], quotes: Sequence[str]) -> Cut | None:
    """The reading that fits best; None where nothing parts the lines. Of equals the wider, then the first one."""
    found = [_cut(lines, delimiter, quote) for quote in quotes for delimiter in delimiters]
    cuts = [cut for cut in found if cut is not None and cut.rows]
    return max(cuts, key=lambda cut: (cut.fitness, cut.width), default=None)


def quotes_of(lines: Sequence[tuple[int, str]], delimiters: Sequence[str]) -> str:
    """The quote of a file: the usual one, unless its cells are in single quotes, or quotes are letters like others."""
    usual = best(lines, delimiters, ['"'])
    marked = sum('"' in text for _, text in lines)
    if usual is None:
        return '"'
    if not marked and any("'" in text for _, text in lines):
        single = best(lines, delimiters, ["'"])
        better = single is not None and (
            single.share > usual.share or (single.share == usual.share and _in_quotes(usual))
        )
        return "'" if better else '"'
    if marked >= FEW and usual.share < 1:
        none = best(lines, delimiters, [""])
        return "" if none and none.width > 1 and none.share == 1 else '"'
    return '"'


def looks_like_a_number(text: str) -> bool:
    return bool(NUMBER.fullmatch(text) or GROUPED.fullmatch(text))


def _cut(lines: Sequence[tuple[int, str]], delimiter: str, quote: str) -> Cut | None:
    rows, before, numbers = [], 0, [number for number, _ in lines]
    try:
        for taken, cells in islice(text_errors.records(iter(lines), delimiter, quote), 2 * ROWS):
            if cells and any(cells):
                rows.append(Row(before, cells))
            before = numbers[taken - 1]
            if len(rows) == ROWS:
                break
    except csv.Error:
        return None
    width, count = Counter(len(row.cells) for row in rows).most_common(1)[0] if rows else (0, 0)
    share = count / max(1, len(rows))
    clean = _clean([row.cells for row in rows if len(row.cells) == width], delimiter)
    return Cut(delimiter, quote, rows, width, share, share * clean if width > 1 else 0.0)


def _clean(body: list[list[str]], delimiter: str) -> float:
    """The share of cells that hold one value."""
    others = re.compile(f"[{re.escape(''.join(sign for sign in DELIMITERS[:4] if sign != delimiter))}](?! )")
    cells = [cell.strip() for row in body for cell in row]
    whole = sum(not others.search(cell) or bool(GROUPED.fullmatch(cell) or MOMENT.fullmatch(cell)) for cell in cells)
    return whole / max(1, len(cells))


def merged(lines: Sequence[tuple[int, str]], quote: str) -> list[tuple[int, str]]:
    """The lines with one blank for each run of blanks and tabs."""
    layout = Layout.model_validate({"merge_delimiters": True, "quote": quote or NO_QUOTES})
    return [(number, layout.merged(text, " ")) for number, text in lines]


def _in_quotes(cut: Cut) -> bool:
    """Whether some column has nothing but cells in single quotes, its name aside, or rows differ in width by them."""
    body = [[cell.strip() for cell in row] for row in cut.body[1:]]
    columns = zip(*body, strict=True)
    return any(all(QUOTED.fullmatch(cell) for cell in column) for column in columns if column)
