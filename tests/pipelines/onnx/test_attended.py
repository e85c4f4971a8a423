"""Attention for tf2onnx computes what Keras' layers compute, and takes no layer that it does not know."""

import numpy as np
import pytest

from pipelines.onnx import attended

pytestmark = [pytest.mark.usefixtures("hardware"), pytest.mark.tensorflow]


def tokens(count: int) -> np.ndarray:
    return np.random.default_rng(count).normal(size=(4, count, 6)).astype(np.float32)


@pytest.mark.parametrize("kind", ["attention", "shared weights", "weights for each token"])
def test_a_carrier_computes_the_same(kind):
    import keras

    seen, asking = keras.Input((5, 6)), keras.Input((2, 6))
    values = [tokens(5)]
    if kind == "attention":
        layer, taken, values = (
            keras.layers.MultiHeadAttention(3, 4, dropout=0.1),
            (asking, seen),
            [tokens(2), tokens(5)],
        )
    else:
        equation = "abc,cd->abd" if kind == "shared weights" else "abc,bcd->abd"
        layer, taken = keras.layers.EinsumDense(equation, (5, 7), bias_axes="bd", bias_initializer="normal"), (seen,)
    layer(*taken)
    layer.set_weights([np.random.default_rng(0).normal(size=one.shape) for one in layer.get_weights()])
    carrier = attended.carrier(layer, taken)
    assert carrier(*taken).shape == layer(*taken).shape
    np.testing.assert_allclose(carrier(*values), layer(*values), rtol=1e-4, atol=1e-5)


def test_other_layers_are_left_alone():
    import keras

    start, longer = keras.Input((5, 6)), keras.Input((None, 6))
    for layer, taken in (
        (keras.layers.Dense(2), (start,)),
        (keras.layers.EinsumDense("abc,cd->abd", (5, 7), activation="relu", bias_axes="bd"), (start,)),
        (keras.layers.EinsumDense("abc,cd->abd", (5, 7)), (start,)),
        (keras.layers.MultiHeadAttention(2, 3, use_bias=False), (start, start)),
        (keras.layers.MultiHeadAttention(2, 3, value_dim=4), (start, start)),
        (keras.layers.MultiHeadAttention(2, 3), (longer, longer)),
    ):
        layer(*taken)
        assert attended.carrier(layer, taken) is None
