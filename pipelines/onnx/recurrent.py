"""Recurrent layers as ONNX has them: one operation, where tf2onnx makes a loop that takes many times as long.

tf2onnx finds no recurrent layer in what Keras 3 computes. So each is replaced by one TensorFlow operation that is never
run, CudnnRNN, and the handler of this operation writes the one of ONNX.
"""

from typing import Any

import numpy as np

GATES = {"gru": [0, 1, 2], "lstm": [0, 3, 1, 2], "rnn_tanh": [0]}  # Keras' gates, in ONNX' order
NAMES = {"gru": "GRU", "lstm": "LSTM", "rnn_tanh": "RNN"}
OPERATION = "CudnnRNN"


def mode(layer: Any) -> str:
    """The kind of a recurrent layer that ONNX has; "" for any other layer."""
    import keras

    kinds = {keras.layers.GRU: "gru", keras.layers.LSTM: "lstm", keras.layers.SimpleRNN: "rnn_tanh"}
    kind = kinds.get(type(layer), "")
    wanted = {"activation": "tanh", "recurrent_activation": "sigmoid", "use_bias": True, "reset_after": True}
    wanted |= {"go_backwards": False, "stateful": False, "return_state": False}
    config = layer.get_config() if kind else {}
    return kind if all(config.get(key, value) == value for key, value in wanted.items()) else ""


def carrier(layer: Any) -> Any:
    """A keras.Layer that takes and gives the same as a recurrent layer of a mode, for tf2onnx alone."""
    import keras
    import tensorflow as tf

    kind, flat = mode(layer), np.concatenate([part.ravel() for part in _weights(layer)])

    class Carrier(keras.layers.Layer):
        def call(self, values: Any) -> Any:
            start = tf.zeros((1, 1, layer.units))
            steps = tf.raw_ops.CudnnRNN(
                input=tf.transpose(values, (1, 0, 2)), input_h=start, input_c=start, params=flat, rnn_mode=kind
            )[0]
            return tf.transpose(steps, (1, 0, 2)) if layer.return_sequences else steps[-1]

        def compute_output_shape(self, shape: Any) -> Any:
            return (shape[0], shape[1], layer.units) if layer.return_sequences else (shape[0], layer.units)

    return Carrier(name=layer.name)


def _weights(layer: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """ONNX' W [gates * units, width] of the input, R [gates * units, units] of the state, and B [2, gates * units]."""
    order = GATES[mode(layer)]
    kernel, state, bias = (np.asarray(weight) for weight in layer.get_weights())
    biases = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])

    def ordered(weights: np.ndarray) -> np.ndarray:
        parts = np.split(weights, len(order), axis=-1)
        return np.concatenate([parts[gate] for gate in order], axis=-1)

    return ordered(kernel).T, ordered(state).T, ordered(biases)


def written(graph: Any, node: Any, name: str, arguments: list[Any]) -> Any:
    """The handler for tf2onnx: replace a carrier's operation. graph, node: a tf2onnx Graph and one of its Nodes."""
    kind = node.get_attr_str("rnn_mode")
    width, units = graph.get_shape(node.input[0])[2], graph.get_shape(node.input[1])[2]
    rows, flat = len(GATES[kind]) * units, node.inputs[3].get_tensor_value(as_list=False)
    parts = np.split(flat, [rows * width, rows * (width + units)])
    shapes = [(1, rows, width), (1, rows, units), (1, 2 * rows)]
    weights = [
        graph.make_const(f"{name}/{letter}", part.reshape(shape)).output[0]
        for letter, part, shape in zip("WRB", parts, shapes, strict=True)
    ]
    source, answer = node.input[0], node.output[0]
    dtype, shape = graph.get_dtype(answer), graph.get_shape(answer)
    graph.remove_node(name)
    attributes = {"hidden_size": units} | ({"linear_before_reset": 1} if kind == "gru" else {})
    steps = graph.make_node(NAMES[kind], [source, *weights], attr=attributes, name=f"{name}/{NAMES[kind]}")
    direction = graph.make_const(f"{name}/direction", np.array([1], np.int64))
    squeezed = [steps.output[0], direction.output[0]]
    return graph.make_node("Squeeze", squeezed, name=name, outputs=[answer], dtypes=[dtype], shapes=[shape])
