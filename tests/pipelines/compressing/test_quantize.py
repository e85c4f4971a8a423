"""Fewer bits: the file is smaller, answers nearly the same, and one row's answer does not depend on the others."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from pipelines.compressing import quantize
from pipelines.compressing.not_compressed import NotCompressed
from pipelines.model.predictor import to_arrays
from pipelines.onnx import check, convert
from tests.pipelines.onnx import small

pytestmark = pytest.mark.tensorflow
NETWORKS = {
    "table": (small.TABLE, {"hidden": [64]}),
    "bins": (small.TABLE, {"hidden": [64], "numbers": "quantiles", "wide": True}),
    "image": (small.IMAGE, {"network": "cnn", "filters": [32], "hidden": [64]}),
    "lstm": (small.IMAGE, {"network": "rnn", "recurrent": [32], "hidden": [64]}),
    "gru": (small.IMAGE, {"network": "rnn", "recurrent": [32], "cell": "gru", "hidden": []}),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory, hardware):
    """The ONNX file of each network, and raw rows for it."""
    found = {}
    for name, (data, config) in NETWORKS.items():
        predictor = small.saved(tmp_path_factory.mktemp(name), data, **config)
        content = convert.converted(predictor.model, predictor.about).SerializeToString(deterministic=True)
        found[name] = content, to_arrays(small.raw(data, seed=1), predictor.about)
    return found


def answered(content, arrays, rows=slice(None)):
    return check.session(content).run(None, {name: values[rows] for name, values in arrays.items()})[0]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(("kind", "share", "most"), [("int8", 0.7, 2e-2), ("float16", 0.8, 1e-3)])
def test_the_file_is_smaller_and_answers_nearly_the_same(files, name, kind, share, most):
    content, arrays = files[name]
    found = quantize.quantized(content, kind)
    assert len(found) < share * len(content)
    before, after = answered(content, arrays), answered(found, arrays)
    assert 0 < np.abs(before - after).max() < most
    alone = np.concatenate([answered(found, arrays, slice(row, row + 1)) for row in range(len(after))])
    np.testing.assert_allclose(alone, after, atol=1e-6)
    assert quantize.quantized(content, kind) == found


def test_only_what_the_network_multiplies_with_is_stored_in_fewer_bits(files):
    """The means and scales of features are doubles, and biases stay."""
    before, after = (
        onnx.load_from_string(one) for one in (files["table"][0], quantize.quantized(files["table"][0], "int8"))
    )
    kinds = [[one.data_type for one in proto.graph.initializer] for proto in (before, after)]
    assert kinds[1].count(onnx.TensorProto.DOUBLE) == kinds[0].count(onnx.TensorProto.DOUBLE) > 0
    assert kinds[1].count(onnx.TensorProto.INT8) == 2
    stored = [numpy_helper.to_array(one) for one in after.graph.initializer if one.data_type == onnx.TensorProto.INT8]
    assert all(np.abs(values).max() == quantize.STEPS for values in stored)


def test_each_unit_has_a_scale_of_its_own():
    weight = np.array([[1.0, 1000.0], [-0.5, 10.0]], np.float32)
    stored, scale = quantize.int8(weight, -1)
    assert (np.abs(stored * scale - weight) <= np.abs(weight).max(axis=0) / 254 + 1e-6).all()
    assert np.abs(stored).max(axis=0).tolist() == [127, 127]
    zero, one = quantize.int8(np.zeros((2, 2), np.float32), 0)
    assert not zero.any()
    assert one.tolist() == [[1.0], [1.0]]


def test_a_weight_that_float16_does_not_hold_is_told():
    with pytest.raises(NotCompressed, match=r"a weight of 7e\+04 is larger than float16 holds"):
        quantize.float16(np.array([[70_000.0]], np.float32), 0)


def test_a_network_of_few_weights_is_left_as_it_is(tmp_path, hardware):
    predictor = small.saved(tmp_path, small.TABLE, hidden=[1])
    content = convert.converted(predictor.model, predictor.about).SerializeToString(deterministic=True)
    with pytest.raises(NotCompressed, match="no layer has 64 weights or more"):
        quantize.quantized(content, "int8")
