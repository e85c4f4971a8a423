"""Metrics of labels for many resamples at once, from counts: scikit-learn scores one resample after the other."""

from collections.abc import Callable

import numpy as np

from pipelines.model.metrics import Answers

COUNTED = ("balanced_accuracy", "f1_macro")


def scores(metric: str, answers: Answers) -> Callable[..., np.ndarray]:
    """A function of resamples, positions [resamples, rows of a group] for each group: one of COUNTED of each."""
    every, codes = np.unique(np.concatenate([answers.actual, answers.predicted]), return_inverse=True)
    actual, predicted = np.split(codes, 2)
    right = np.where(actual == predicted, actual, len(every))  # rows that are wrong count for no class

    def score(*chosen: np.ndarray, axis: int) -> np.ndarray:
        rows = np.moveaxis(np.concatenate(chosen, axis), axis, -1)
        hits, there, said = (_counts(kinds[rows], len(every) + 1)[..., :-1] for kinds in (right, actual, predicted))
        with np.errstate(divide="ignore", invalid="ignore"):  # a class that a resample lacks
            of_class = hits / there if metric == "balanced_accuracy" else 2 * hits / (there + said)
        return np.asarray(np.nanmean(of_class, axis=-1))

    return score


def _counts(kinds: np.ndarray, number: int) -> np.ndarray:
    """How often each of `number` kinds is in each resample [..., number]. kinds: [..., rows]"""
    flat = kinds.reshape(-1, kinds.shape[-1])
    places = flat + number * np.arange(len(flat))[:, None]
    return np.bincount(places.ravel(), minlength=number * len(flat)).reshape(*kinds.shape[:-1], number)
