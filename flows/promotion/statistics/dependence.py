"""Which rows count as one observation: rows of one customer, or of a stretch of time, fail together.

Rows that fail together say less than their number. The gate resamples whole clusters of them: the groups that
`clean: split: key:` names, or in a series blocks of time. A block is about three times as long as errors stay alike, so
that two blocks hardly know of each other. docs/explanation/gate.md has the rates that were measured.
"""

import math
from dataclasses import dataclass

import numpy as np

BLOCK = 3.0  # lengths of a block in times of correlation
SURE = 1.645  # standard errors of an autocorrelation of 0: below it no dependence is assumed


@dataclass(frozen=True)
class Dependence:
    """Of some rows. groups: [rows], equal for rows of one entity; times: [rows], sortable. Neither: independent."""

    groups: np.ndarray | None = None
    times: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> "Dependence":
        """Of some of the rows, by position or by a mask."""
        kept = (None if known is None else known[rows] for known in (self.groups, self.times))
        return Dependence(*kept)

    def clusters(self, gains: np.ndarray) -> np.ndarray | None:
        """The number of each row's cluster [rows], counted from 0; None for independent rows.

        gains: of each row, what its errors say; only time asks for them.
        """
        if self.groups is not None:
            return np.unique(self.groups, return_inverse=True)[1]
        if self.times is None or len(gains) < 3:
            return None
        instants = np.unique(self.times, return_inverse=True)[1]
        counts = np.bincount(instants)
        length = block_length(np.bincount(instants, gains) / counts)
        return instants // length if length > 1 or counts.max() > 1 else None


INDEPENDENT = Dependence()


def block_length(series: np.ndarray) -> int:
    """How many neighbouring values make a block, at most all of them; 1 where neighbours do not depend on each other.

    The time of correlation is that of a first-order autoregression, (1 + r) / (1 - r), with r corrected for the bias of
    short series (Kendall, 1954); or the sum of the autocorrelations while pairs of them are positive (Geyer, 1992),
    whichever is longer.
    """
    rows, centred = len(series), series - series.mean()
    spread = float(centred @ centred)
    if rows < 3 or spread == 0:
        return 1
    first = float(centred[1:] @ centred[:-1]) / spread
    later = float(centred[2:] @ centred[:-2]) / spread
    if max(first, later) * math.sqrt(rows) <= SURE:
        return 1
    corrected = min(first + (1 + 3 * first) / rows, 1 - 1 / rows)
    time = max((1 + corrected) / (1 - corrected), _summed(centred, spread))
    return min(rows, max(1, math.ceil(BLOCK * time)))


def _summed(centred: np.ndarray, spread: float) -> float:
    """1 + 2 * the sum of the autocorrelations, until two neighbouring ones are no longer positive together."""
    rows = len(centred)
    size = 1 << (2 * rows - 1).bit_length()
    spectrum = np.abs(np.fft.rfft(centred, size)) ** 2
    found = np.fft.irfft(spectrum, size)[:rows] / spread
    pairs = found[1 : rows - rows % 2 - 1 : 2] + found[2 : rows - rows % 2 : 2]
    negative = np.flatnonzero(pairs <= 0)
    return float(1 + 2 * pairs[: negative[0] if len(negative) else len(pairs)].sum())


def effective(clusters: np.ndarray | None, rows: int) -> float:
    """How many observations there really are: rows, or clusters, fewer where they differ in size (Kish, 1965)."""
    if clusters is None:
        return float(rows)
    sizes = np.bincount(clusters).astype(float)
    return float(sizes.sum() ** 2 / (sizes**2).sum())
