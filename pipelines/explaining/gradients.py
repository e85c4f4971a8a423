"""Integrated gradients: what each pixel or raw column adds to an answer, by the network's own gradients.

The way from a baseline to the row is walked in the features of the network, and the gradient of the answer is averaged
along it (Sundararajan et al. 2017). The sum of all contributions is the answer less that to the baseline, but for the
error of the average, which is returned. A word has no half, but its feature has.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pipelines.explaining.columns import Arrays, Column, count, rows, swapped
from pipelines.explaining.parts import Parts

STEPS = 64  # points of the way: with 16 a steep model is off by a tenth
VALUES = 1 << 20  # of features that are held at once, so that the layers of a large picture fit into memory


@dataclass(frozen=True)
class Integrated:
    """Contributions to one output of each row.

    values: float64 [rows, columns], or [rows, height, width, channels] of pictures. base: float64 [rows], the answer
    to the baseline, or the mean of several. answer: float64 [rows]. error: float64 [rows], how far base and values are
    from adding up to the answer.
    """

    values: np.ndarray
    base: np.ndarray
    answer: np.ndarray

    @cached_property
    def error(self) -> np.ndarray:
        return np.abs(self.answer - self.base - self.values.reshape(len(self.values), -1).sum(axis=1))


def of_pictures(parts: Parts, pictures: Arrays, baseline: Arrays, chosen: np.ndarray, steps: int = STEPS) -> Integrated:
    """Contributions of the pixels. baseline: one picture, such as `mean_picture`. chosen: int [rows], the output that
    is explained of each row, 0 of a regression.
    """
    start, end = parts.features_of(baseline), parts.features_of(pictures)
    start = np.broadcast_to(start, end.shape)
    found = average_gradients(parts, start, end, chosen, steps).astype(np.float64)
    values = found * (end.astype(np.float64) - start) * parts.scale
    answer = _of_output(parts.answers(pictures), chosen)
    base = parts.answers(baseline)[0].astype(np.float64)[chosen]
    return Integrated(values, base, answer)


def of_rows(
    parts: Parts, given: Arrays, background: Arrays, columns: list[Column], chosen: np.ndarray, steps: int = STEPS
) -> Integrated:
    """Contributions of raw columns, each the mean over the ways from every row of the background.

    A column has the features that change if it alone is taken from the row; a difference that no column explains alone
    is in the error. given: rows of a table or of windows. chosen: as above.
    """
    many, size = count(background), count(given)
    pairs = rows(given, np.repeat(np.arange(size), many))
    begun = rows(background, np.tile(np.arange(many), size))
    outputs = np.repeat(chosen, many)
    start, end = parts.features_of(begun), parts.features_of(pairs)
    gradients = average_gradients(parts, start, end, outputs, steps).astype(np.float64)
    beside = parts.beside(begun, start)
    shares = np.empty((size * many, len(columns)))
    for place, column in enumerate(columns):
        one = swapped(begun, column, pairs)
        features = parts.features_of(one)
        moved = (gradients * (features.astype(np.float64) - start)).reshape(len(shares), -1).sum(axis=1)
        shares[:, place] = moved * parts.scale + parts.beside(one, features) - beside
    answer = _of_output(parts.answers(given), chosen)
    base = parts.answers(background).astype(np.float64).mean(axis=0)[chosen]
    return Integrated(shares.reshape(size, many, len(columns)).mean(axis=1), base, answer)


def mean_picture(pictures: np.ndarray) -> np.ndarray:
    """The mean of pictures uint8 [rows, height, width, channels] as one of them, uint8 [1, height, width, channels]."""
    return np.rint(pictures.mean(axis=0, dtype=np.float64, keepdims=True)).astype(np.uint8)


def average_gradients(
    parts: Parts, start: np.ndarray, end: np.ndarray, chosen: np.ndarray, steps: int = STEPS
) -> np.ndarray:
    """The mean gradient of the chosen outputs of the network on the straight ways from start to end.

    start, end: float32 [rows, ...], features. Returns float32 [rows, ...]. The points and their weights are those of
    Gauss and Legendre.
    """
    points, weights = np.polynomial.legendre.leggauss(steps)
    places, weights = ((points + 1) / 2).astype(np.float32), (weights / 2).astype(np.float32)
    result = np.empty_like(end)
    at_once = max(1, VALUES // max(1, int(np.prod(end.shape[1:]))))
    for first in range(0, len(end), max(1, at_once // steps)):
        some = slice(first, first + max(1, at_once // steps))
        total: Any = 0.0
        for begin in range(0, steps, at_once):
            here = slice(begin, begin + at_once)
            total = total + np.asarray(
                parts.gradient(start[some], end[some], chosen[some].astype(np.int32), places[here], weights[here])
            )
        result[some] = total
    return result


def _of_output(answers: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """float64 [rows]: the chosen one of answers [rows, outputs]."""
    return np.take_along_axis(answers, chosen[:, None], axis=1)[:, 0].astype(np.float64)
