"""Which part of a window matters: how much worse the metric becomes if some of its steps come from other rows.

All past columns are shuffled together, so that the steps of a row still belong together. A step that the model can
guess from its neighbours counts less than it would alone.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from pipelines.explaining.columns import Answers, Arrays
from pipelines.explaining.overall.judge import Judge, Worse
from pipelines.explaining.overall.permutation import of_shuffle

PAST = ("past_numbers", "past_categories")
MOST_PARTS = 24


def parts(window: int, most: int = MOST_PARTS) -> list[tuple[int, int]]:
    """(first, last) of each part, in steps before the forecast begins: 1 is the newest row. The newest part first."""
    edges = [window * place // min(window, most) for place in range(min(window, most) + 1)]
    return [(first + 1, last) for first, last in pairwise(edges)]


def steps(
    answers: Answers, arrays: Arrays, window: int, most: int, judge: Judge, orders: np.ndarray
) -> Iterator[tuple[int, int, Worse]]:
    """(first, last, importance) of each part of the window. most: how many parts; orders: of permutation.shuffles."""
    for first, last in parts(window, most):

        def shuffle(found: Arrays, others: Arrays, first: int = first, last: int = last) -> Arrays:
            return _steps_of(found, others, slice(window - last, window - first + 1))

        yield first, last, of_shuffle(answers, arrays, shuffle, judge, orders)


def _steps_of(arrays: Arrays, others: Arrays, places: slice) -> Arrays:
    """The rows with these steps of the others."""
    result = dict(arrays)
    for name in PAST:
        if name in arrays:
            result[name] = arrays[name].copy()
            result[name][:, places] = others[name][:, places]
    return result
