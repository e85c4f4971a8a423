"""Markdown: texts from outside, so that they are read as they are: no line, table, tag or link is made of them."""

import re
from collections.abc import Sequence

from pipelines import visible_text

MOST_LETTERS = 1200  # of one text
ACTIVE = re.compile(r"[\\`*_{}<|#~&]|\](?=[(\[:])")  # what Markdown or HTML would take for more than a letter
START = re.compile(r"^(\s*\d*)([-+=.)>])")  # and what makes a list or a heading of a line
ADDRESS = re.compile(r":(?=//)|(?<=www)\.|(?<=mailto):", re.IGNORECASE)  # by which pages find links in plain text


def plain(text: str) -> str:
    """Text that Markdown leaves as it is, in one line, wherever that line begins."""
    return START.sub(r"\g<1>\\\g<2>", _inside(text))


def _inside(text: str) -> str:
    """The same for a place where no line begins."""
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
    """A table; the first row names the columns. marks: what stands around the cells of a row, such as * for italics."""
    head = list(rows[0])
    lines = [_row([_inside(name) or " " for name in head]), f"|{'---|' * len(head)}"]
    for number, row in enumerate(rows):
        mark = marks[number] if marks else ""
        lines.append(_row([f"{mark}{_inside(row.get(name, ''))}{mark}" for name in head]))
    return "\n".join(lines)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
