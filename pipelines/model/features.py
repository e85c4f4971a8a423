"""Features: raw inputs -> what the network takes, and its answer -> the target's own units; every layer has a name.

A model joins two graphs: the features, which hold the values fitted on the training split as constants, and the
network, which is trained. They are joined before saving, so that the saved model takes raw rows.
"""

from typing import Any

import numpy as np

from pipelines.config.data import Data
from pipelines.model import quantiles, statistics, temporal
from pipelines.model.architecture import Places
from pipelines.model.statistics import Fitted

MOST_LOOKUPS = 100  # columns of words that have a layer each; more share one, which loads a hundred times faster


def features(data: Data, fitted: Fitted) -> Any:
    """keras.Model: the raw inputs -> [rows, width], of a sequence [rows, window, width], or for an image
    [rows, height, width, channels]."""
    import keras

    if data.kind == "image":
        image = keras.Input(data.shape, dtype="uint8", name="image")
        return keras.Model({"image": image}, _normalised(image, fitted.mean, fitted.scale), name="features")
    if data.kind == "sequence":
        return _window(data, fitted)
    inputs, parts = {}, []
    if data.numbers:
        inputs["numbers"] = numbers = keras.Input((len(data.numbers),), dtype="float64", name="numbers")
        parts += _filled(numbers, fitted.mean, fitted.scale, fitted.edges)
    if data.categories:
        inputs["categories"] = words = keras.Input((len(data.categories),), dtype="string", name="categories")
        if len(data.categories) > MOST_LOOKUPS:
            parts.append(_all_one_hot(words, fitted.vocabularies))
        else:
            parts += [_one_hot(words, index, known) for index, known in enumerate(fitted.vocabularies)]
    if data.dates:
        inputs["dates"] = dates = keras.Input((len(data.dates),), dtype="float64", name="dates")
        mean, scale = map(np.asarray, fitted.dates)
        present = keras.ops.where(keras.ops.isnan(dates), mean, dates)
        parts += [_normalised(present, mean, scale), temporal.calendar(dates)]
    joined = parts[0] if len(parts) == 1 else keras.layers.Concatenate(name="joined")(parts)
    return keras.Model(inputs, joined, name="features")


def places(data: Data, fitted: Fitted) -> Places | None:
    """Where the features of each number, category and date of a table lie, in this order; None for other rows."""
    if data.kind != "table":
        return None
    bins = [len(edges) - 1 for edges in fitted.edges] or [1] * len(data.numbers)
    found, start = [], 0
    for size in bins:
        found.append([*range(start, start + size)])
        start += size
    for index, mine in enumerate(found):  # whether it was missing
        mine.append(start + index)
    start += len(found)
    for known in fitted.vocabularies:
        found.append([*range(start, start + 1 + len(known))])
        start += 1 + len(known)
    count = len(data.dates)
    return [*found, *([*range(start + index, start + 8 * count, count)] for index in range(count))]


def _window(data: Data, fitted: Fitted) -> Any:
    """keras.Model: windows -> [rows, window, width]. Constant values (time, series) are repeated for every step."""
    import keras

    numbers = keras.Input((data.window, len(data.past_numbers)), dtype="float64", name="past_numbers")
    dates = keras.Input((len(data.dates),), dtype="float64", name="dates")
    inputs, once = {"past_numbers": numbers, "dates": dates}, []
    if data.lags:
        inputs["numbers"] = keras.Input((len(data.lags),), dtype="float64", name="numbers")
    if data.baseline:
        parts, beside = _since_last(data, inputs, fitted)
        once += beside
    else:
        parts = _filled(numbers, *fitted.past)
        once += _filled(inputs["numbers"], *_of_target(fitted, data)) if data.lags else []
    once.append(temporal.calendar(dates))
    count = len(data.past_categories)
    if count:
        words = keras.Input((data.window, count), dtype="string", name="past_categories")
        inputs["past_categories"] = words
        parts += [_one_hot(words, index, known) for index, known in enumerate(fitted.vocabularies[:count])]
    if data.fixed:
        inputs["categories"] = words = keras.Input((len(data.fixed),), dtype="string", name="categories")
        once += [_one_hot(words, index, known, count) for index, known in enumerate(fitted.vocabularies[count:])]
    known_once = once[0] if len(once) == 1 else keras.layers.Concatenate(name="once")(once)
    joined = keras.layers.Concatenate(name="joined")([*parts, temporal.steps(known_once, data.window)])
    return keras.Model(inputs, joined, name="features")


def _of_target(fitted: Fitted, data: Data) -> tuple[np.ndarray, np.ndarray]:
    """Mean and scale of the target, for each lag."""
    mean, scale = fitted.past
    return np.full(len(data.lags), mean[-1]), np.full(len(data.lags), scale[-1])


