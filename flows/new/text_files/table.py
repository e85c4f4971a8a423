"""Which lines of a file are its table: what stands above the header, in the header, and at the end of each line."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from flows.new.text_files import cells as cutting
from flows.new.text_files.cells import Cut, Row, looks_like_a_number

COMMENTS = ("#", "//", "%")
SEPARATOR = re.compile(r"\ufeff?\"?sep=(.)\"?\s*", re.IGNORECASE)
MOST_TITLES = 10  # rows above the header that are filled up with delimiters
CERTAIN = 0.8  # the fitness of a delimiter, from which blanks are no delimiters
Line = tuple[int, str]


@dataclass(frozen=True)
class Table:
    """delimiter: "" where nothing parts the lines. rows: the first ones, without empty cells after the last delimiters;
    the first one may be the header. header: the lines up to the end of the first row.
    names: of the columns, where the header does not say them as the rows have them; why: of the keys that are told.
    """

    delimiter: str
    quote: str
    rows: list[list[str]]
    width: int
    header: int = 1
    skip: int = 0
    comment: str = ""
    trailing: int = 0
    merged: bool = False
    names: list[str] = field(default_factory=list)
    why: dict[str, str] = field(default_factory=dict)


def found(lines: list[Line], delimiter: str, quote: str | None, skip: int | None, comment: str, target: str) -> Table:
    """delimiter, quote, skip, comment: what a person has said of them; "" or None where nothing was said."""
    lines = [line for line in lines if line[0] > (skip or 0)]
    told = SEPARATOR.fullmatch(lines[0][1]) if lines and skip is None else None
    delimiters = [delimiter] if delimiter else [told[1]] if told else cutting.DELIMITERS
    if told:
        lines = lines[1:]
    plain, mark = (_without(lines, comment), comment) if comment else _comments(lines, target)
    quote = cutting.quotes_of(plain, delimiters) if quote is None else quote
    cut, is_merged = cutting.best(plain, delimiters, [quote]), False
    if " " in delimiters and (cut is None or cut.delimiter == " " or cut.fitness < CERTAIN):
        together = cutting.best(cutting.merged(plain, quote), [" "], [quote])
        is_merged = bool(together and together.fitness > (cut.fitness if cut else 0.0))
        cut = together if is_merged else cut
    if cut is None:
        return Table("", '"', [], 0)
    if not cut.fitness:
        return Table(delimiter, quote, [row.cells for row in cut.rows], cut.width, skip=skip or 0, comment=mark)
    table = _cut_out(cut, lines, mark, target)
    if told:
        table = replace(table, skip=max(1, table.skip))
    return replace(table, skip=max(skip or 0, table.skip), merged=is_merged)


def named(rows: list[list[str]]) -> bool:
    """Whether the first line names the columns: a name is no number, not empty, and does not come again below."""
    first = [cell.strip() for cell in rows[0]]
    if any(looks_like_a_number(cell) for cell in first if cell) or len(set(first)) < len(first) - 1:
        return False
    if len(rows) < 2:
        return True
    below = [{row[index].strip() for row in rows[1:] if index < len(row)} for index in range(len(first))]
    return not any(cell and cell in seen for cell, seen in zip(first, below, strict=True))


def _without(lines: list[Line], mark: str) -> list[Line]:
    return [line for line in lines if not line[1].startswith(mark)]


def _comments(lines: list[Line], target: str) -> tuple[list[Line], str]:
    """The lines without comments, and their mark; all of them and "" where the first line is none."""
    first = next((text for _, text in lines if text.strip()), "")
    mark = next((mark for mark in COMMENTS if first.startswith(mark)), "")
    marked = [text for _, text in lines if mark and text.startswith(mark)]
    is_name = target and target in re.split(r"[,;|\t]", first.strip())  # a column that is named so
    if not mark or is_name or len(marked) > len(lines) / 2:
        return lines, ""
    return _without(lines, mark), mark


def _cut_out(cut: Cut, lines: list[Line], mark: str, target: str) -> Table:
    """The table of the rows, and what was found about its header."""
    at = next(place for place, row in enumerate(cut.rows) if len(row.cells) == cut.width)
    at = _below_titles(cut, at, target)
    rows = [row.cells for row in cut.rows[at:] if len(row.cells) == cut.width]
    table = Table(cut.delimiter, cut.quote, rows, cut.width, skip=_above(cut.rows, at), comment=mark)
    table = replace(table, header=_end(cut.rows, at))
    if at and (other := _other_header(cut, at, table, target)):
        return other
    if mark and not named(rows) and target not in rows[0] and (names := _commented_header(lines, cut, mark)):
        first = next(number for number, text in lines if not text.startswith(mark))
        why = {"names": f"from the line that begins with {mark}"}
        return replace(table, skip=first - 1, comment="", names=names, why=why)
    trailing = _trailing(rows, rows[0])
    rows = [row[: cut.width - trailing] for row in rows]
    return replace(table, rows=rows, trailing=trailing, width=cut.width - trailing)


def _below_titles(cut: Cut, at: int, target: str) -> int:
    """The place of the first row that is no title filled up with delimiters.

    A title has empty cells, and the names of the columns come after it.
    """
    wide = [place for place in range(at, len(cut.rows)) if len(cut.rows[place].cells) == cut.width]
    if cut.width < 3 or cut.rows[at].filled >= cut.width - 1 or (target and target in cut.rows[at].cells):
        return at
    full = [place for place in wide[1 : MOST_TITLES + 1] if cut.rows[place].filled >= cut.width - 1]
    names = [place for place in full if named([cut.rows[row].cells for row in wide if row >= place])]
    return next(iter(names), full[0] if full and cut.rows[at].filled <= 1 else at)


def _above(rows: list[Row], at: int) -> int:
    """How many lines are above a row; empty ones directly above it do not count."""
    return rows[at].start if at else 0


def _end(rows: list[Row], at: int) -> int:
    return rows[at + 1].start if at + 1 < len(rows) else rows[at].start + 1


def _other_header(cut: Cut, at: int, table: Table, target: str) -> Table | None:
    """The table where the line above the first row of the usual width is its header, with fewer or more cells."""
    head = cut.rows[at - 1]
    names = [cell.strip() for cell in head.cells]
    less = cut.width - len(names)
    if (
        len(names) < 2
        or any(looks_like_a_number(name) for name in names)
        or (named(table.rows) and target not in names)
    ):
        return None
    if less < 0 and not any(names[cut.width :]):
        why = {"names": "the header has more delimiters than the rows", "skip": "the header, whose names are below"}
        return replace(table, names=names[: cut.width], skip=table.skip, why=why)
    if less <= 0 or not all(names):
        return None
    trailing = _trailing(table.rows, [*names, *[""] * less])
    if trailing == less:
        rows = [names, *(row[: len(names)] for row in table.rows)]
        skip, header = _above(cut.rows, at - 1), table.skip
        return replace(table, rows=rows, trailing=less, width=len(names), skip=skip, header=header)
    if less == 1:
        first = next(name for name in ("row_name", "row_name_1", "row_name_2") if name not in names)
        why = {"names": "the header does not name the first column", "skip": "the header, whose names are below"}
        return replace(table, names=[first, *names], why=why)
    return None


def _trailing(rows: list[list[str]], header: list[str]) -> int:
    """How many cells at the end of every row and of the header are empty."""
    count = 0
    while count < len(header) - 1 and not any(row[-1 - count].strip() for row in [header, *rows]):
        count += 1
    return count


def _commented_header(lines: list[Line], cut: Cut, mark: str) -> list[str]:
    """The names in the last comment above the rows, where it has as many cells as they; else []."""
    above: Sequence[str] = []
    for _, text in lines:
        if not text.startswith(mark):
            break
        above = [text]
    if not above:
        return []
    words = above[0].strip().removeprefix(mark).strip()
    names = [name.strip().strip('"') for name in words.split(cut.delimiter)]
    fits = len(names) == cut.width and all(names) and len(set(names)) == len(names)
    return [] if not fits or any(looks_like_a_number(name) for name in names) else names
