"""Networks: raw features in, the answer in the target's own units out. Every layer has a name.

A model is two graphs in one: `features` (raw inputs -> numbers; what is fitted on the training split is a
constant in it) and the network proper, which is what is trained. They are joined again before saving, so that
what is saved takes raw rows.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from pipelines import quantiles, temporal
from pipelines.errors import TrainingError
from pipelines.settings import Data, Section

MOST_WORDS = 1000  # of one category
MOST_COUNTED = 100_000  # words of one category, before those in too few rows are left out
NO_COLUMNS = np.empty((1, 0))


class Augment(Section):
    """Keras' random layers in front of the network, while it trains and never afterwards."""

    rotation: float = Field(0.0, ge=0, le=0.5)  # at most, in whole turns, either way
    translation: float = Field(0.0, ge=0, le=0.5)  # at most, as a share of height and of width, either way
    zoom: float = Field(0.0, ge=0, lt=1)  # at most, as a share of the size, in or out


class Network(Section):
    """The keys of `train:` that define the network."""

    network: Literal["mlp", "cnn", "rnn"] = "mlp"
    hidden: list[int] = [64]  # units of each dense layer
    filters: list[int] = []  # of each convolution; cnn only
    recurrent: list[int] = []  # units of each recurrent layer, which reads an image row by row; rnn only
    cell: Literal["lstm", "gru", "simple"] = "lstm"  # of a recurrent layer
    activation: Literal["relu", "sigmoid", "tanh", "gelu"] = "relu"
    dropout: float = Field(0.0, ge=0, lt=1)
    wide: bool = False  # the output sees the features too: a linear model beside the hidden layers; mlp only
    numbers: Literal["scaled", "quantiles"] = "scaled"  # of a table: mean 0 and variance 1, or shares of bins
    bins: int = Field(32, ge=1, le=1000)  # of each number, at most; quantiles only
    min_count: int = Field(1, ge=1)  # a word of a category in fewer rows counts as unknown
    augment: Augment | None = None  # images only
    predict: Literal["change", "value"] | None = None  # of a sequence; change, from the last known value, if not said

    @model_validator(mode="after")
    def _fits(self) -> "Network":
        for kind, key in (("cnn", "filters"), ("rnn", "recurrent")):
            if self.network == kind and not getattr(self, key):
                raise ValueError(f"network {kind} needs `{key}`: [16, 32], one number for each layer")
            if self.network != kind and getattr(self, key):
                raise ValueError(f"`{key}` belongs to network {kind}, not to {self.network}")
        if any(size < 1 for size in [*self.hidden, *self.filters, *self.recurrent]):
            raise ValueError("hidden, filters and recurrent hold whole numbers from 1")
        if "bins" in self.model_fields_set and self.numbers != "quantiles":
            raise ValueError("`bins` belongs to numbers: quantiles")
        if self.wide and self.network != "mlp":
            raise ValueError(f"`wide` belongs to network mlp, not to {self.network}")
        return self


PLAIN = Network()
Pair = tuple[list[float], list[float]]  # mean and standard deviation, of each column


@dataclass(frozen=True)
class Fitted:
    """What is measured on the training split alone, and becomes part of the graph."""

    mean: list[float]  # of each number, or of each image channel
    scale: list[float]  # standard deviation, 1 for a constant
    vocabularies: list[list[str]]  # the words of each category, sorted
    target: tuple[float, float]  # mean and standard deviation; (0, 1) for a classification
    classes: dict[Any, int]  # rows of each, in the order of the probabilities; empty for a regression
    edges: list[list[float]] = field(default_factory=list)  # of the bins of each number; empty where they are scaled
    dates: Pair = ([], [])  # of each date of a table, in seconds
    past: Pair = ([], [])  # of each number in a window, the history of the target last
    changes: bool = False  # whether the target is its change since the last known value


Pieces = Callable[[], Iterable[tuple[dict[str, np.ndarray], np.ndarray]]]  # reads a split anew, a few rows at a time


