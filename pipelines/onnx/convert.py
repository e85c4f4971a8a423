"""A Keras model as one ONNX graph that takes raw rows."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pipelines.onnx import canonical, rebuilt, recurrent, words
from pipelines.onnx.not_carried import NotCarried
from pipelines.onnx.words import Lookup

OPSET, ML_OPSET = 18, 3  # the versions of ONNX' operations
ANSWER = "answer"  # the name of the graph's output
ROWS = "rows"  # the name of the first dimension


def converted(model: Any, about: dict[str, Any]) -> Any:
    """The onnx.ModelProto: inputs as predictor.to_arrays gives them, output `answer` float32 [rows, answers of a row].

    model: the keras.Model. about: model.json. The same model gives the same bytes in every process. Raises NotCarried,
    naming the layer, if ONNX lacks what the model does.
    """
    taken, lookups = rebuilt.rebuilt(model, about)
    proto = _by_tf2onnx(taken)
    if missing := [node for node in _nodes(proto.graph) if not _is_known(node)]:
        raise NotCarried(f"ONNX lacks the operation {missing[0].op_type}{_place(missing[0].name, model)}")
    _take_words(proto, lookups)
    _name_shapes(proto, model)
    return canonical.canonical(proto)


def _by_tf2onnx(model: Any) -> Any:
    """The onnx.ModelProto of a model without words, with tf2onnx' own names."""
    import tensorflow as tf
    import tf2onnx.convert

    rows = {value.name: tf.TensorSpec(value.shape, value.dtype, name=value.name) for value in model.inputs}

    def answer(batch: dict[str, Any]) -> dict[str, Any]:
        return {ANSWER: model(batch, training=False)}

    compiled = tf.function(answer, input_signature=[rows], autograph=False)
    handlers = {
        "SelectV2": (_as_where, ["Where"]),
        "Erfc": (_as_erf, []),
        recurrent.OPERATION: (recurrent.written, []),
    }
    with _quiet():
        proto, _ = tf2onnx.convert.from_function(compiled, [rows], opset=OPSET, custom_op_handlers=handlers)
    return proto


def _as_where(graph: Any, node: Any, name: str, arguments: list[Any]) -> Any:
    """tf2onnx' own way is c * x + (1 - c) * y, which a missing value in either turns into a missing result."""
    return node


def _as_erf(graph: Any, node: Any, name: str, arguments: list[Any]) -> Any:
    """tf2onnx has nothing for erfc(x), which is 1 - erf(x). Keras' gelu is computed by it."""
    one = graph.make_const(f"{name}/one", np.ones((), np.float32))
    (answer,) = node.output
    kind, shape = graph.get_dtype(answer), graph.get_shape(answer)
    graph.remove_node(name)
    erf = graph.make_node("Erf", list(node.input), dtypes=[kind], shapes=[shape])
    return graph.make_node(
        "Sub", [one.output[0], erf.output[0]], name=name, outputs=[answer], dtypes=[kind], shapes=[shape]
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the log and the warnings of tf2onnx: what it cannot convert is found in its graph."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _nodes(graph: Any) -> Iterator[Any]:
    """Every node of a graph and of the graphs in its nodes."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]:
                yield from _nodes(inner)


def _is_known(node: Any) -> bool:
    from onnx import defs

    return bool(defs.has(node.op_type, node.domain))


def _place(name: str, model: Any) -> str:
    """The layer of a node, as far as its name says. name: of TensorFlow, such as model_1/network_1/hidden_0_1/Erf."""
    known = {layer.name for layer in model._flatten_layers()}
    parts = [re.sub(r"_\d+$", "", part) if part not in known else part for part in name.split("/")]
    layers = [part for part in parts if part in known - {model.name}]
    return f" of the layer {layers[-1]}" if layers else ""


def _take_words(proto: Any, lookups: dict[str, list[Lookup]]) -> None:
    """Let the graph take words, and find their positions."""
    from onnx import NodeProto, helper

    graph = proto.graph
    before: list[Any] = []
    for name, mine in lookups.items():
        positions = f"{name}/positions"
        for node in graph.node:
            node.input[:] = [positions if source == name else source for source in node.input]
        for part in words.finders(mine, name, positions):
            (before if isinstance(part, NodeProto) else graph.initializer).append(part)
    if not before:
        return
    after = list(graph.node)
    del graph.node[:]
    graph.node.extend([*before, *after])
    del proto.opset_import[:]
    proto.opset_import.extend([helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)])


def _name_shapes(proto: Any, model: Any) -> None:
    """Declare the inputs and the output as the model has them, in a fixed order."""
    from onnx import TensorProto, helper

    kinds = {"uint8": TensorProto.UINT8, "float64": TensorProto.DOUBLE, "string": TensorProto.STRING}
    graph = proto.graph
    del graph.input[:], graph.output[:]
    for value in sorted(model.inputs, key=lambda value: value.name):
        graph.input.append(helper.make_tensor_value_info(value.name, kinds[value.dtype], [ROWS, *value.shape[1:]]))
    graph.output.append(helper.make_tensor_value_info(ANSWER, TensorProto.FLOAT, [ROWS, *model.output.shape[1:]]))
