"""Small models as ONNX graphs, made by hand: quick to make, and what they answer can be computed on paper.

Each takes the arrays of predictor.to_arrays. `more` moves its answers, so that two versions can be told apart.
"""

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSETS = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3)]
COLOURS = ["black", "brown", "white"]  # 1, 2 and 3 in the graph; another word is 0


def pets(more: float = 0.0) -> bytes:
    """numbers [rows, 2], categories [rows, 1], dates [rows, 1] -> two classes: a dog weighs more than 9 kg."""
    nodes = [
        helper.make_node("IsNaN", ["numbers"], ["gone"]),
        helper.make_node("Where", ["gone", "mean", "numbers"], ["present"]),
        helper.make_node("MatMul", ["present", "weights"], ["weighed"]),
        helper.make_node("LabelEncoder", ["categories"], ["codes"], domain="ai.onnx.ml", **_codes()),
        helper.make_node("Gather", ["by_colour", "codes"], ["coloured"]),
        helper.make_node("ReduceSum", ["coloured", "one"], ["colour"], keepdims=0),
        helper.make_node("Add", ["weighed", "colour"], ["both"]),
        helper.make_node("IsNaN", ["dates"], ["never"]),
        helper.make_node("Cast", ["never"], ["unborn"], to=TensorProto.DOUBLE),
        helper.make_node("Add", ["both", "unborn"], ["scored"]),
        helper.make_node("Add", ["scored", "more"], ["moved"]),
        helper.make_node("Cast", ["moved"], ["single"], to=TensorProto.FLOAT),
        helper.make_node("Softmax", ["single"], ["answer"], axis=1),
    ]
    constants = {
        "mean": np.array([9.0, 7.0]),
        "weights": np.array([[0.0, 1.0], [0.0, 0.01]]),
        "by_colour": np.array([[0.0, 0.0], [0.1, 0.0], [0.2, 0.0], [0.3, 0.0]]),
        "one": np.array([1], np.int64),
        "more": np.array([9.0 + more, 0.0]),
    }
    inputs = [_input("numbers", 2), _input("categories", 1, kind=TensorProto.STRING), _input("dates", 1)]
    return _graph(nodes, inputs, constants, 2)


def weights(more: float = 0.0) -> bytes:
    """numbers [rows, 1], categories [rows, 1] -> a number: twice the age, and more for each colour."""
    nodes = [
        helper.make_node("IsNaN", ["numbers"], ["gone"]),
        helper.make_node("Where", ["gone", "mean", "numbers"], ["present"]),
        helper.make_node("Mul", ["present", "two"], ["twice"]),
        helper.make_node("LabelEncoder", ["categories"], ["codes"], domain="ai.onnx.ml", **_codes()),
        helper.make_node("Cast", ["codes"], ["colour"], to=TensorProto.DOUBLE),
        helper.make_node("Add", ["twice", "colour"], ["both"]),
        helper.make_node("Add", ["both", "more"], ["moved"]),
        helper.make_node("Cast", ["moved"], ["answer"], to=TensorProto.FLOAT),
    ]
    constants = {"mean": np.array([7.0]), "two": np.array([2.0]), "more": np.array([more])}
    inputs = [_input("numbers", 1), _input("categories", 1, kind=TensorProto.STRING)]
    return _graph(nodes, inputs, constants, 1)


def tiles(more: float = 0.0) -> bytes:
    """image [rows, 6, 6, 1] -> three classes: bright on the left, on the right, or nowhere."""
    side = np.zeros((6, 6, 3), np.float32)
    side[:, :3, 0] = side[:, 3:, 1] = 1 / (18 * 25)
    nodes = [
        helper.make_node("Cast", ["image"], ["single"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["single", "flat"], ["pixels"]),
        helper.make_node("MatMul", ["pixels", "side"], ["bright"]),
        helper.make_node("Add", ["bright", "more"], ["moved"]),
        helper.make_node("Softmax", ["moved"], ["answer"], axis=1),
    ]
    constants = {
        "flat": np.array([-1, 36], np.int64),
        "side": side.reshape(36, 3),
        "more": np.array([more, 0.0, 4.0], np.float32),
    }
    return _graph(nodes, [_input("image", 6, 6, 1, kind=TensorProto.UINT8)], constants, 3)


def shops(more: float = 0.0) -> bytes:
    """past_numbers [rows, 6, 2], past_categories [rows, 6, 1], categories [rows, 1], dates [rows, 1] -> a number: the
    sum of the known targets, and one more for each known word of the sky."""
    sky, shop = _codes("clear", "cloud"), _codes("a", "b")
    nodes = [
        helper.make_node("Gather", ["past_numbers", "target"], ["history"], axis=2),
        helper.make_node("IsNaN", ["history"], ["gone"]),
        helper.make_node("Where", ["gone", "nothing", "history"], ["present"]),
        helper.make_node("ReduceSum", ["present", "one"], ["sold"], keepdims=0),
        helper.make_node("LabelEncoder", ["past_categories"], ["codes"], domain="ai.onnx.ml", **sky),
        helper.make_node("Sign", ["codes"], ["known"]),
        helper.make_node("Cast", ["known"], ["counted"], to=TensorProto.DOUBLE),
        helper.make_node("ReduceSum", ["counted", "steps"], ["sky"], keepdims=0),
        helper.make_node("LabelEncoder", ["categories"], ["shop_code"], domain="ai.onnx.ml", **shop),
        helper.make_node("Cast", ["shop_code"], ["shop"], to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["dates", "none"], ["time"]),
        helper.make_node("Sum", ["sold", "sky", "shop", "time", "more"], ["moved"]),
        helper.make_node("Cast", ["moved"], ["answer"], to=TensorProto.FLOAT),
    ]
    constants = {
        "target": np.array([1], np.int64),
        "nothing": np.array([0.0]),
        "one": np.array([1], np.int64),
        "steps": np.array([1], np.int64),
        "none": np.array([0.0]),
        "more": np.array([more]),
    }
    inputs = [_input("past_numbers", 6, 2), _input("past_categories", 6, 1, kind=TensorProto.STRING)]
    inputs += [_input("categories", 1, kind=TensorProto.STRING), _input("dates", 1)]
    return _graph(nodes, inputs, constants, 1)


def _codes(*words: str) -> dict[str, Any]:
    known = list(words) or COLOURS
    return {"keys_strings": known, "values_int64s": [*range(1, len(known) + 1)], "default_int64": 0}


def _input(name: str, *shape: int, kind: int = TensorProto.DOUBLE) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, ["rows", *shape])


def _graph(nodes: list, inputs: list, constants: dict[str, np.ndarray], outputs: int) -> bytes:
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["rows", outputs])
    values = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    model = helper.make_model(helper.make_graph(nodes, "model", inputs, [answer], values), opset_imports=OPSETS)
    model.ir_version = 10
    onnx.checker.check_model(model)
    return model.SerializeToString()
