"""Confidence sequences: intervals of a mean that hold at every look, however often one looks and whenever one stops.

Scores lie in [0, 1] (others are moved there) and come in the order of time. What is bounded is the mean m of their
expectations, each given the scores before it: nothing else is asked of them, neither that they are independent nor that
their mean stays (Choe and Ramdas, Comparing Sequential Forecasters, Operations Research 2024, arXiv 2110.00115).

Let c_i be a guess of score x_i from those before it, and 0 < b <= 1/c_i. Given the past, the expectation of
1 + b * (x_i - c_i) is 1 + b * (mu_i - c_i) <= exp(b * (mu_i - c_i)). So the product of

    (1 + b * (x_i - c_i)) * exp(b * (c_i - mu_i))

is a supermartingale that begins with 1, and so is a mixture of such products over several b. With the chance 1 - alpha
it never reaches 1/alpha (Ville's inequality). After t scores it depends on the mu_i by their mean m alone, and falls
with m: where it is 1/alpha lies the lower end. The upper one is that of 1 - x. Choe and Ramdas bound the logarithm of
the first factor by the square of x_i - c_i (Fan et al. 2015), and so get the empirical Bernstein boundary of Howard et
al. (Annals of Statistics 2021, arXiv 1810.08240); without that step it is a little narrower. The mixture is a discrete
one (Howard et al., section 3.3).

tests/flows/promotion/statistics/test_confidence_sequence.py and benchmarks/loop.py show by simulation how often it
misses.
"""

import math
from dataclasses import dataclass

import numpy as np

from flows.promotion.statistics.resampling import ALPHA

BETS = 2.0 ** np.arange(-9, 5.5, 0.5)  # b: of 10 rows or of 1,000,000, of scores of any spread
RECENT = 500  # scores whose mean is the guess of the next one
ROOM = 0.5  # the least that 1 + b * (x - c) may be
STEPS = 30  # of Newton's method, which converges from below: each of them is a valid lower end


@dataclass(frozen=True)
class Sums:
    """What some scores say against a small mean: of each of several groups of scores [groups], or [groups, bets]."""

    rows: np.ndarray
    grown: np.ndarray
    guessed: np.ndarray

    def take(self, groups: slice) -> "Sums":
        """Of some of the groups."""
        return Sums(self.rows[groups], self.grown[groups], self.guessed[groups])

    def from_each_on(self) -> "Sums":
        """Of each group and all after it."""
        return Sums(*(np.cumsum(one[::-1], axis=0)[::-1] for one in (self.rows, self.grown, self.guessed)))

    def up_to_each(self) -> "Sums":
        """Of each group and all before it."""
        return Sums(*(np.cumsum(one, axis=0) for one in (self.rows, self.grown, self.guessed)))


def sums(shares: np.ndarray, groups: np.ndarray, number: int) -> Sums:
    """shares: scores in [0, 1], in the order of time [rows]; groups: the group of each, below `number` [rows]."""
    guesses = _guesses(shares)
    grown, guessed = np.empty((number, len(BETS))), np.empty((number, len(BETS)))
    for place, bet in enumerate(BETS):
        most = np.minimum(guesses, (1 - ROOM) / bet)
        grown[:, place] = np.bincount(groups, np.log1p(bet * (shares - most)), number)
        guessed[:, place] = np.bincount(groups, bet * most, number)
    return Sums(np.bincount(groups, minlength=number).astype(float), grown, guessed)


def _guesses(shares: np.ndarray) -> np.ndarray:
    """Of each score, from those before it: the mean of the last ones, and of one of a half."""
    before = np.concatenate([[0.0], np.cumsum(shares)])[:-1]
    rows = np.arange(len(shares))
    first = np.maximum(rows - RECENT, 0)
    return np.asarray((before - before[first] + 0.5) / (rows - first + 1))


def evidence(found: Sums, mean: float | np.ndarray) -> np.ndarray:
    """The logarithm of what each group says against a mean that is at most this one [groups]: with the chance 1 - alpha
    it never reaches log(1 / alpha). mean: in [0, 1]."""
    lines = _heights(found) - np.reshape(mean, (-1, 1)) * _slopes(found)
    top = lines.max(axis=1)
    return np.asarray(top + np.log(np.exp(lines - top[:, None]).sum(axis=1)))


