"""Counterfactual: the smallest change of at most two columns of a row that changes the model's answer.

A column is only given values that other rows have in it, so whole numbers stay whole and no word is new. A change of a
number or a date counts by the spread (standard deviation) of those rows, of a word or a missing value as 1. One column
is preferred over two, whatever they cost (Wachter et al. 2018 have the idea, and Karimi et al. 2022 the variants).

The past of a series has happened: of its columns only the last step is changed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from pipelines.explaining.columns import Answers, Arrays, Column

WORDS = frozenset({"categories", "past_categories"})  # the arrays that hold text
MOST_VALUES = 200  # of a column that are tried alone
PAIR_VALUES = 12  # ... with those of another one
PAIR_COLUMNS = 12  # columns that are tried in pairs: those that alone come nearest to another answer
BATCH = 2048  # rows of a call
Value = float | str


@dataclass(frozen=True)
class Change:
    """A column with another value. before: NaN or "" where it was missing."""

    column: Column
    before: Value
    after: Value
    cost: float


@dataclass(frozen=True)
class Counterfactual:
    """What would change the answer. answer: the new one [outputs]."""

    changes: tuple[Change, ...]
    answer: np.ndarray

    @property
    def cost(self) -> float:
        """Of all changes."""
        return sum(one.cost for one in self.changes)


@dataclass(frozen=True)
class Aim:
    """Which answer is another one: of a classification any other class, of a regression a number that differs by at
    least `by`, or lies on the other side of `target`. before: the answer now [outputs]."""

    before: np.ndarray
    by: float = 0.0
    target: float | None = None

    def gain(self, found: np.ndarray) -> np.ndarray:
        """How far each answer has come, [rows]: at 0 and above it is another one. found: [rows, outputs]."""
        if len(self.before) > 1:
            now = int(self.before.argmax())
            return np.asarray(np.delete(found, now, axis=1).max(axis=1) - found[:, now], np.float64)
        if self.target is not None:
            below = self.before[0] < self.target
            return np.asarray((found[:, 0] - self.target) * (1 if below else -1), np.float64)
        return np.asarray(np.abs(found[:, 0] - self.before[0]) - self.by, np.float64)

    def reached(self, found: np.ndarray) -> np.ndarray:
        """Whether each answer is another one, [rows]. Of two classes that are equal the first is the answer."""
        if len(self.before) > 1:
            return np.asarray(found.argmax(axis=1) != self.before.argmax())
        return np.asarray(self.gain(found) >= 0)


def smallest(
    answers: Answers,
    row: Arrays,
    background: Arrays,
    columns: Sequence[Column],
    by: float = 0.0,
    target: float | None = None,
) -> Counterfactual | None:
    """The smallest change of the columns that changes the answer to a row; None if no one or two of them do.

    row: arrays of one row. background: those of other rows, whose values may be taken. columns: that may be changed.
    by, target: of a regression, as in Aim; the one or the other must be given.
    """
    aim = Aim(np.asarray(answers(row))[0], by, target)
    tried = [values for column in columns if (values := _values(row, background, column))]
    if not tried:
        return None
    alone = [[(one,) for one in values] for values in tried]
    found, gains = _best(answers, row, aim, [change for values in alone for change in values])
    if found is not None:
        return found
    nearest = np.array([part.max() for part in np.split(gains, np.cumsum([len(values) for values in alone])[:-1])])
    chosen = sorted(np.argsort(-nearest, kind="stable")[:PAIR_COLUMNS].tolist())
    pairs = [
        (one, other)
        for first, second in combinations(chosen, 2)
        for one in _spread(tried[first])
        for other in _spread(tried[second])
    ]
    found, _ = _best(answers, row, aim, pairs)
    return None if found is None else _nearer(answers, row, aim, found, tried)


def _nearer(
    answers: Answers, row: Arrays, aim: Aim, found: Counterfactual, tried: list[list[Change]]
) -> Counterfactual:
    """The same two columns, with a smaller change where the values between those of the pairs have one."""
    by_column = {values[0].column: values for values in tried}
    while True:
        first, second = found.changes
        others = [(one, second) for one in by_column[first.column] if one.cost < first.cost]
        others += [(first, one) for one in by_column[second.column] if one.cost < second.cost]
        better, _ = _best(answers, row, aim, others)
        if better is None:
            return found
        found = better


def _best(
    answers: Answers, row: Arrays, aim: Aim, changes: Sequence[tuple[Change, ...]]
) -> tuple[Counterfactual | None, np.ndarray]:
    """The cheapest of the changes that reach the aim, the first of equal ones; and the gain of each, [changes]."""
    gains, best = [np.empty(0)], None
    for part in _batches(changes):
        found = np.asarray(answers(_changed(row, part)))
        gains.append(aim.gain(found))
        for place in np.flatnonzero(aim.reached(found)).tolist():
            one = Counterfactual(tuple(part[place]), found[place])
            best = one if best is None or one.cost < best.cost else best
    return best, np.concatenate(gains)


def _batches(changes: Sequence[tuple[Change, ...]]) -> Iterator[Sequence[tuple[Change, ...]]]:
    for start in range(0, len(changes), BATCH):
        yield changes[start : start + BATCH]


def _changed(row: Arrays, changes: Sequence[tuple[Change, ...]]) -> Arrays:
    """The row once for each entry, with its changes."""
    found = {name: np.repeat(values, len(changes), axis=0) for name, values in row.items()}
    for place, some in enumerate(changes):
        for one in some:
            _last(found[one.column.array])[place, one.column.place] = one.after
    return found


def _last(array: np.ndarray) -> np.ndarray:
    """[rows, columns] as they are, and of [rows, window, columns] the last step: a view."""
    return array if array.ndim == 2 else array[:, -1]


def _values(row: Arrays, background: Arrays, column: Column) -> list[Change]:
    """What a column may become, the smallest change first; [] where the other rows have no other value."""
    before = _last(row[column.array])[0, column.place]
    others = _last(background[column.array])[:, column.place]
    if column.array in WORDS:
        words = sorted(set(others.tolist()) - {before, ""})
        return [Change(column, before, word, 1.0) for word in words]
    known = np.unique(others[np.isfinite(others)])
    spread = float(others[np.isfinite(others)].std()) if len(known) > 1 else 0.0
    if not spread:
        return []
    costs = np.abs(known - before) / spread if np.isfinite(before) else np.ones(len(known))
    found = [
        Change(column, float(before), value, cost)
        for value, cost in zip(known.tolist(), costs.tolist(), strict=True)
        if value != before
    ]
    return _thinned(sorted(found, key=lambda one: one.cost), MOST_VALUES)


def _spread(values: list[Change]) -> list[Change]:
    return _thinned(values, PAIR_VALUES)


def _thinned(values: list[Change], most: int) -> list[Change]:
    """At most so many, evenly from the smallest to the largest change."""
    if len(values) <= most:
        return values
    return [values[place] for place in np.linspace(0, len(values) - 1, most).round().astype(int).tolist()]
