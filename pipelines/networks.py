"""Networks: raw features in, the answer in the target's own units out. Every layer has a name.

A model is two graphs in one: `features` (raw inputs -> numbers; what is fitted on the training split is a
constant in it) and the network proper, which is what is trained. They are joined again before saving, so that
what is saved takes raw rows.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from pipelines.errors import TrainingError
from pipelines.settings import Data, Section

MOST_WORDS = 1000  # of one category
NO_COLUMNS = np.empty((0, 0))


class Network(Section):
    """The keys of `train:` that define the network."""

    network: Literal["mlp", "cnn"] = "mlp"
    hidden: list[int] = [64]  # units of each dense layer
    filters: list[int] = []  # of each convolution; cnn only
    activation: Literal["relu", "sigmoid", "tanh", "gelu"] = "relu"
    dropout: float = Field(0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _fits(self) -> "Network":
        if self.network == "cnn" and not self.filters:
            raise ValueError("network cnn needs `filters`: [16, 32], one number for each convolution")
        if self.network == "mlp" and self.filters:
            raise ValueError("`filters` belongs to network cnn, not to mlp")
        if any(size < 1 for size in [*self.hidden, *self.filters]):
            raise ValueError("hidden and filters hold whole numbers from 1")
        return self


@dataclass(frozen=True)
class Fitted:
    """What is measured on the training split alone, and becomes part of the graph."""

    mean: list[float]  # of each number, or of each image channel
    scale: list[float]  # standard deviation, 1 for a constant
    vocabularies: list[list[str]]  # the words of each category, sorted
    target: tuple[float, float]  # mean and standard deviation; (0, 1) for a classification
    classes: list[Any]  # in the order of the probabilities; empty for a regression


def measure(data: Data, arrays: dict[str, np.ndarray], target: np.ndarray) -> Fitted:
    """arrays: image [rows, height, width, channels], or numbers [rows, n] and categories [rows, m].

    Raises TrainingError for a category of too many words.
    """
    columns = arrays["image"].reshape(-1, data.shape[2]) if data.kind == "image" else arrays.get("numbers", NO_COLUMNS)
    mean, scale = mean_and_scale(columns)
    categories = arrays.get("categories", NO_COLUMNS).T
    words = [_vocabulary(name, column) for name, column in zip(data.categories, categories, strict=True)]
    classify = data.task == "classification"
    return Fitted(
        mean=mean.tolist(),
        scale=scale.tolist(),
        vocabularies=words,
        target=(0.0, 1.0) if classify else (float(target.mean()), float(target.std()) or 1.0),
        classes=sorted(set(target.tolist())) if classify else [],
    )


def _vocabulary(name: str, column: np.ndarray) -> list[str]:
    words = sorted(set(column.tolist()) - {""})
    if len(words) > MOST_WORDS:
        raise TrainingError(
            f"The category {name!r} has {len(words):,} different words, and each becomes an input: more than "
            f"{MOST_WORDS:,} are refused.",
            "Declare it `carried` under data.columns, or group its words in the source.",
        )
    return words or [""]  # a vocabulary cannot be empty


def mean_and_scale(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation, each [columns], of columns [rows, columns]; NaN is left out.

    A constant has scale 1, and a column of nothing but NaN mean 0 and scale 1. Each column is measured as a
    share of its own range: neither a large offset, nor very large or small numbers cost precision.
    """
    pairs = np.array([_one(column) for column in columns.T], np.float64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def _one(column: np.ndarray) -> tuple[float, float]:
    present = column[~np.isnan(column)].astype(np.float64)
    if not len(present):
        return 0.0, 1.0
    low, span = present.min(), np.ptp(present)
    if not span:
        return float(low), 1.0
    share = (present - low) / span
    return float(low + span * share.mean()), float(span * share.std())


def features(data: Data, fitted: Fitted) -> Any:
    """keras.Model: the raw inputs -> [rows, width], or [rows, height, width, channels] for an image."""
    import keras

    if data.kind == "image":
        image = keras.Input(data.shape, dtype="uint8", name="image")
        return keras.Model({"image": image}, _normalised(image, fitted), name="features")
    inputs, parts = {}, []
    if data.numbers:
        inputs["numbers"] = numbers = keras.Input((len(data.numbers),), dtype="float64", name="numbers")
        parts += _filled(numbers, fitted)
    if data.categories:
        inputs["categories"] = words = keras.Input((len(data.categories),), dtype="string", name="categories")
        parts += [_one_hot(words, index, known) for index, known in enumerate(fitted.vocabularies)]
    joined = parts[0] if len(parts) == 1 else keras.layers.Concatenate(name="joined")(parts)
    return keras.Model(inputs, joined, name="features")


def _normalised(values: Any, fitted: Fitted) -> Any:
    """(values - mean) / scale in doubles, so that a large offset costs no precision, then float32.

    Keras' layers would do it in fewer digits: Normalization divides by no less than 1e-7, and Rescaling rounds what
    it is given to float32.
    """
    import keras

    shifted = keras.ops.subtract(keras.ops.cast(values, "float64"), np.asarray(fitted.mean))
    return keras.ops.cast(keras.ops.divide(shifted, np.asarray(fitted.scale)), "float32")


def _filled(numbers: Any, fitted: Fitted) -> list[Any]:
    """Numbers normalised, a missing one at the mean; beside each, whether it was missing."""
    import keras

    missing = keras.ops.isnan(numbers)
    present = keras.ops.where(missing, np.asarray(fitted.mean), numbers)
    return [_normalised(present, fitted), keras.ops.cast(missing, "float32")]


def _one_hot(words: Any, index: int, known: list[str]) -> Any:
    """One column of words -> one position for each known word, and a first one for all others and for none."""
    import keras

    column = words[:, index : index + 1]
    lookup = keras.layers.StringLookup(vocabulary=known, output_mode="one_hot", name=f"category_{index}")
    return lookup(column)


def network(config: Network, shape: tuple[int, ...], outputs: int, seed: int) -> Any:
    """keras.Model: features of one row, of `shape`, -> `outputs` probabilities, or one number for outputs == 1."""
    import keras

    layers = keras.layers
    values = start = keras.Input(shape, name="normalised")
    for index, count in enumerate(config.filters):
        values = layers.Conv2D(count, 3, padding="same", activation=config.activation, name=f"convolution_{index}")(
            values
        )
        if min(values.shape[1:3]) >= 2:
            values = layers.MaxPooling2D(name=f"pooling_{index}")(values)
    if len(values.shape) > 2:
        values = layers.Flatten(name="flat")(values)
    for index, units in enumerate(config.hidden):
        values = layers.Dense(units, activation=config.activation, name=f"hidden_{index}")(values)
        if config.dropout:
            values = layers.Dropout(config.dropout, seed=seed + index, name=f"dropout_{index}")(values)
    last = "softmax" if outputs > 1 else None
    return keras.Model(start, layers.Dense(outputs, activation=last, name="output")(values), name="network")


def whole(before: Any, trained: Any, fitted: Fitted) -> Any:
    """keras.Model: raw inputs -> probabilities [rows, classes], or the target in its own units [rows, 1]."""
    import keras

    answer = trained(before.output)
    if not fitted.classes:
        mean, scale = fitted.target
        answer = keras.layers.Rescaling(scale, offset=mean, name="target_units")(answer)
    return keras.Model(before.input, answer, name="model")
