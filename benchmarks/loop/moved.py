"""Drift of the columns of a day against the rows that the champion was trained on, by several rules."""

from dataclasses import dataclass

import numpy as np

from loop.world import COLUMNS, ROWS, WINDOW, Trained, World

EFFECT, ERROR = 0.1, 0.05
BINS = 10


@dataclass(frozen=True)
class Apart:
    """Of each column [columns]: the Kolmogorov-Smirnov distance, its p value, and the population stability index."""

    distance: np.ndarray
    p: np.ndarray
    psi: np.ndarray

    @property
    def differs(self) -> np.ndarray:
        """As flows/monitoring/drift asks on two days running."""
        return (self.p < ERROR / (COLUMNS + 2)) & (self.distance >= EFFECT)


def apart(world: World, champion: Trained, day: int) -> Apart:
    from scipy.special import kolmogorov

    then = np.sort(world.rows[world.span(champion.first, champion.first + WINDOW)], axis=0)
    now = world.rows[world.span(day, day + 1)]
    distances = [_distance(then[:, column], np.sort(now[:, column])) for column in range(COLUMNS)]
    size = len(then) * ROWS / (len(then) + ROWS)
    shares = [_psi(then[:, column], now[:, column]) for column in range(COLUMNS)]
    found = np.array(distances)
    return Apart(found, kolmogorov(np.sqrt(size) * found), np.array(shares))


def _distance(then: np.ndarray, now: np.ndarray) -> float:
    steps = np.arange(len(now) + 1) / len(now)
    below, upto = (np.searchsorted(then, now, side=side) / len(then) for side in ("left", "right"))
    return float(max(np.abs(upto - steps[1:]).max(), np.abs(below - steps[:-1]).max()))


def _psi(then: np.ndarray, now: np.ndarray) -> float:
    """Over tenths of the rows of before, with half a row for an empty one."""
    edges = then[np.arange(1, BINS) * len(then) // BINS]
    share = (np.bincount(np.searchsorted(edges, now), minlength=BINS) + 0.5) / (len(now) + 0.5 * BINS)
    return float(((share - 1 / BINS) * np.log(share * BINS)).sum())
