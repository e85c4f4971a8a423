"""Figures: what a column looked like then and looks like now, as a page shows it."""

from collections.abc import Sequence
from typing import Any

from flows.monitoring.drift import broken, compare
from pipelines.table.summary import numbers
from pipelines.table.summary.columns import NUMBERS, WORDS, Column

QUANTILES = {"low": 0.05, "median": 0.5, "high": 0.95}
MOST_WORDS = 5  # those whose share changed most

Figures = dict[str, Any]


def both(then: Sequence[Column], now: Sequence[Column], hidden: bool = False) -> tuple[Figures, Figures]:
    """`rows`, `missing` (share), and of numbers `mean`, `low`, `median`, `high`; of words `unknown` (share) and
    `shares` by word. hidden: without any value."""
    if hidden:
        return _of(then, hidden), _of(now, hidden)
    if now[0].kind == WORDS:
        return _words(then, now)
    return _of(then), _of(now)


def _of(lines: Sequence[Column], hidden: bool = False) -> Figures:
    found: Figures = {"rows": compare.rows(lines), "missing": compare.missing_share(lines)}
    if lines[0].kind == WORDS:
        found["unknown"] = broken.unknown_share(lines)
    parts = compare.parts(lines)
    if lines[0].kind != NUMBERS or not parts or hidden:
        return found
    found["mean"] = sum(line.total for line in lines) / compare.known(lines)
    return found | dict(zip(QUANTILES, numbers.quantiles(parts, list(QUANTILES.values())), strict=True))


def _words(then: Sequence[Column], now: Sequence[Column]) -> tuple[Figures, Figures]:
    words = compare.common_words(then, now)
    before, after = (compare.shares(lines, words).tolist() for lines in (then, now))
    changes = sorted(zip(words, before, after, strict=True), key=lambda one: -abs(one[1] - one[2]))[:MOST_WORDS]
    shown = ({word: share for word, share, _ in changes}, {word: share for word, _, share in changes})
    both_sides = zip((then, now), shown, strict=True)
    one, other = (_of(lines) | {"shares": share} for lines, share in both_sides)
    return one, other
