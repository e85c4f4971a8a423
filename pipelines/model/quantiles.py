"""Quantiles: numbers as shares of the bins between quantiles of the training split (Gorishniy et al. 2022, PLE).

A number becomes one value for each of its bins: 1 if it lies above the bin, 0 if below, else its position in the bin.
The next layer can bend at every edge, a skewed number fills its bins evenly, and nothing grows beyond the outer edges:
an extreme value counts as the largest in the training.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

SAMPLE_ROWS = 50_000  # edges come from so many rows; a smaller split is used as a whole
SEED = 0  # of the sample; fixed, so that `train.seed` changes only the training


def sample(parts: Iterable[np.ndarray], rows: int = SAMPLE_ROWS) -> np.ndarray:
    """At most `rows` rows of columns [rows, columns] in parts: each row with the same chance, whatever the parts.

    The k-th row of the split has the k-th number of a fixed stream, and those with the smallest numbers are kept.
    """
    random, kept, numbers = np.random.default_rng(SEED), None, np.empty(0)
    for part in parts:
        kept = part if kept is None else np.concatenate([kept, part])
        numbers = np.concatenate([numbers, random.random(len(part))])
        if len(numbers) > rows:
            chosen = np.sort(np.argpartition(numbers, rows)[:rows])
            kept, numbers = kept[chosen], numbers[chosen]
    return np.empty((0, 0)) if kept is None else kept


def edges(column: np.ndarray, bins: int) -> list[float]:
    """From 2 to bins + 1 rising values of a column [rows], between which its bins lie; NaN is left out.

    A value that many rows share fills only one bin, so that other values get bins too. In a column with few values,
    each is an edge. A constant, or a column of only NaN, has one bin above it that stays empty.
    """
    values, counts = np.unique(column[~np.isnan(column)], return_counts=True)
    if len(values) > bins + 1:
        shared = counts.astype(np.float64)
        for _ in range(bins):  # each cut leaves smaller bins to the others, so the next cut goes deeper
            shared = np.minimum(shared, shared.sum() / bins)
        reached = np.cumsum(shared)
        levels = np.linspace(0, reached[-1], bins + 1)
        values = np.unique(values[np.minimum(np.searchsorted(reached, levels), len(values) - 1)])
    found = [float(value) for value in values] or [0.0]
    return found if len(found) > 1 else [found[0], found[0] + max(1.0, abs(found[0]))]


def encoded(numbers: Any, every: list[list[float]]) -> Any:
    """Numbers [rows, columns], none missing, and the edges of each column -> float32 [rows, bins of all columns].

    In doubles until then, so that a large offset costs no precision.
    """
    import keras

    ops = keras.ops
    column = np.repeat(np.arange(len(every)), [len(found) - 1 for found in every])
    low = np.concatenate([found[:-1] for found in every])
    high = np.concatenate([found[1:] for found in every])
    beside = ops.take(ops.cast(numbers, "float64"), column, axis=1)
    share = ops.divide(ops.subtract(beside, low), high - low)
    return ops.cast(ops.clip(share, 0.0, 1.0), "float32")
