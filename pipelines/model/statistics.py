"""Fitting: statistics of the training split, which become constants of the graph (features.py).

Means, words and edges of bins, read a few rows at a time.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipelines.config.data import Data
from pipelines.errors import TrainingError
from pipelines.model import quantiles, temporal
from pipelines.model.networks import Network

MOST_WORDS = 1000  # of one category
MOST_COUNTED = 100_000  # words of one category, before those in too few rows are left out
NO_COLUMNS = np.empty((1, 0))
PLAIN = Network()
Pair = tuple[list[float], list[float]]  # mean and standard deviation, of each column


@dataclass(frozen=True)
class Fitted:
    """Statistics of the training split alone, which become constants of the graph."""

    mean: list[float]  # of each number, or of each image channel
    scale: list[float]  # standard deviation, 1 for a constant
    vocabularies: list[list[str]]  # the words of each category, sorted
    target: tuple[float, float]  # mean and standard deviation; (0, 1) for a classification
    classes: dict[Any, int]  # rows of each, in the order of the probabilities; empty for a regression
    edges: list[list[float]] = field(default_factory=list)  # of the bins of each number; empty if numbers are scaled
    dates: Pair = ([], [])  # of each date of a table, in seconds
    past: Pair = ([], [])  # of each number in a window, the history of the target last
    changes: bool = False  # whether the target is its change from the naive forecast
    baseline: str | None = None  # that forecast, as in `data:`
    since: float = 1.0  # standard deviation of the target in a window from its last known value; with a baseline


Pieces = Callable[[], Iterable[tuple[dict[str, np.ndarray], np.ndarray]]]  # reads a split anew, a few rows at a time


def changes(config: Network, data: Data) -> bool:
    """Whether the network predicts the change of the target, which the graph adds to the last known value."""
    return data.kind == "sequence" and config.predict != "value"


def measure(data: Data, pieces: Pieces, config: Network = PLAIN) -> Fitted:
    """Measure a training split. pieces: it, as arrays of predictor.to_arrays. Holds no more rows than quantiles.sample.
    Raises TrainingError for a category with too many words.
    """
    names = [*data.past_categories, *data.fixed] if data.kind == "sequence" else data.categories
    classes: Counter[Any] = Counter()
    words: list[Counter[str]] = [Counter() for _ in names]
    for arrays, target in pieces():
        if data.task == "classification":
            classes.update(target.tolist())
        for name, counts, column in zip(names, words, _words(arrays), strict=True):
            counts.update(column.tolist())
            _check_words(name, len(counts.keys() - {""}), MOST_WORDS if config.min_count == 1 else MOST_COUNTED)
    known = [sorted(_common(counts, config.min_count)) for counts in words]
    for name, found in zip(names, known, strict=True):
        _check_words(name, len(found), MOST_WORDS)
    past: Pair = ([], [])
    since = 1.0
    dates: Pair = ([], [])
    if data.kind == "image":
        mean, scale = pixels(arrays["image"] for arrays, _ in pieces())
    elif data.kind == "sequence":
        mean, scale = NO_COLUMNS[0], NO_COLUMNS[0]
        past = _lists(mean_and_scale(lambda: (np.concatenate(arrays["past_numbers"]) for arrays, _ in pieces())))
        if data.baseline:
            _, (since,) = mean_and_scale(lambda: (_since_last(arrays, past) for arrays, _ in pieces()))
    else:
        mean, scale = mean_and_scale(lambda: (arrays.get("numbers", NO_COLUMNS) for arrays, _ in pieces()))
    edges: list[list[float]] = []
    if config.numbers == "quantiles" and data.numbers:
        some = quantiles.sample(arrays["numbers"] for arrays, _ in pieces())
        edges = [quantiles.edges(column, config.bins) for column in some.T]
    of_target = (0.0, 1.0)
    if data.dates and data.kind == "table":
        dates = _lists(mean_and_scale(lambda: (arrays["dates"] for arrays, _ in pieces())))
    if data.task == "regression":
        as_change = changes(config, data)

        def trained() -> Iterable[np.ndarray]:
            for arrays, target in pieces():
                yield target[:, None] - (np.asarray(baseline(arrays, past, data.baseline)) if as_change else 0.0)

        (middle,), (spread,) = mean_and_scale(trained)
        of_target = (float(middle), float(spread))
    return Fitted(
        mean=mean.tolist(),
        scale=scale.tolist(),
        vocabularies=[found or [""] for found in known],  # a vocabulary cannot be empty
        target=of_target,
        classes=dict(sorted(classes.items())),
        edges=edges,
        dates=dates,
        past=past,
        changes=changes(config, data),
        baseline=data.baseline,
        since=float(since),
    )


def _lists(found: tuple[np.ndarray, np.ndarray]) -> Pair:
    return found[0].tolist(), found[1].tolist()


def _words(arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The words of each category: those in windows first."""
    past = arrays.get("past_categories", NO_COLUMNS[None])
    return [*(past[..., index].reshape(-1) for index in range(past.shape[-1])), *arrays.get("categories", NO_COLUMNS).T]


