"""Attention for tf2onnx in plain products of matrices, whose shapes are known but for the rows.

Keras computes it by einsum, which TensorFlow breaks into parts that ask for shapes anew: a row takes twice as long.
"""

from typing import Any

EQUATIONS = {"abc,cd->abd": 2, "abc,bcd->abd": 3}  # of dense layers on tokens, and how many axes the weights have


def carrier(layer: Any, taken: tuple[Any, ...]) -> Any:
    """A keras.Layer that computes the same as an attention layer or a dense one on tokens; None for any other layer.

    taken: the tensors that the layer gets.
    """
    import keras

    if type(layer) not in (keras.layers.EinsumDense, keras.layers.MultiHeadAttention):
        return None
    work: Any = None
    if layer.dtype_policy.name != "float32" or any(None in getattr(one, "shape", [None])[1:] for one in taken):
        return None
    if type(layer) is keras.layers.EinsumDense and EQUATIONS.get(layer.equation) == len(layer.kernel.shape):
        work = _dense(layer)
    elif type(layer) is keras.layers.MultiHeadAttention and _is_plain(layer):
        work = _attention(layer)
    if work is None:
        return None

    class Carrier(keras.layers.Layer):
        def call(self, values: Any, seen: Any = None) -> Any:
            return work(values) if seen is None else work(values, seen)

        def compute_output_shape(self, values_shape: Any, seen_shape: Any = None) -> Any:
            return (*values_shape[:-1], int(layer.get_weights()[-1].shape[-1]))

    return Carrier(name=layer.name)


def _is_plain(layer: Any) -> bool:
    """Whether it attends between tokens [rows, tokens, width], with biases."""
    wanted = {"use_bias": True, "output_shape": None, "value_dim": layer.key_dim, "use_gate": False}
    config = layer.get_config() | {"attention_axes": tuple(layer.attention_axes or (1,))}
    wanted |= {"attention_axes": (1,), "sliding_window": None}
    return len(layer.get_weights()) == 8 and all(config.get(key, value) == value for key, value in wanted.items())


def _dense(layer: Any) -> Any:
    import tensorflow as tf

    if layer.bias is None or layer.get_config()["activation"] != "linear":
        return None
    kernel, bias = layer.get_weights()

    def work(values: Any) -> Any:
        if kernel.ndim == 2:
            return tf.matmul(values, kernel) + bias
        return tf.squeeze(tf.matmul(values[:, :, None, :], kernel), axis=2) + bias

    return work


def _attention(layer: Any) -> Any:
    import tensorflow as tf

    heads, size = layer.num_heads, layer.key_dim
    weights = layer.get_weights()

    def projected(values: Any, kernel: Any, bias: Any) -> Any:
        """[rows, tokens, width] -> [rows, heads, tokens, size]"""
        found = tf.matmul(values, kernel.reshape(-1, heads * size)) + bias.reshape(-1)
        return tf.transpose(tf.reshape(found, (-1, values.shape[1], heads, size)), (0, 2, 1, 3))

    def work(asking: Any, seen: Any) -> Any:
        query = projected(asking, *weights[:2]) * size**-0.5
        key, value = projected(seen, *weights[2:4]), projected(seen, *weights[4:6])
        shares = tf.nn.softmax(tf.matmul(query, key, transpose_b=True))
        mixed = tf.transpose(tf.matmul(shares, value), (0, 2, 1, 3))
        flat = tf.reshape(mixed, (-1, asking.shape[1], heads * size))
        return tf.matmul(flat, weights[6].reshape(heads * size, -1)) + weights[7]

    return work
