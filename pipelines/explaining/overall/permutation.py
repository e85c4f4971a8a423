"""Importance of raw columns: how much worse the metric becomes if their values are shuffled among the rows.

A model that does not use a column answers as before, and its importance is 0 (Breiman 2001; Fisher et al. 2019).
Columns that say the same replace each other: each alone has little, and together they have it all (groups.py).
"""

from collections.abc import Callable, Sequence

import numpy as np

from pipelines.explaining.columns import Answers, Arrays, Column, count, rows, swapped
from pipelines.explaining.overall.judge import Judge, Worse

Shuffle = Callable[[Arrays, Arrays], Arrays]  # (rows, the same in another order) -> rows with some of its values


def importance(answers: Answers, arrays: Arrays, chosen: Sequence[Column], judge: Judge, orders: np.ndarray) -> Worse:
    """Of some columns, shuffled together. orders: int [shuffles, rows], from `shuffles`."""
    return of_shuffle(answers, arrays, lambda found, others: swapped(found, chosen, others), judge, orders)


def of_shuffle(answers: Answers, arrays: Arrays, shuffle: Shuffle, judge: Judge, orders: np.ndarray) -> Worse:
    """The same of whatever `shuffle` takes from the rows in another order."""
    before = answers(arrays)
    return judge.worse(before, [answers(shuffle(arrays, rows(arrays, order))) for order in orders])


def shuffles(arrays: Arrays, times: int, seed: int) -> np.ndarray:
    """Orders of the rows, int [times, rows]; the same for every column, so that columns are compared fairly."""
    random = np.random.default_rng(seed)
    return np.stack([random.permutation(count(arrays)) for _ in range(times)])
