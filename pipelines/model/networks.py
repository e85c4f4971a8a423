"""Networks: features of a row in, probabilities or a number out. Every layer has a name.

features.py has the parts of the saved model before and after the network.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, create_model, model_validator

from pipelines.config import plugins
from pipelines.config.section import Section
from pipelines.model import architectures
from pipelines.model.architecture import Architecture, Layers, Places


class Augment(Section):
    """Keras' random layers in front of the network, while it trains and never afterwards."""

    rotation: float = Field(0.0, ge=0, le=0.5)
    """The largest turn in either direction, in whole turns."""
    translation: float = Field(0.0, ge=0, le=0.5)
    """The largest move in either direction, as a share of height and width."""
    zoom: float = Field(0.0, ge=0, lt=1)
    """The largest zoom in or out, as a share of the size."""


ARCHITECTURES = plugins.found(architectures, Architecture)

if TYPE_CHECKING:

    class Keys(Layers):
        network: str = "mlp"
else:
    Keys = create_model(
        "Keys",
        __base__=tuple(one.keys for one in ARCHITECTURES.values()),
        network=(Literal[tuple(ARCHITECTURES)], Field("mlp", description="The kind of network.")),
    )


class Network(Keys):
    """The keys of `train:` that define the network: those of every architecture, side by side."""

    numbers: Literal["scaled", "quantiles"] = "scaled"
    """How numbers are given to the network: scaled to mean 0 and variance 1, or as shares of bins. See
    [Networks](#networks)."""
    bins: int = Field(32, ge=1, le=1000)
    """The largest number of bins for each number. Only with `numbers: quantiles`."""
    min_count: int = Field(1, ge=1)
    """A word of a category that occurs in fewer rows counts as unknown."""
    augment: Augment | None = None
    """Random changes of the images while the network trains. Only for images."""
    predict: Literal["change", "value"] | None = None
    """Whether a sequence forecasts the change from `data.baseline`, without it from the last known value (the default),
    or the value itself. The saved model adds what the change is from."""

    @property
    def architecture(self) -> Architecture:
        return ARCHITECTURES[self.network]

    @property
    def sizes(self) -> list[int]:
        """The size of each layer, from the first to the last."""
        own = self.architecture.layers
        return [*(getattr(self, own) if own else []), *self.hidden]

    @model_validator(mode="after")
    def _fits(self) -> "Network":
        chosen = self.architecture
        if chosen.layers and not getattr(self, chosen.layers):
            raise ValueError(f"network {chosen.name} needs `{chosen.layers}`: [16, 32], one number for each layer")
        for other in ARCHITECTURES.values():
            for key in other.exclusive:
                if other is not chosen and getattr(self, key):
                    raise ValueError(f"`{key}` belongs to network {other.name}, not to {chosen.name}")
        if any(size < 1 for size in self.sizes):
            *most, last = ["hidden", *(one.layers for one in ARCHITECTURES.values() if one.layers)]
            raise ValueError(f"{', '.join(most)} and {last} must hold whole numbers from 1")
        if "bins" in self.model_fields_set and self.numbers != "quantiles":
            raise ValueError("`bins` belongs to numbers: quantiles")
        return self


def network(
    config: Network,
    shape: tuple[int, ...],
    outputs: int,
    seed: int,
    still: bool = False,
    columns: Places | None = None,
) -> Any:
    """keras.Model: features of one row, of `shape`, -> `outputs` probabilities, or one number for outputs == 1.

    still: whether it answers 0 to every row before it is trained. columns: where the columns of a table lie in its
    features (features.places); without them each feature counts as a column.
    """
    import keras

    start = keras.Input(shape, name="normalised")
    chosen, more = config.architecture, []
    if chosen.columns:
        more = [columns or ([[place] for place in range(shape[0])] if len(shape) == 1 else None)]
    values = chosen.build(config, start, seed, *more)
    last = "softmax" if outputs > 1 else None
    begins = {"kernel_initializer": "zeros"} if still else {}
    output = keras.layers.Dense(outputs, activation=last, dtype="float32", name="output", **begins)(values)
    return keras.Model(start, output, name="network")


def augmented(config: Network, trained: Any, seed: int) -> Any:
    """keras.Model: random layers before the network, for the training; without `augment` the network itself.

    Space that appears at an edge of the picture is filled with the colour of the edge.
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