def baseline(inputs: Any, past: Pair, wanted: str | None) -> Any:
    """The naive forecast of the target for each window [rows, 1]; its mean where nothing is known."""
    return temporal.baseline(inputs, wanted, past[0][-1])


def _since_last(arrays: dict[str, np.ndarray], past: Pair) -> np.ndarray:
    """Each value of the target in each window, less the last known one [rows * window, 1]."""
    last = np.asarray(baseline(arrays, past, "last"))
    return (arrays["past_numbers"][:, :, -1] - last).reshape(-1, 1)


def _common(counts: Counter[str], least: int) -> set[str]:
    """The words that enough rows have; a missing word does not count."""
    return {word for word, rows in counts.items() if rows >= least and word}


def _check_words(name: str, count: int, most: int) -> None:
    if count > most:
        raise TrainingError(
            f"The category {name!r} has more than {most:,} different words, and each would become an input.",
            "Declare it `carried` under data.columns, raise train.min_count, or group its words in the source.",
        )


def pixels(images: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each channel, exact, from how often each of the 256 levels occurs.

    images: uint8 [rows, height, width, channels], a few rows at a time.
    """
    counts: Any = 0
    for some in images:
        channels = np.moveaxis(some, -1, 0).reshape(some.shape[-1], -1)
        counts = counts + np.array([np.bincount(channel, minlength=256) for channel in channels])
    levels = np.arange(256.0)
    mean = np.array([np.average(levels, weights=count) for count in counts])
    variance = [np.average((levels - at) ** 2, weights=count) for at, count in zip(mean, counts, strict=True)]
    scale = np.sqrt(variance)
    return mean, np.where(scale > 0, scale, 1.0)


def mean_and_scale(read: Callable[[], Iterable[np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, each [columns], of columns [rows, columns] in parts; NaN is left out.

    read() gives the parts, and is called twice. A constant has scale 1, and a column of only NaN mean 0 and scale 1.
    Each column is measured as a share of its own range, so that neither a large offset nor very large or small numbers
    cost precision.
    """
    bounds = [(np.fmin.reduce(part, axis=0), np.fmax.reduce(part, axis=0)) for part in read()]
    lows, highs = zip(*bounds, strict=True)
    low, high = np.fmin.reduce(lows, axis=0), np.fmax.reduce(highs, axis=0)
    varies, known = high > low, ~np.isnan(low)
    span = np.where(varies, high - low, 1.0)
    count, total, squares = (np.zeros(low.shape) for _ in range(3))
    for part in read():
        share = (part - low) / span
        count += (~np.isnan(share)).sum(axis=0)
        total += np.nansum(share, axis=0)
        squares += np.nansum(share**2, axis=0)
    middle = total / np.maximum(count, 1)
    scale = span * np.sqrt(np.maximum(squares / np.maximum(count, 1) - middle**2, 0.0))
    mean = np.where(varies, low + span * middle, np.where(known, low, 0.0))
    return mean, np.where(varies & (scale > 0), scale, 1.0)
