"""Grad-CAM: where the last convolution found what speaks for an answer (Selvaraju et al. 2017).

Its maps are coarse, a cell for each place of that convolution; integrated gradients see every pixel.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from pipelines.explaining.columns import Arrays
from pipelines.explaining.parts import Parts


def last_convolution(network: Any) -> Any | None:
    """The last layer of the network that is a convolution of pictures, or None."""
    import keras

    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.SeparableConv2D)
    found = [layer for layer in network.layers if isinstance(layer, kinds)]
    return found[-1] if found else None


def maps(parts: Parts, pictures: Arrays, chosen: np.ndarray) -> np.ndarray | None:
    """float64 [rows, cells down, cells across] from 0 to 1, the largest of each picture 1, or all 0 if nothing speaks
    for the answer; None for a network without a convolution.

    chosen: int [rows], the class, 0 of a regression. The gradient is that of its score before the softmax, which is
    not flat where the model is sure.
    """
    import keras
    import tensorflow as tf

    if (layer := last_convolution(parts.network)) is None:
        return None
    inner, score = _score(parts.network)
    watched = keras.Model(parts.network.input, [layer.output, inner])
    features = tf.constant(parts.features_of(pictures))
    with tf.GradientTape() as tape:
        tape.watch(features)
        seen, values = watched(features, training=False)
        wanted = tf.gather(score(values), chosen, batch_dims=1)
    gradients = tape.gradient(wanted, seen)
    shares = np.asarray(gradients, np.float64).mean(axis=(1, 2), keepdims=True)
    found = np.maximum((shares * np.asarray(seen, np.float64)).sum(axis=3), 0.0)
    most = found.max(axis=(1, 2), keepdims=True)
    return np.divide(found, most, out=np.zeros_like(found), where=most > 0)


def _score(network: Any) -> tuple[Any, Callable[[Any], Any]]:
    """A tensor of the network, and the function that makes the scores [rows, outputs] of it: those before the softmax,
    if a dense layer ends the network with one, else its answers."""
    import keras
    import tensorflow as tf

    last = network.layers[-1]
    if not isinstance(last, keras.layers.Dense) or last.activation is not keras.activations.softmax:
        return network.output, lambda values: values
    return last.input, lambda values: tf.cast(values, "float32") @ last.kernel + (last.bias if last.use_bias else 0.0)
