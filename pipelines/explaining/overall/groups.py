"""Columns that say much the same, found by how they hang together in some rows.

Two numbers (dates are numbers) by Spearman's correlation, two columns of words by Cramer's V without its bias (Bergsma
2013), a number and words by the share of the variance of its ranks that the words explain (its root). Of a window the
last step counts. Groups are clusters by complete linkage: within a group every two columns hang together.
"""

from collections.abc import Sequence

import numpy as np

from pipelines.explaining.columns import Arrays, Column, values

THRESHOLD = 0.8  # from which on two columns hang together, from 0 to 1
MOST_WORDS = 50  # of a column; the rarer ones count as one
FEWEST_ROWS = 10


def groups(arrays: Arrays, columns: Sequence[Column]) -> list[list[Column]]:
    """The groups of two columns or more, in the order of the columns."""
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    if len(columns) < 2 or len(values(arrays, columns[0])) < FEWEST_ROWS:
        return []
    distances = 1 - association(arrays, columns)
    found = fcluster(linkage(squareform(distances, checks=False), "complete"), 1 - THRESHOLD, "distance")
    members = [[column for column, of in zip(columns, found, strict=True) if of == group] for group in np.unique(found)]
    return sorted((group for group in members if len(group) > 1), key=lambda group: columns.index(group[0]))


def association(arrays: Arrays, columns: Sequence[Column]) -> np.ndarray:
    """How much every two columns hang together, from 0 to 1 [columns, columns]; 0 with a constant one."""
    cells = [_last(arrays, column) for column in columns]
    ranks = {place: _ranks(found) for place, found in enumerate(cells) if found.dtype != object}
    codes = {place: _codes(found) for place, found in enumerate(cells) if found.dtype == object}
    result = np.eye(len(columns))
    for first in range(len(columns)):
        for second in range(first):
            result[first, second] = result[second, first] = _of_two(ranks, codes, first, second)
    return result


def _of_two(ranks: dict[int, np.ndarray], codes: dict[int, np.ndarray], first: int, second: int) -> float:
    if first in ranks and second in ranks:
        return min(1.0, abs(float(ranks[first] @ ranks[second])))
    if first in codes and second in codes:
        return _cramer(codes[first], codes[second])
    number, words = (first, second) if first in ranks else (second, first)
    return _explained(ranks[number], codes[words])


def _last(arrays: Arrays, column: Column) -> np.ndarray:
    found = values(arrays, column)
    return found[:, -1] if found.ndim == 2 else found


def _ranks(found: np.ndarray) -> np.ndarray:
    """Ranks with mean 0 and length 1 [rows], a missing value in the middle; zeros for a constant."""
    from scipy.stats import rankdata

    known = ~np.isnan(found)
    centred = np.zeros(len(found))
    centred[known] = rankdata(found[known]) if known.any() else 0.0
    centred[known] -= centred[known].mean() if known.any() else 0.0
    length = float(np.linalg.norm(centred))
    return centred / length if length else centred


def _codes(found: np.ndarray) -> np.ndarray:
    """Words as numbers from 0 [rows]; all rare ones are one word."""
    known, codes, counts = np.unique(found.astype(str), return_inverse=True, return_counts=True)
    if len(known) <= MOST_WORDS:
        return codes
    frequent = np.argsort(-counts, kind="stable")[: MOST_WORDS - 1]
    place = np.full(len(known), MOST_WORDS - 1)
    place[frequent] = np.arange(len(frequent))
    return place[codes]


def _cramer(first: np.ndarray, second: np.ndarray) -> float:
    rows, (height, width) = len(first), (int(first.max()) + 1, int(second.max()) + 1)
    table = np.bincount(first * width + second, minlength=height * width).reshape(height, width).astype(np.float64)
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / rows
    square = float((((table - expected) ** 2) / np.where(expected > 0, expected, 1)).sum()) / rows
    square = max(0.0, square - (height - 1) * (width - 1) / (rows - 1))
    sides = [side - (side - 1) ** 2 / (rows - 1) for side in (height, width)]
    most = min(sides) - 1
    return min(1.0, float(np.sqrt(square / most))) if most > 0 else 0.0


def _explained(ranks: np.ndarray, codes: np.ndarray) -> float:
    """The correlation ratio, without the part that as many words explain by chance. ranks: of length 1 or 0."""
    counts = np.bincount(codes)
    sums = np.bincount(codes, ranks)
    kinds, rows = int((counts > 0).sum()), len(ranks)
    if not ranks.any() or kinds < 2 or kinds >= rows:
        return 0.0
    explained = float((sums**2 / np.where(counts > 0, counts, 1)).sum())
    adjusted = 1 - (1 - explained) * (rows - 1) / (rows - kinds)
    return float(np.sqrt(min(1.0, max(0.0, adjusted))))