def _since_last(data: Data, inputs: dict[str, Any], fitted: Fitted) -> tuple[list[Any], list[Any]]:
    """Windows in which the target is its difference from its last known value, so that what is learned holds on another
    level too: parts for each step [rows, window, ...], and such as are constant in a window [rows, ...]."""
    import keras

    ops, numbers, (mean, scale) = keras.ops, inputs["past_numbers"], fitted.past
    last = statistics.baseline(inputs, fitted.past, "last")
    history = ops.subtract(numbers[:, :, -1:], ops.expand_dims(last, 1))
    parts = _filled(history, 0.0, fitted.since)
    if len(mean) > 1:
        parts += _filled(numbers[:, :, :-1], mean[:-1], scale[:-1])
    once = [_normalised(last, mean[-1], scale[-1])]
    if data.lags:
        once += _filled(ops.subtract(inputs["numbers"], last), 0.0, fitted.since)
    if data.baseline != "last":
        known = statistics.baseline(inputs, fitted.past, data.baseline)
        once.append(_normalised(ops.subtract(known, last), 0.0, fitted.since))
    return parts, once


def _normalised(values: Any, mean: Any, scale: Any) -> Any:
    """(values - mean) / scale in doubles, so that a large offset costs no precision, then float32.

    Keras' layers are less precise: Normalization divides by no less than 1e-7, and Rescaling rounds its input to
    float32.
    """
    import keras

    shifted = keras.ops.subtract(keras.ops.cast(values, "float64"), np.asarray(mean))
    return keras.ops.cast(keras.ops.divide(shifted, np.asarray(scale)), "float32")


def _filled(numbers: Any, mean: Any, scale: Any, edges: list[list[float]] | None = None) -> list[Any]:
    """Numbers, normalised or as shares of bins, a missing one at the mean; and for each, whether it was missing."""
    import keras

    missing = keras.ops.isnan(numbers)
    present = keras.ops.where(missing, np.asarray(mean), numbers)
    values = quantiles.encoded(present, edges) if edges else _normalised(present, mean, scale)
    return [values, keras.ops.cast(missing, "float32")]


def _one_hot(words: Any, index: int, known: list[str], before: int = 0) -> Any:
    """One column of words -> one position for each known word, after a first one for unknown and missing words.

    before: the number of columns whose layers already have names.
    """
    import keras

    column = words[..., index : index + 1] if len(words.shape) > 2 else words[:, index : index + 1]
    lookup = keras.layers.StringLookup(vocabulary=known, output_mode="one_hot", name=f"category_{before + index}")
    return lookup(column)


def _all_one_hot(words: Any, vocabularies: list[list[str]]) -> Any:
    """Words [rows, columns] -> the result of `_one_hot` for each column, side by side, with one lookup for all.

    A word has the same number in every column. A position is 1 if its column has its word. The first position of a
    column is 1 if no other is.
    """
    import keras

    ops = keras.ops
    every = sorted({word for known in vocabularies for word in known})
    number = {word: index for index, word in enumerate(every, 1)}
    sizes = np.array([len(known) for known in vocabularies])
    ends = np.cumsum(sizes)
    found = keras.layers.StringLookup(vocabulary=every, name="categories_lookup")(words)
    beside = ops.take(found, np.repeat(np.arange(len(sizes)), sizes), axis=1)
    holds = ops.equal(beside, np.array([number[word] for known in vocabularies for word in known]))
    holds = ops.cast(holds, "int32")
    until = ops.cumsum(holds, axis=1)  # words found up to each position; a column has one or none
    upto = ops.take(until, ends - 1, axis=1)
    before = ops.concatenate([ops.zeros_like(upto[:, :1]), upto[:, :-1]], axis=1)
    unknown = ops.subtract(1, ops.subtract(upto, before))
    firsts = ends - sizes + np.arange(len(sizes))  # where the first position of each column goes
    order = np.empty(ends[-1] + len(sizes), np.int64)
    order[firsts] = np.arange(len(sizes))
    order[np.delete(np.arange(len(order)), firsts)] = len(sizes) + np.arange(ends[-1])
    return ops.cast(ops.take(ops.concatenate([unknown, holds], axis=1), order, axis=1), "float32")


def whole(before: Any, trained: Any, fitted: Fitted) -> Any:
    """keras.Model: raw inputs -> probabilities [rows, classes], or the target in its own units [rows, 1]."""
    import keras

    answer = trained(before.output)
    if not fitted.classes:
        mean, scale = fitted.target
        answer = keras.layers.Rescaling(scale, offset=mean, name="target_units")(answer)
    if fitted.changes:
        known = statistics.baseline(before.input, fitted.past, fitted.baseline)
        answer = keras.layers.Add(name="changed")([answer, keras.ops.cast(known, "float32")])
    return keras.Model(before.input, answer, name="model")
