"""Fewer bits: the weights of an ONNX file, stored in 8 or 16 bits and computed with in 32.

ONNX Runtime turns the stored weights into float32 once, when it loads the file (it folds constants). So a row is
answered as fast as before, its answer does not depend on the rows beside it, and only the weights are rounded: to
float16, or to 127 steps for each unit (Krishnamoorthi 2018, https://arxiv.org/abs/1806.08342, sections 2 and 3.1). What
comes before the network (words, doubles, missing values) stays as it is.

ONNX Runtime's own int8 is not used. The dynamic one takes the range of all rows of a call, so the answer to a row
depends on its neighbours; the static one rounds what goes into a layer, too, to 255 steps of a range that outliers
stretch. On digits, breast_cancer, churn and mnist_cnn both were larger, slower on one row and less exact (the figures:
docs/guides/small-models.md).
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from pipelines.compressing.not_compressed import NotCompressed
from pipelines.onnx import canonical

LEAST = 64  # values of a weight: below, two more operations take more bytes than they save
STEPS = 127  # of int8 on either side of 0
OUTPUTS = {"MatMul": {1: -1}, "Gemm": {1: -1}, "Conv": {1: 0}}  # operation -> input with weights -> axis of its units
OUTPUTS |= {key: {1: 1, 2: 1} for key in ("GRU", "LSTM", "RNN")}

Stored = tuple[np.ndarray, np.ndarray | None]  # the weight in fewer bits, and what it is multiplied by


def float16(weight: np.ndarray, axis: int) -> Stored:
    """Raises NotCompressed for a weight that float16 does not hold."""
    with np.errstate(over="ignore"):
        found = weight.astype(np.float16)
    if not np.isfinite(found).all():
        raise NotCompressed(f"a weight of {np.abs(weight).max():.3g} is larger than float16 holds")
    return found, None


def int8(weight: np.ndarray, axis: int) -> Stored:
    """One scale for each unit, which lie along the axis."""
    others = tuple(place for place in range(weight.ndim) if place != axis % weight.ndim)
    largest = np.abs(weight).max(axis=others, keepdims=True)
    scale = np.where(largest > 0, largest / STEPS, 1.0).astype(np.float32)
    return np.rint(weight / scale).astype(np.int8), scale


KINDS: dict[str, Callable[[np.ndarray, int], Stored]] = {"int8": int8, "float16": float16}


def quantized(content: bytes, kind: str) -> bytes:
    """The same ONNX file with the weights of its layers stored as one of KINDS. Raises NotCompressed.

    The same file gives the same bytes in every process.
    """
    import onnx

    proto = onnx.load_from_string(content)
    graph = proto.graph
    found = dict(_weights(graph))
    if not found:
        raise NotCompressed(f"no layer has {LEAST} weights or more that ONNX holds as constants")
    before: list[Any] = []
    for name, axis in found.items():
        before += _store(graph, name, *KINDS[kind](_values(graph, name), axis))
    after = list(graph.node)
    del graph.node[:]
    graph.node.extend([*before, *after])
    return bytes(canonical.canonical(proto).SerializeToString(deterministic=True))


def _weights(graph: Any) -> Iterator[tuple[str, int]]:
    """The names of the weights that are worth it, and the axis of their units."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        for place, axis in OUTPUTS.get(node.op_type, {}).items():
            tensor = constants.get(node.input[place]) if place < len(node.input) else None
            if tensor is None or tensor.data_type != tensor.FLOAT or len(tensor.dims) < 2:
                continue
            if node.op_type == "Gemm" and any(one.name == "transB" and one.i for one in node.attribute):
                axis = 0
            if int(np.prod(tensor.dims)) >= LEAST:
                yield tensor.name, axis


def _values(graph: Any, name: str) -> np.ndarray:
    from onnx import numpy_helper

    (tensor,) = [tensor for tensor in graph.initializer if tensor.name == name]
    return np.asarray(numpy_helper.to_array(tensor))


def _store(graph: Any, name: str, stored: np.ndarray, scale: np.ndarray | None) -> list[Any]:
    """Replace a constant by the nodes that compute it from what is stored; returns them."""
    from onnx import TensorProto, helper, numpy_helper

    (tensor,) = [tensor for tensor in graph.initializer if tensor.name == name]
    graph.initializer.remove(tensor)
    graph.initializer.append(numpy_helper.from_array(stored, f"{name}/stored"))
    wide = name if scale is None else f"{name}/wide"
    nodes = [helper.make_node("Cast", [f"{name}/stored"], [wide], to=TensorProto.FLOAT)]
    if scale is not None:
        graph.initializer.append(numpy_helper.from_array(scale, f"{name}/scale"))
        nodes.append(helper.make_node("Mul", [wide, f"{name}/scale"], [name]))
    return nodes
