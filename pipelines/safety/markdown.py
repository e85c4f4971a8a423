"""Markdown: shows texts from outside as they are. They cannot become a line, table, tag or link."""

import re
from collections.abc import Sequence

from pipelines import visible_text

MOST_LETTERS = 1200  # of one text
ACTIVE = re.compile(r"[\\`*_{}<|#~&]|\](?=[(\[:])")  # characters with a meaning in Markdown or HTML
START = re.compile(r"^(\s*\d*)([-+=.)>])")  # beginnings that turn a line into a list or a heading
ADDRESS = re.compile(r":(?=//)|(?<=www)\.|(?<=mailto):", re.IGNORECASE)  # by which pages find links in plain text


def plain(text: str) -> str:
    """The text in one line, escaped so that Markdown shows it as it is, also at the beginning of a line."""
    return START.sub(r"\g<1>\\\g<2>", _inside(text))


def _inside(text: str) -> str:
    """The same within a line."""
    text = visible_text.line(text)
    text = text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}…"
    return ADDRESS.sub(r"\\\g<0>", ACTIVE.sub(r"\\\g<0>", text))


def told(text: str) -> str:
    """The same for a sentence of ours, in which `commands` are code."""
    parts = re.split("`([^`]+)`", text)
    return START.sub(r"\g<1>\\\g<2>", "".join(code(p) if place % 2 else _inside(p) for place, p in enumerate(parts)))


def code(text: str) -> str:
    """The same as code."""
    text = visible_text.line(text)
    longest = max(map(len, re.findall("`+", text)), default=0)
    fence = "`" * (longest + 1)
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{space}{text}{space}{fence}"


def table(rows: Sequence[dict[str, str]], marks: Sequence[str] = ()) -> str:
    """A table; the first row names the columns. marks: put around the cells of a row, such as * for italics."""
    head = list(rows[0])
    lines = [_row([_inside(name) or " " for name in head]), f"|{'---|' * len(head)}"]
    for number, row in enumerate(rows):
        mark = marks[number] if marks else ""
        lines.append(_row([f"{mark}{_inside(row.get(name, ''))}{mark}" for name in head]))
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