def _heights(found: Sums) -> np.ndarray:
    return found.grown + found.guessed - math.log(len(BETS))


def _slopes(found: Sums) -> np.ndarray:
    return BETS * np.maximum(found.rows, 1.0)[:, None]


def lower(found: Sums, alpha: float | np.ndarray) -> np.ndarray:
    """The lower end of the mean of each group [groups], in [0, 1]; 0 for a group without scores."""
    slopes, needed = _slopes(found), -np.log(np.asarray(alpha, float))
    mean = ((_heights(found) - needed.reshape(-1, 1)) / slopes).max(axis=1)  # one product alone: the mixture is more
    for _ in range(STEPS):
        lines = _heights(found) - slopes * mean[:, None]
        weights = np.exp(lines - lines.max(axis=1, keepdims=True))
        slope = (weights * slopes).sum(axis=1) / weights.sum(axis=1)
        mean = mean + np.maximum(evidence(found, mean) - needed, 0.0) / slope
    return np.where(found.rows > 0, np.clip(mean, 0.0, 1.0), 0.0)


def intervals(
    scores: np.ndarray, low: float, high: float, alpha: float = ALPHA, looks: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper ends [looks] after so many scores each; looks: ascending, by default after each score.

    scores: [rows] in [low, high], in the order of time. alpha: the chance that the running mean is ever below its
    interval, and that it ever is above it. Raises ValueError for a score outside of [low, high].
    """
    found = np.asarray(scores, float)
    if found.size and not (low <= found.min() and found.max() <= high):
        raise ValueError(f"scores must lie in [{low}, {high}], got [{found.min()}, {found.max()}]")
    ends = np.arange(1, len(found) + 1) if looks is None else np.asarray(looks)
    shares = (found - low) / (high - low)
    groups = np.searchsorted(ends, np.arange(len(found)), side="right")  # scores after the last look have the last one
    below, above = (_seen(one, groups, len(ends), alpha) for one in (shares, 1 - shares))
    return low + (high - low) * below, low + (high - low) * (1 - above)


def _seen(shares: np.ndarray, groups: np.ndarray, looks: int, alpha: float) -> np.ndarray:
    return lower(sums(shares, groups, looks + 1).up_to_each(), alpha)[:looks]


def interval(scores: np.ndarray, low: float, high: float, alpha: float = ALPHA) -> tuple[float, float]:
    """The interval of the mean after the last score: see `intervals`. (low, high) without scores."""
    below, above = intervals(scores, low, high, alpha, np.array([len(scores)]))
    return float(below[0]), float(above[0])


def shown_below(scores: np.ndarray, low: float, high: float, bound: float, alpha: float = ALPHA) -> bool:
    """Whether the mean is shown to be below a bound: a test that may be made after every score. If the mean is never
    below it, the chance is at most alpha that any of all these tests says so."""
    return interval(scores, low, high, alpha)[1] < bound


def weighted(
    scores: np.ndarray, asked: np.ndarray, low: float, high: float, least: float, alpha: float = ALPHA
) -> tuple[float, float]:
    """The interval of the mean score of all rows, of which some were asked for, each with a probability of its own.

    scores: [rows] in [low, high], NaN where a row was not asked for; of all rows, in the order of time. low <= 0 <=
    high, as of a difference. asked: [rows] the probabilities, each fixed before its row's score was known. least: the
    smallest probability that is ever used; the bound of a weight is 1 / least. A score counts 1 / asked times (Horvitz
    and Thompson 1952), so that the mean of all rows is not moved by who was asked. Raises ValueError.
    """
    if asked.size and asked.min() < least:
        raise ValueError(f"a row was asked for with {asked.min()}, which is less than {least}")
    weighed = np.where(np.isnan(scores), 0.0, scores) / np.maximum(asked, least)
    below, above = interval(weighed, min(low, 0.0) / least, max(high, 0.0) / least, alpha)
    return max(low, below), min(high, above)
