"""A model in two parts, as it was joined (pipelines/model/features.py): the features, and the network on them.

Gradients need both: pixels are whole numbers and words are text, but every feature is a number.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np

from pipelines.explaining.columns import Arrays, count, rows

ROWS = 1024  # that are computed at once


class Parts:
    """features: keras.Model, raw arrays -> features float32. network: keras.Model, features -> probabilities, or one
    number, which the model multiplies by `scale` and adds to what is known beside the network."""

    def __init__(self, model: Any):
        """model: a keras.Model of raw rows, as `Predictor` has it. Raises ValueError if it has not one network."""
        import keras

        if (inner := network(model)) is None:
            raise ValueError("the model does not hold one network")
        self.model, self.network = model, inner
        taken = self.network._inbound_nodes[0].input_tensors[0]  # its public `input` is the one inside
        self.features = keras.Model(model.input, taken, name="features")
        names = {layer.name: layer for layer in model.layers}
        self.scale = float(names["target_units"].scale) if "target_units" in names else 1.0
        self._changed = "changed" in names

    def features_of(self, arrays: Arrays) -> np.ndarray:
        """The features float32 [rows, ...] of raw rows."""
        return _in_parts(self.features, arrays).astype(np.float32, copy=False)  # of words alone they are integers

    def answers(self, arrays: Arrays) -> np.ndarray:
        """The answers float32 [rows, outputs] to raw rows."""
        return _in_parts(self.model, arrays)

    def beside(self, arrays: Arrays, features: np.ndarray) -> np.ndarray | float:
        """float64 [rows]: what a forecast is without the network's part of it, the naive one; 0 for other models.

        features: of the rows.
        """
        if not self._changed:
            return 0.0
        part = np.asarray(self.network(features, training=False), np.float64)
        return np.asarray((self.answers(arrays).astype(np.float64) - part * self.scale)[:, 0])

    @cached_property
    def gradient(self) -> Callable[..., Any]:
        """The weighted sum of the gradients in some points of the ways of some rows, as one program for all sizes.

        gradient(start, end, chosen, places, weights) -> [rows, ...]. start, end: float32 [rows, ...], features. chosen:
        int32 [rows], outputs of the network. places, from 0 to 1, and weights: float32 [points].
        """
        import tensorflow as tf

        network = self.network

        def compute(start: Any, end: Any, chosen: Any, places: Any, weights: Any) -> Any:
            sizes = tf.concat([tf.shape(places), tf.ones(tf.rank(start), tf.int32)], 0)
            ways = start[None] + tf.reshape(places, sizes) * (end - start)[None]
            points = tf.reshape(ways, tf.concat([[-1], tf.shape(start)[1:]], 0))
            with tf.GradientTape() as tape:
                tape.watch(points)
                answers = network(tf.ensure_shape(points, [None, *start.shape[1:]]), training=False)
                wanted = tf.gather(answers, tf.tile(chosen, tf.shape(places)), batch_dims=1)
            found = tf.reshape(tape.gradient(wanted, points), tf.shape(ways))
            return tf.reduce_sum(tf.reshape(weights, sizes) * found, 0)

        rows, numbers = tf.TensorSpec([None, *network.input_shape[1:]], tf.float32), tf.TensorSpec([None], tf.float32)
        given = [rows, rows, tf.TensorSpec([None], tf.int32), numbers, numbers]
        return tf.function(compute, input_signature=given, autograph=False)


def network(model: Any) -> Any:
    """The one network that a model of raw rows holds, a keras.Model; None if there is not one."""
    import keras

    found = [layer for layer in model.layers if isinstance(layer, keras.Model)]
    return found[0] if len(found) == 1 else None


def _in_parts(model: Any, arrays: Arrays) -> np.ndarray:
    starts = range(0, max(count(arrays), 1), ROWS)
    found = [np.asarray(model(rows(arrays, slice(start, start + ROWS)), training=False)) for start in starts]
    return np.concatenate(found)
