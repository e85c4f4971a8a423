"""Shapley values of single answers: what each raw column adds to the answer, from the mean answer to this one.

The game is that of SHAP's explainers for any model: a column of a coalition has the row's value, any other column that
of a background row, and the worth is the mean answer over the background (Lundberg & Lee 2017). A model that takes raw
rows is all that is needed, so that words, missing values, dates and windows are no obstacle.

Up to EXACT columns every coalition is asked, so that only the background is a sample. With more columns the walks of
Castro et al. (2009) are sampled: from a background row to the row, one column after another in a random order. Each
column gets the difference that its step makes, so every walk adds up to the answer, less that of its background row.
Each order is walked to and fro from the same background row (antithetic), and each background row begins as many walks
as any other. A step that changes no value is not asked.

A probability mostly jumps in one step of a walk, so that few walks tell little. Therefore a logistic regression is
fitted to the answers on the walks, and walks MANY times as many: what it finds on many walks, less what it finds on the
same ones, is added (a control variate). This changes no sum, and on the 30 correlated columns of breast_cancer it
is worth four times as many walks.
"""

from dataclasses import dataclass
from math import factorial, gcd

import numpy as np

from pipelines.explaining.columns import Answers, Arrays, Column, count, rows, values

EXACT = 10  # columns, at most, of which all coalitions are asked
EXACT_ANSWERS = 25_600  # to explain a row this way, which bounds the background: 25 rows for ten columns
BYTES = 1 << 19  # of the arrays of one call, about: what the caches of a processor hold
MANY = 10  # walks of the regression for each one of the model
FITTED = 20  # answers for each column, about, to which the regression is fitted
LEAST = 1e-4  # a probability, at least, where its logarithm is taken
WORD_BYTES = 64  # of a word in an array of objects, about


@dataclass(frozen=True)
class Contributions:
    """base: float64 [rows, outputs], the mean answer over the background, the same for every row. values: float64
    [rows, columns, outputs]. error: float64 [rows], the largest |answer - base - sum of values| over the outputs."""

    base: np.ndarray
    values: np.ndarray
    error: np.ndarray


def contributions(
    answers: Answers, explained: Arrays, background: Arrays, columns: list[Column], orders: int, seed: int
) -> Contributions:
    """explained, background: rows, at least one of each. columns: those that share the difference between the mean
    answer and this one; any other column keeps the row's own value, also in the mean answer. orders: walks for each
    row, if there are more than EXACT columns; an odd number counts as the next even one.

    The same seed gives the same walks for every row, however many rows are explained at once.
    """
    given = np.asarray(answers(explained), np.float64)
    exact = len(columns) <= EXACT
    pairs = begun_from(count(background), len(columns), orders)
    begun = rows(background, spread(count(background), pairs))
    walks, more = (_orders(0 if exact else size, len(columns), seed) for size in (pairs, pairs * MANY))
    whole = sum(found.shape[-1] for found in explained.values()) == len(columns)
    before = np.asarray(answers(begun), np.float64) if whole else None  # which is the same for all rows
    base, shares = np.empty_like(given), np.empty((len(given), len(columns), given.shape[1]))
    for row, answer in enumerate(given):
        game = _Game(answers, rows(explained, [row]), begun, columns, answer, before)
        shares[row] = game.exact() if exact else game.walked(walks, more)
        base[row] = game.before.mean(axis=0)
    return Contributions(base, shares, np.abs(given - base - shares.sum(axis=1)).max(axis=1))


