"""Networks: features of a row in, probabilities or a number out. Every layer has a name.

What stands before and behind a network, in the saved model, is in features.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from pydantic import Field, model_validator

from pipelines.config.settings import Section


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
    return keras.Model(
        start, layers.Dense(outputs, activation=last, dtype="float32", name="output")(values), name="network"
    )


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


@contextmanager
def computed_in(precision: str) -> Iterator[None]:
    """Layers that are made in the block compute in this precision, with weights in float32."""
    import keras

    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy("float32")


def answering(network: Any) -> Any:
    """keras.Model: the network, its answer in float32 whatever it computes in."""
    import keras

    if network.output.dtype == "float32":
        return network
    answer = keras.layers.Activation("linear", dtype="float32", name="answer")(network.output)
    return keras.Model(network.input, answer, name=network.name)
