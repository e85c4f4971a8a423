"""Leaks: what is written down only after the target is known, and gives it away in some rows.

A flag of a failure, a date of cancelling, an amount that was paid back: in most rows they say nothing, so no score of
the whole column shows them. A value that occurs in nearly no row of the other classes does.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from flows.new.relations.sample import Sample

PURE = 0.98  # of the rows with such a value are of one class,
RARE = 0.3  # which has at most so many of all rows: of a common class many values are pure by chance
FEWEST = 10  # rows with the value
COVERED = 0.3  # of a class that is not rare: a value with so many of its rows is told
CHANCE = 1e-9  # that so many rows are of one class if the value says nothing
CERTAIN = 0.1  # of the rows of other classes that chance would put among them may be there
MOST_VALUES = 30  # of a column of words: of more, some are pure by chance
USUAL = 0.5  # the share of the rows from which one number is the usual one, such as 0


@dataclass(frozen=True)
class Leak:
    """where: the rows that give it away, in words. share: of them that are of the class `name`. sure: whether no model
    should see the column; else a person decides.
    """

    where: str
    rows: int
    share: float
    name: object
    sure: bool = True

    @property
    def why(self) -> str:
        rows = f"in the {self.rows:,} rows where it is {self.where}"
        return f"{rows} the target is {self.name!r} in {self.share:.1%}: known only afterwards?"


def find(values: np.ndarray, words: list[str] | None, target: np.ndarray, classes: list[object]) -> Leak | None:
    """The leak of one column, if it has one: the one in most rows.

    values: numbers, NaN for none, or codes of `words`, -1 for none [rows]. target: codes of `classes` [rows].
    """
    shares = np.bincount(target, minlength=len(classes)) / len(target)
    best: Leak | None = None
    for where, rows, of_values in _parts(values, words):
        count = int(rows.sum())
        if count < FEWEST or count > (1 - FEWEST / len(target)) * len(target):
            continue
        inside = np.bincount(target[rows], minlength=len(classes)) / count
        top = int((inside - shares).argmax())
        sure = not of_values or (len(classes) == 2 and shares[top] <= RARE)
        many = count * inside[top] >= COVERED * shares[top] * len(target)
        if not _gives_away(inside[top], shares[top], count) or not (sure or many):
            continue
        if best is None or (sure, count) > (best.sure, best.rows):
            best = Leak(where, count, float(inside[top]), classes[top], sure)
    return best


def _gives_away(share: float, usual: float, count: int) -> bool:
    pure = share >= PURE and 1 - share <= CERTAIN * (1 - usual)
    return bool(pure and count * np.log(max(usual, 1e-12)) < np.log(CHANCE))


def _parts(values: np.ndarray, words: list[str] | None) -> Iterator[tuple[str, np.ndarray, bool]]:
    """(what the rows have in common, which they are [rows, bool], whether values and not gaps make them so)."""
    gap = np.isnan(values) if words is None else values < 0
    if gap.any() and not gap.all():
        yield "filled", ~gap, False
        yield "empty", gap, False
    kinds, counts = np.unique(values[~gap], return_counts=True)
    if words is not None:
        if len(kinds) <= MOST_VALUES:
            yield from ((f"{words[int(kind)]!r}", values == kind, True) for kind in kinds)
        return
    usual = kinds[counts.argmax()] if len(kinds) > 1 else None
    if usual is not None and counts.max() >= USUAL * len(values):
        yield f"not {usual:.6g}", ~gap & (values != usual), True


def of_sample(sample: Sample) -> dict[str, Leak]:
    """The leaks of a classification, by column."""
    target, classes = sample.target, sample.classes
    found = {name: find(values, None, target, classes) for name, values in sample.numbers.items()}
    found |= {name: find(codes, sample.spelled[name], target, classes) for name, codes in sample.words.items()}
    gaps = {name: np.where(there, 0.0, np.nan) for name, there in sample.dates.items()}
    found |= {name: find(values, None, target, classes) for name, values in gaps.items()}
    return {name: leak for name, leak in found.items() if leak is not None}
