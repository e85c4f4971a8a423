"""A metric: scikit-learn's name, its direction, and the loss of a single row if it is a mean over rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

CLASSIFY, REGRESS = "classification", "regression"
PART_VALUES = 1_000_000  # scored at once if a score is a mean over rows: scikit-learn needs fifty bytes for each


@dataclass(frozen=True)
class Metric:
    name: str
    task: str
    greater_is_better: bool
    score: Callable[[np.ndarray, np.ndarray, np.ndarray | None, list], float]
    """score(actual [rows], predicted [rows], probabilities [rows, classes] or None, classes)"""
    loss: Callable[[np.ndarray, np.ndarray, np.ndarray | None, list], np.ndarray] | None = None
    """The same of each row [rows]: the metric is the mean of these, or 1 minus it."""
    unbounded: bool = False
    """Whether one row can cost as much as many: an error that no test row shows may then be large."""


def of_labels(name: str, **options: object) -> Callable[..., float]:
    def score(actual: np.ndarray, predicted: np.ndarray, probabilities: object, classes: object) -> float:
        from sklearn import metrics

        return float(getattr(metrics, name)(actual, predicted, **options))

    return score


def of_parts(score: Callable[..., float]) -> Callable[..., float]:
    """The same for a score that is a mean over rows, computed from some rows at a time."""

    def mean(actual: np.ndarray, predicted: np.ndarray, probabilities: Any, classes: list) -> float:
        size = max(1, PART_VALUES // max(1, len(classes)))
        parts = [slice(start, start + size) for start in range(0, len(actual), size)] or [slice(0)]
        scores = [
            score(actual[part], predicted[part], None if probabilities is None else probabilities[part], classes)
            for part in parts
        ]
        return scores[0] if len(parts) == 1 else float(np.average(scores, weights=[len(actual[p]) for p in parts]))

    return mean


def sure(probabilities: np.ndarray) -> np.ndarray:
    """Float32 probabilities as doubles that add up to 1."""
    doubles = probabilities.astype(np.float64)
    return doubles / doubles.sum(axis=1, keepdims=True)
