"""Identifiers: numbers that name a row, and measure nothing."""

import numpy as np

REPEATS = 15.0  # pairs of equal values that chance makes at least; where there are hardly any, none was drawn by chance
HARDLY = 0.1  # of those
FEWEST_ROWS = 50
EVENLY = 0.1  # the Kolmogorov-Smirnov distance to even steps up to which a number counts the rows of a file


def handed_out(values: np.ndarray, counts: np.ndarray) -> bool:
    """Whether whole numbers were handed out, each once: with gaps, and a few twice by mistake.

    Amounts repeat by chance. Of n rows within a range of R values at least n * (n - 1) / (2 * R) pairs are equal, with
    every distribution. values: the different ones. counts: how often each occurs.
    """
    rows = float(counts.sum())
    step = float(np.gcd.reduce(np.diff(np.sort(values)).astype(np.int64))) if len(values) > 1 else 0.0
    if rows < FEWEST_ROWS or not step:
        return False
    expected = rows * (rows - 1) / 2 / (np.ptp(values) / step + 1)
    equal = float((counts * (counts - 1) / 2).sum())
    return bool(expected >= REPEATS and equal <= HARDLY * expected)


def counts_up(values: np.ndarray) -> bool:
    """Whether whole numbers only grow from row to row, in about even steps, as those of invoices do.

    values: of each row, in the order of the file.
    """
    if len(values) < FEWEST_ROWS or np.isnan(values).any() or (values != np.round(values)).any():
        return False
    steps = np.diff(values)
    if not ((steps > 0).all() or (steps < 0).all()):
        return False
    from scipy.stats import kstest

    return bool(kstest(values, "uniform", args=(values.min(), np.ptp(values))).statistic < EVENLY)
