"""An architecture: one kind of network. architectures/ has one module for each; this module has their common parts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from pipelines.config.data import Data
from pipelines.config.section import Section

Places = list[list[int]]  # of each raw column of a table, the places of its features among all features of a row


class Layers(Section):
    """The keys of `train:` that every network has."""

    hidden: list[int] = [64]
    """Units of each dense layer."""
    activation: Literal["relu", "sigmoid", "tanh", "gelu"] = "relu"
    """The activation of the layers."""
    dropout: float = Field(0.0, ge=0, lt=1)
    """The share of units that dropout switches off while the network trains."""


@dataclass(frozen=True)
class Architecture:
    name: str
    keys: type[Layers]  # the shared keys, and its own
    build: Callable[..., Any]
    """build(config, features of a row as Keras has them, seed) -> what the output layer sees [rows, units]"""
    layers: str = ""  # its key that holds one number for each of its own layers, and is needed
    exclusive: tuple[str, ...] = ()  # its keys that no other network may have
    grid: bool = False  # whether it needs images or a sequence
    columns: bool = False  # whether `build` also takes the Places of a table's columns, None for other rows
    problem: Callable[[Data], str] = lambda data: ""  # why it cannot read such rows, for other reasons


def dense(config: Layers, values: Any, seed: int) -> Any:
    """Add the hidden layers."""
    from keras import layers

    if len(values.shape) > 2:
        values = layers.Flatten(name="flat")(values)
    for index, units in enumerate(config.hidden):
        values = layers.Dense(units, activation=config.activation, name=f"hidden_{index}")(values)
        if config.dropout:
            values = layers.Dropout(config.dropout, seed=seed + index, name=f"dropout_{index}")(values)
    return values
