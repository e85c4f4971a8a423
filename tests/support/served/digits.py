"""Handwritten digits: a small network that scikit-learn trains on the data of models/digits.yaml, as a graph."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.neural_network import MLPClassifier

from tests.support.served import models
from tests.support.served.graphs import OPSETS

MOST = 16  # the highest level of the data


def model(trained: int = 1000, examples: int = 100) -> models.Model:
    """8 x 8 pictures of 17 levels -> ten classes. The examples are none of those that it was trained on."""
    found = load_digits()
    network = MLPClassifier([64], random_state=0, alpha=0.1, learning_rate_init=0.01)
    network.fit(found.data[:trained] / MOST, found.target[:trained])
    pictures = found.images[trained : trained + examples, ..., None].astype("uint8").tolist()
    rows = [{"image": picture} for picture in pictures]
    about = {"shape": [8, 8, 1], "label": "integer"}
    classes = list(range(10))
    return models.Model(
        lambda more: _graph(network),
        models.about("image", "classification", "digit", classes, **about),
        models.columns("image", "classification", "digit", [], classes=classes, example=rows[0], **about),
        [],
        rows,
    )


def _graph(network: MLPClassifier) -> bytes:
    """image uint8 [rows, 8, 8, 1] -> answer [rows, 10]."""
    (first, last), (first_bias, last_bias) = network.coefs_, network.intercepts_
    values = {"weights": first / MOST, "bias": first_bias, "more_weights": last, "more_bias": last_bias}
    constants = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in values.items()]
    nodes = [
        helper.make_node("Cast", ["image"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["levels"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("Gemm", ["active", "more_weights", "more_bias"], ["scores"]),
        helper.make_node("Softmax", ["scores"], ["answer"], axis=1),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["rows", 8, 8, 1])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["rows", 10])
    made = helper.make_model(helper.make_graph(nodes, "digits", [image], [answer], constants), opset_imports=OPSETS)
    made.ir_version = 10
    onnx.checker.check_model(made)
    return bytes(made.SerializeToString())