def changes(config: Network, data: Data) -> bool:
    """Whether the network predicts by how much the target changes, and the graph adds that to the last known value."""
    return data.kind == "sequence" and config.predict != "value"


def measure(data: Data, pieces: Pieces, config: Network = PLAIN) -> Fitted:
    """pieces: the training split. Its arrays are those of predictor.to_arrays. Holds no more rows than
    quantiles.sample does. Raises TrainingError for a category of too many words.
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
    dates: Pair = ([], [])
    if data.kind == "image":
        mean, scale = pixels(arrays["image"] for arrays, _ in pieces())
    elif data.kind == "sequence":
        mean, scale = NO_COLUMNS[0], NO_COLUMNS[0]
        past = _lists(mean_and_scale(lambda: (np.concatenate(arrays["past_numbers"]) for arrays, _ in pieces())))
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
                yield target[:, None] - (np.asarray(last_known(arrays, past)) if as_change else 0.0)

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
    )


def _lists(found: tuple[np.ndarray, np.ndarray]) -> Pair:
    return found[0].tolist(), found[1].tolist()


def _words(arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The words of each category: those in windows first."""
    past = arrays.get("past_categories", NO_COLUMNS[None])
    return [*(past[..., index].reshape(-1) for index in range(past.shape[-1])), *arrays.get("categories", NO_COLUMNS).T]


def last_known(inputs: Any, past: Pair) -> Any:
    """The last known value of the target in each window [rows, 1]; its mean where there is none."""
    return temporal.last_known(inputs["past_numbers"][:, :, -1], past[0][-1])


def _common(counts: Counter[str], least: int) -> set[str]:
    """The words that enough rows have; none is no word."""
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

    read() gives the parts, and is called twice. A constant has scale 1, and a column of nothing but NaN mean 0 and
    scale 1. Each column is measured as a share of its own range: neither a large offset, nor very large or small
    numbers cost precision.
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
        parts += [_one_hot(words, index, known) for index, known in enumerate(fitted.vocabularies)]
    if data.dates:
        inputs["dates"] = dates = keras.Input((len(data.dates),), dtype="float64", name="dates")
        mean, scale = map(np.asarray, fitted.dates)
        present = keras.ops.where(keras.ops.isnan(dates), mean, dates)
        parts += [_normalised(present, mean, scale), temporal.calendar(dates)]
    joined = parts[0] if len(parts) == 1 else keras.layers.Concatenate(name="joined")(parts)
    return keras.Model(inputs, joined, name="features")


def _window(data: Data, fitted: Fitted) -> Any:
    """keras.Model: windows -> [rows, window, width]. What is known once (time, series) stands beside every step."""
    import keras

    numbers = keras.Input((data.window, len(data.past_numbers)), dtype="float64", name="past_numbers")
    dates = keras.Input((len(data.dates),), dtype="float64", name="dates")
    inputs, parts, once = {"past_numbers": numbers, "dates": dates}, _filled(numbers, *fitted.past), []
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


def _normalised(values: Any, mean: Any, scale: Any) -> Any:
    """(values - mean) / scale in doubles, so that a large offset costs no precision, then float32.

    Keras' layers would do it in fewer digits: Normalization divides by no less than 1e-7, and Rescaling rounds what
    it is given to float32.
    """
    import keras

    shifted = keras.ops.subtract(keras.ops.cast(values, "float64"), np.asarray(mean))
    return keras.ops.cast(keras.ops.divide(shifted, np.asarray(scale)), "float32")


def _filled(numbers: Any, mean: Any, scale: Any, edges: list[list[float]] | None = None) -> list[Any]:
    """Numbers normalised or as shares of bins, a missing one at the mean; beside each, whether it was missing."""
    import keras

    missing = keras.ops.isnan(numbers)
    present = keras.ops.where(missing, np.asarray(mean), numbers)
    values = quantiles.encoded(present, edges) if edges else _normalised(present, mean, scale)
    return [values, keras.ops.cast(missing, "float32")]


