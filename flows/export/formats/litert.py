"""LiteRT: the network alone, for small devices; reader.py does the rest of the model.

LiteRT has no words, no double precision and no missing values. Its network has the shapes of one row, so that a
recurrent layer becomes a loop of LiteRT's own operations: with a free number of rows it would need TensorFlow's.
"""

import contextlib
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flows.export.format import Format, NotCarried, sentence
from flows.export.reader import NETWORK

OPERATION = re.compile(r"'tf\.(\w+)' op is neither")


def write(model: Any, path: Path, int8: bool) -> None:
    """model: the keras.Model of raw rows. Raises NotCarried, naming the layer, if LiteRT lacks what it does."""
    network = model.get_layer(NETWORK)
    path.write_bytes(converted(network, int8))


def converted(network: Any, int8: bool) -> bytes:
    """The bytes of a network, a keras.Model: float32 [1, ...] -> float32 [1, outputs]. int8: weights in eight bits."""
    import tensorflow as tf

    computed = _computed(network)
    with _quiet():
        converter = tf.lite.TFLiteConverter.from_concrete_functions([computed])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if int8:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        try:
            return bytes(converter.convert())
        except Exception as error:  # of TensorFlow, for what a network of a user's own may hold
            raise NotCarried(_told(error, computed.graph, network)) from error


def _computed(network: Any) -> Any:
    """The concrete function of one row. The weights are its constants: a loop cannot read variables in LiteRT."""
    import tensorflow as tf

    trained, fixed = (
        [tf.constant(weight.numpy()) for weight in weights]
        for weights in (network.trainable_variables, network.non_trainable_variables)
    )

    def answer(features: Any) -> Any:
        return network.stateless_call(trained, fixed, features, training=False)[0]

    row = tf.TensorSpec((1, *network.input_shape[1:]), "float32", name="features")
    return tf.function(answer, input_signature=[row], autograph=False).get_concrete_function()


def _told(error: Exception, graph: Any, network: Any) -> str:
    found = OPERATION.search(str(error))
    if not found:
        return f"the network cannot be turned into LiteRT: {sentence(error)}"
    return f"LiteRT lacks the operation {found[1]}{_place(found[1], graph, network)}"


def _place(operation: str, graph: Any, network: Any) -> str:
    """The layer of an operation, as far as the names in the graph say."""
    nodes = [*graph.as_graph_def().node]
    nodes += [node for function in graph.as_graph_def().library.function for node in function.node_def]
    layers = {layer.name for layer in network._flatten_layers()} - {network.name}
    for node in nodes:
        parts = [re.sub(r"_\d+$", "", part) if part not in layers else part for part in node.name.split("/")]
        if node.op == operation and (named := [part for part in parts if part in layers]):
            return f" of the layer {named[-1]}"
    return ""


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the converter writes to the error output, and without its warnings."""
    saved, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nothing)


LITERT = Format(
    "litert",
    "model.tflite",
    "LiteRT",
    "ai_edge_litert",
    ("ai-edge-litert",),
    write,
    extra="export",
    alone=("tensorflow", "keras", "onnxruntime"),
    int8=True,
    steps=True,
)
