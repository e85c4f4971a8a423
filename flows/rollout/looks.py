"""Looks that are set beforehand, for what has no confidence sequence: a metric that is no mean over rows, a canary.

Look k comes when so many rows are labelled, and may be wrong with 2 * ALPHA / (k * (k + 1)): all of them together with
2 * ALPHA = 5 %, however many come. Between two looks nothing new is said, so asking more often costs nothing. A look
uses the labels that came first, so that it says the same tomorrow. Labels that were asked for do not count here.
"""

import numpy as np

from flows.promotion.statistics.budget import spent
from flows.promotion.statistics.gain import Gain, gain
from flows.rollout.pairs import Pairs

FIRST, FACTOR = 100, 1.5  # labelled rows of the first look, and how many times as many of the next one


def reached(labelled: int) -> tuple[int, int]:
    """The number of the last look that came, 0 for none, and its rows."""
    number, rows = 0, 0
    while (wanted := rows_of(number + 1)) <= labelled:
        number, rows = number + 1, wanted
    return number, rows


def rows_of(number: int) -> int:
    return round(FIRST * FACTOR ** (number - 1))


def alpha_of(number: int) -> float:
    """The chance that look `number` is wrong, at each end."""
    return spent(number - 1)


def at_looks(metric: str, pairs: Pairs, worst: float | None) -> Gain | None:
    """`one` against `other` by the gate's rule, at the last look that came."""
    there = np.flatnonzero(pairs.known & np.isnan(pairs.asked))
    number, rows = reached(len(there))
    if not number:
        return None
    first = there[np.argsort(pairs.taken[there], kind="stable")][:rows]
    chosen = pairs.take(first)
    return gain(metric, chosen.one, chosen.other, alpha_of(number), worst=worst)