def begun_from(there: int, columns: int, orders: int) -> int:
    """How many background rows an explanation begins from, of so many there; with more than EXACT columns the number
    of pairs of walks, which begin from all of them again if they are more."""
    return min(there, EXACT_ANSWERS >> columns) if columns <= EXACT else max(1, (orders + 1) // 2)


def spread(there: int, wanted: int) -> np.ndarray:
    """The places of so many background rows, [wanted]: evenly among those there, and again from the first one."""
    return np.arange(wanted) * there // wanted if wanted <= there else np.arange(wanted) % there


def _orders(pairs: int, columns: int, seed: int) -> np.ndarray:
    """int [pairs, columns]: for each pair of walks the step in which each column changes, from 0."""
    draw = np.random.default_rng(seed)
    return draw.permuted(np.tile(np.arange(columns), (pairs, 1)), axis=1)


class _Game:
    """One row against b background rows. after: float64 [outputs], the answer to the row; before: float64
    [b, outputs], those to the background rows with the columns that are not explained from the row, if known."""

    def __init__(
        self,
        answers: Answers,
        row: Arrays,
        begun: Arrays,
        columns: list[Column],
        after: np.ndarray,
        before: np.ndarray | None,
    ):
        self._answers, self._row, self._begun, self._columns, self._after = answers, row, begun, columns, after
        pairs = count(begun)
        nothing = np.zeros((pairs, len(columns)), bool)
        self.before = self._asked(np.arange(pairs), nothing) if before is None else before

    def exact(self) -> np.ndarray:
        """float64 [columns, outputs]: over all coalitions, which are numbers whose bits are the columns."""
        size = len(self._columns)
        bits = 1 << np.arange(size)
        every = np.arange(1 << size)
        changing = self._differs() @ bits  # [b]
        whole = every[None, :] & changing[:, None]  # [b, coalitions]: what changes no value is left out
        asked = (whole == every) & (every > 0) & (every != changing[:, None])
        starts, chosen = np.nonzero(asked)
        worth = np.empty((*whole.shape, len(self._after)))
        worth[starts, chosen] = self._asked(starts, (chosen[:, None] & bits) > 0)
        worth[np.arange(len(changing)), changing] = self._after
        worth[:, 0] = self.before
        mean = np.take_along_axis(worth, whole[..., None], axis=1).mean(axis=0)
        mean[-1] = self._after
        return _weights(size) @ mean

    def walked(self, orders: np.ndarray, more: np.ndarray) -> np.ndarray:
        """float64 [columns, outputs]: the mean over the walks to and fro. orders: as _orders gives them, a pair for
        each background row. more: the same, MANY for each, for the regression."""
        there, differs = _to_and_fro(orders), self._differs()
        starts = np.tile(np.arange(len(orders)), 2)
        walks = self._walks(there, starts, differs[starts])
        found = _gains(walks, there)
        if len(self._after) == 1:  # a number: a linear regression gives the same for every walk
            return found
        codes = self._codes()
        weights = _fitted(codes, there, starts, walks)
        many, begun = _to_and_fro(more), np.tile(np.repeat(np.arange(len(orders)), MANY), 2)
        return (
            found
            + _gains(_computed(weights, codes, many, begun), many)
            - _gains(_computed(weights, codes, there, starts), there)
        )

    def _walks(self, orders: np.ndarray, begun: np.ndarray, differs: np.ndarray) -> np.ndarray:
        """float64 [walks, columns + 1, outputs]: the answers on the way. begun: the background row of each walk."""
        walks, size = orders.shape
        changed = np.take_along_axis(differs, orders.argsort(axis=1), axis=1)  # [walks, steps]
        done = changed.cumsum(axis=1)
        last = changed & (done == done[:, -1:])
        which, steps = np.nonzero(changed & ~last)
        found = np.empty((walks, size + 1, len(self._after)))
        found[:, 0] = self.before[begun]
        found[which, steps + 1] = self._asked(begun[which], orders[which] <= steps[:, None])
        found[:, 1:][last] = self._after
        known = np.maximum.accumulate(np.where(changed, np.arange(1, size + 1), 0), axis=1)
        return np.take_along_axis(found, np.pad(known, ((0, 0), (1, 0)))[..., None], axis=1)

    def _codes(self) -> np.ndarray:
        """float64 [1 + b, columns]: a number for each value of the row, and of the background rows, for the regression.
        Of a word it is the mean of the answers to the background rows that have it, of a window its mean."""
        found = [_code(values(self._row, column), values(self._begun, column), self.before) for column in self._columns]
        codes = np.stack(found, axis=1)
        return (codes - codes[1:].mean(axis=0)) / np.maximum(codes[1:].std(axis=0), 1e-9)

    def _asked(self, starts: np.ndarray, chosen: np.ndarray) -> np.ndarray:
        """float64 [n, outputs]: the answers to the background rows starts [n] with the columns chosen, bool
        [n, columns], of the row."""
        size = sum(found[:1].size * (WORD_BYTES if found.dtype == object else 8) for found in self._row.values())
        most = max(1, BYTES // size)
        parts = [
            self._answers(self._mixed(starts[at : at + most], chosen[at : at + most]))
            for at in range(0, len(starts), most)
        ]
        return np.concatenate(parts) if parts else np.empty((0, len(self._after)))

    def _mixed(self, starts: np.ndarray, chosen: np.ndarray) -> Arrays:
        result = {}
        for name, found in self._begun.items():
            mine = [place for place, column in enumerate(self._columns) if column.array == name]
            taken = np.ones((len(starts), found.shape[-1]), bool)
            taken[:, [self._columns[place].place for place in mine]] = chosen[:, mine]
            where = taken[:, None, :] if found.ndim == 3 else taken
            result[name] = np.where(where, self._row[name], found[starts])
        return result

    def _differs(self) -> np.ndarray:
        """bool [b, columns]: whether the row and a background row differ in a column."""
        found = [_unlike(values(self._row, column), values(self._begun, column)) for column in self._columns]
        return np.stack(found, axis=1)


def _to_and_fro(orders: np.ndarray) -> np.ndarray:
    return np.concatenate([orders, orders.shape[1] - 1 - orders])


def _gains(walks: np.ndarray, orders: np.ndarray) -> np.ndarray:
    """float64 [columns, outputs]: the mean of what the steps of the columns have changed."""
    gains, columns = np.diff(walks, axis=1), orders.argsort(axis=1).ravel()  # in the order of the steps
    sums = [np.bincount(columns, gains[..., place].ravel()) for place in range(gains.shape[2])]
    return np.stack(sums, axis=1) / len(orders)


def _code(one: np.ndarray, others: np.ndarray, before: np.ndarray) -> np.ndarray:
    """float64 [1 + b]. one: the value of the row, [1] or [1, window]; others: [b] or [b, window]."""
    every = np.concatenate([one, others]).reshape(len(others) + 1, -1)
    if every.dtype == object:
        alike = (every[:, None, 0] == every[None, 1:, 0]).astype(float)  # [1 + b, b]
        known = alike.sum(axis=1)
        return np.where(known > 0, alike @ before[:, 0] / np.maximum(known, 1), before[:, 0].mean())
    there = ~np.isnan(every)
    sums, known = np.where(there, every, 0).sum(axis=1), there.sum(axis=1)
    mean = sums[1:].sum() / max(1, known[1:].sum())
    return np.where(known > 0, sums / np.maximum(known, 1), mean)


def _fitted(codes: np.ndarray, orders: np.ndarray, begun: np.ndarray, walks: np.ndarray) -> np.ndarray:
    """float64 [columns + 1, outputs]: the weights of a logistic regression, and its constant."""
    size = orders.shape[1]
    places = _enough(len(orders), size + 1)
    which, step = places // (size + 1), places % (size + 1)
    inputs = np.where(orders[which] < step[:, None], codes[0], codes[1:][begun[which]])
    inputs = np.column_stack([inputs, np.ones(len(inputs))])
    sure = np.clip(walks[which, step], LEAST, 1 - LEAST)
    wanted, weight = np.log(sure / (1 - sure)), np.maximum(sure * (1 - sure), 1e-3)
    # not `@`: many small products by several threads take longer on a busy machine, and have other last bits
    square = np.stack([np.einsum("ni,nj->ij", inputs * one[:, None], inputs) for one in weight.T])
    right = np.einsum("ni,no->oi", inputs, wanted * weight)
    ridge = 1e-6 * len(inputs) * np.eye(size + 1)  # a constant column has no weight
    found: np.ndarray = np.linalg.solve(square + ridge, right[..., None])[..., 0].T
    return found


def _enough(walks: int, steps: int) -> np.ndarray:
    """int [n]: the places of the answers that the regression is fitted to, of walks one after the other, from every
    step as many."""
    apart = max(1, walks // FITTED)
    while gcd(apart, steps) > 1:  # or only some steps would be met
        apart -= 1
    return np.arange(0, walks * steps, apart)


def _computed(weights: np.ndarray, codes: np.ndarray, orders: np.ndarray, begun: np.ndarray) -> np.ndarray:
    """float64 [walks, columns + 1, outputs]: the answers of the regression on the way."""
    parts = codes[:, :, None] * weights[:-1]  # [1 + b, columns, outputs]
    steps = (parts[0] - parts[1:])[begun[:, None], orders.argsort(axis=1)]
    first = (weights[-1] + parts[1:].sum(axis=1))[begun]
    scores = np.concatenate([first[:, None], steps], axis=1).cumsum(axis=1)
    return 1 / (1 + np.exp(-np.clip(scores, -30, 30)))


def _unlike(one: np.ndarray, others: np.ndarray) -> np.ndarray:
    """bool [b]: one, [1] or [1, window], against others, [b] or [b, window]. Two missing numbers are alike."""
    unlike = one != others
    if others.dtype.kind == "f":
        unlike &= ~(np.isnan(one) & np.isnan(others))
    return unlike.reshape(len(others), -1).any(axis=1)


def _weights(size: int) -> np.ndarray:
    """float64 [columns, coalitions]: of the worth of each coalition in the Shapley value of each column."""
    every, bits = np.arange(1 << size), 1 << np.arange(size)
    inside = (every[None, :] & bits[:, None]) > 0
    members = inside.sum(axis=0)
    others = np.where(inside, members - 1, members)  # of the coalition, without the column itself
    share = np.array([factorial(n) * factorial(size - 1 - n) / factorial(size) for n in range(size)])
    return np.where(inside, 1.0, -1.0) * share[others]
