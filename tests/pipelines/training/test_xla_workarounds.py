"""What XLA is given in place of Keras' operations computes the same, and in a form that it can make fast."""

import numpy as np
import pytest

from pipelines.training import xla_workarounds


@pytest.fixture(autouse=True)
def _settled(hardware):
    """TensorFlow, deterministic."""


def value_and_gradient(function, values):
    """Of the sum of squares of what the function gives."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(values)
        found = function(values)
        total = tf.reduce_sum(tf.square(found))
    return found, tape.gradient(total, values)


def compared(function, values, compiled=True):
    """As it is, and as it is traced for XLA, and compiled by it if it can."""
    import tensorflow as tf

    usual = value_and_gradient(function, values)
    with xla_workarounds.for_xla():
        other = tf.function(value_and_gradient, jit_compile=compiled)(function, values)
    for one, two in zip(usual, other, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def random(*shape):
    import tensorflow as tf

    return tf.constant(np.random.default_rng(0).normal(size=shape).astype(np.float32))


def test_the_cross_entropy_and_its_gradient_are_the_same():
    import keras

    labels = np.array([2, 0, 1, 1])
    compared(
        lambda logits: keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True), random(4, 3)
    )


def test_a_class_that_a_network_rules_out_has_no_part_in_the_cross_entropy():
    import keras
    import tensorflow as tf

    logits, ruled_out, loss = (
        random(4, 3),
        tf.constant([0.0, 0.0, -np.inf]),
        keras.losses.sparse_categorical_crossentropy,
    )
    compared(lambda logits: loss(np.array([0, 0, 1, 1]), logits + ruled_out, from_logits=True), logits)


def test_dropout_names_its_generator():
    """Else its key is made of the seed in hundreds of operations, in every step."""
    import keras
    import tensorflow as tf

    def code():
        layer = keras.layers.Dropout(0.5, seed=1)
        program = tf.function(lambda values: layer(values, training=True), jit_compile=True)
        return program.experimental_get_compiler_ir(random(4, 3))(stage="hlo")

    assert "StatelessRandomGetKeyCounter" in code()  # else there is no more need to
    with xla_workarounds.for_xla():
        assert "StatelessRandomGetKeyCounter" not in code()


def test_the_gradient_of_the_cross_entropy_puts_nothing_where_a_row_says():
    """A scatter, which a GPU would do one row after the other."""
    import keras
    import tensorflow as tf

    def gradient(labels, logits):
        loss = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        return tf.gradients(tf.square(loss), logits)

    def code():
        program = tf.function(lambda *given: gradient(*given), jit_compile=True)  # not one that was traced before
        return program.experimental_get_compiler_ir(tf.constant([2, 0, 1, 1]), random(4, 3))(stage="hlo")

    assert "scatter(" in code()  # else there is no more need of it
    with xla_workarounds.for_xla():
        assert "scatter(" not in code()


def outcome(pool, **ways):
    """What comes out, or the kind of error: TensorFlow's of a processor may refuse to pool into nothing."""
    import tensorflow as tf

    try:
        return pool(**ways).numpy().tolist()
    except tf.errors.OpError as error:
        return type(error).__name__


def test_pooling_that_tensorflow_is_asked_for_in_another_way_is_as_usual():
    import tensorflow as tf

    values, pool = random(3, 8, 6, 2), tf.nn.max_pool
    for ways in (
        {"input": values, "ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": "VALID"},
        {"input": values, "ksize": 2, "strides": 2, "padding": "VALID", "name": "so"},
        {"input": values, "ksize": [2], "strides": [2], "padding": "VALID", "data_format": "NHWC"},
        {"input": values, "ksize": 9, "strides": 9, "padding": "VALID"},  # nothing comes out
    ):
        with xla_workarounds.for_xla():
            found = outcome(tf.nn.max_pool, **ways)
        assert found == outcome(pool, **ways)


@pytest.mark.parametrize(
    ("shape", "more"),
    [
        ((8, 6, 2), {"pool_size": 2}),
        ((9, 7, 2), {"pool_size": (2, 3)}),  # rows and columns are left that fill no part
        ((8, 8, 1), {"pool_size": 3, "strides": 2}),  # parts that overlap
        ((7, 7, 1), {"pool_size": 2, "padding": "same"}),
        ((9, 2), {"pool_size": 2}),
        ((4, 5, 6, 2), {"pool_size": 2}),
    ],
)
def test_max_pooling_and_its_gradient_are_the_same(shape, more):
    import keras

    kind = {2: keras.layers.MaxPooling1D, 3: keras.layers.MaxPooling2D, 4: keras.layers.MaxPooling3D}[len(shape)]
    compared(kind(**more), random(3, *shape), compiled=more.keys() == {"pool_size"})


def test_xla_compiles_the_gradient_of_max_pooling():
    import keras
    import tensorflow as tf

    layer, values = keras.layers.MaxPooling2D(), random(3, 6, 6, 2)

    def gradient(values):
        return tf.gradients(layer(values), values)

    with pytest.raises(tf.errors.OpError, match="deterministic"):
        tf.function(gradient, jit_compile=True)(values)
    with xla_workarounds.for_xla():
        (found,) = tf.function(gradient, jit_compile=True)(values)
    assert float(tf.reduce_sum(found)) == 3 * 3 * 3 * 2
