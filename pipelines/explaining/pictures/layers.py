"""What the first layers of a network see: the maps of convolutions on a picture, or the weights of a dense layer.

A dense layer on pixels has a weight for each of them, so its weights are pictures too: templates that it looks for.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.explaining.columns import Arrays
from pipelines.explaining.parts import Parts

CONVOLUTIONS = 3  # the first ones, that are drawn
UNITS = 10  # of each layer, that are drawn


@dataclass(frozen=True)
class Maps:
    """What a convolution makes of some pictures: float64 [rows, units, cells down, cells across], the most active units
    of the layer `of` all."""

    layer: str
    values: np.ndarray
    of: int


@dataclass(frozen=True)
class Weights:
    """The weights of units of a dense layer: float64 [units, height, width], the sum over the channels of a pixel, of
    the units with the largest ones of the layer `of` all."""

    layer: str
    values: np.ndarray
    of: int


def maps(parts: Parts, pictures: Arrays, most: int = UNITS) -> list[Maps]:
    """Of the first convolutions; [] for a network without one."""
    import keras

    network = parts.network
    found = [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)][:CONVOLUTIONS]
    if not found:
        return []
    watched = keras.Model(network.input, [layer.output for layer in found])
    seen = watched(parts.features_of(pictures), training=False)
    seen = seen if isinstance(seen, list) else [seen]  # as Keras gives a single one
    result = []
    for layer, values in zip(found, seen, strict=True):
        here = np.moveaxis(np.asarray(values, np.float64), 3, 1)
        result.append(Maps(layer.name, here[:, _largest(here.std(axis=(0, 2, 3)), most)], here.shape[1]))
    return result


def weights(parts: Parts, shape: list[int], most: int = 3 * UNITS) -> Weights | None:
    """Of the first dense layer, if it takes the pixels themselves. shape: height, width, channels."""
    layer = _first_on_pixels(parts.network, int(np.prod(shape)))
    if layer is None:
        return None
    kernel = np.asarray(layer.kernel, np.float64).reshape(*shape, -1).sum(axis=2)
    chosen = _largest(np.square(kernel).sum(axis=(0, 1)), most)
    return Weights(layer.name, np.moveaxis(kernel, 2, 0)[chosen], kernel.shape[2])


def _first_on_pixels(network: Any, pixels: int) -> Any | None:
    """The first layer with weights, if it is a dense one of so many inputs."""
    import keras

    first = next((layer for layer in network.layers if layer.weights), None)
    return first if isinstance(first, keras.layers.Dense) and first.kernel.shape[0] == pixels else None


def _largest(sizes: np.ndarray, most: int) -> np.ndarray:
    """The places of the largest of some sizes, in their own order; the first of equal ones."""
    return np.sort(np.argsort(-sizes, kind="stable")[:most])