def _one_hot(words: Any, index: int, known: list[str], before: int = 0) -> Any:
    """One column of words -> one position for each known word, and a first one for all others and for none.

    before: columns of other words whose layers are named already.
    """
    import keras

    column = words[..., index : index + 1] if len(words.shape) > 2 else words[:, index : index + 1]
    lookup = keras.layers.StringLookup(vocabulary=known, output_mode="one_hot", name=f"category_{before + index}")
    return lookup(column)


def network(config: Network, shape: tuple[int, ...], outputs: int, seed: int) -> Any:
    """keras.Model: features of one row, of `shape`, -> `outputs` probabilities, or one number for outputs == 1."""
    import keras

    layers = keras.layers
    values = start = keras.Input(shape, name="normalised")
    for index, count in enumerate(config.filters):
        name = f"convolution_{index}"
        if len(shape) == 2:  # steps of a window: every other one is left, as XLA cannot train a pooling everywhere
            values = layers.Conv1D(count, 3, 2, padding="same", activation=config.activation, name=name)(values)
            continue
        values = layers.Conv2D(count, 3, padding="same", activation=config.activation, name=name)(values)
        if min(values.shape[1:3]) >= 2:
            values = layers.MaxPooling2D(name=f"pooling_{index}")(values)
    if config.recurrent:
        values = layers.Reshape((shape[0], -1), name="rows")(values)
    for index, units in enumerate(config.recurrent):
        kind = {"lstm": layers.LSTM, "gru": layers.GRU, "simple": layers.SimpleRNN}[config.cell]
        more = index + 1 < len(config.recurrent)
        values = kind(units, return_sequences=more, name=f"recurrent_{index}")(values)
    if len(values.shape) > 2:
        values = layers.Flatten(name="flat")(values)
    for index, units in enumerate(config.hidden):
        values = layers.Dense(units, activation=config.activation, name=f"hidden_{index}")(values)
        if config.dropout:
            values = layers.Dropout(config.dropout, seed=seed + index, name=f"dropout_{index}")(values)
    if config.wide:
        values = layers.Concatenate(name="wide")([values, start])
    last = "softmax" if outputs > 1 else None
    return keras.Model(start, layers.Dense(outputs, activation=last, name="output")(values), name="network")


def augmented(config: Network, trained: Any, seed: int) -> Any:
    """keras.Model: the network behind random layers, as it is trained; the network itself without `augment`.

    What moves in from outside the picture is the colour at its edge.
    """
    import keras

    if config.augment is None:
        return trained
    layers, wanted = keras.layers, config.augment
    values = start = keras.Input(trained.input_shape[1:], name="picture")
    shared = {"fill_mode": "nearest", "data_format": "channels_last"}
    if wanted.rotation:
        values = layers.RandomRotation(wanted.rotation, seed=seed + 101, name="rotation", **shared)(values)
    if wanted.translation:
        moved = (wanted.translation, wanted.translation)
        values = layers.RandomTranslation(*moved, seed=seed + 102, name="translation", **shared)(values)
    if wanted.zoom:
        values = layers.RandomZoom(wanted.zoom, seed=seed + 103, name="zoom", **shared)(values)
    return keras.Model(start, trained(values), name="augmented")


def whole(before: Any, trained: Any, fitted: Fitted) -> Any:
    """keras.Model: raw inputs -> probabilities [rows, classes], or the target in its own units [rows, 1]."""
    import keras

    answer = trained(before.output)
    if not fitted.classes:
        mean, scale = fitted.target
        answer = keras.layers.Rescaling(scale, offset=mean, name="target_units")(answer)
    if fitted.changes:
        last = last_known(before.input, fitted.past)
        answer = keras.layers.Add(name="changed")([answer, keras.ops.cast(last, "float32")])
    return keras.Model(before.input, answer, name="model")
