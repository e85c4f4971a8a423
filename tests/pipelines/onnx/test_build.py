"""The files for serving: the same bytes in every process, and a reason where Keras has to serve."""

import hashlib
import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from pipelines.model import predictor
from pipelines.onnx import build, check, convert, planted, words
from pipelines.onnx.not_carried import NotCarried
from tests.pipelines.onnx.small import TABLE, raw, saved
from tests.support.world import PATIENCE, ROOT

pytestmark = [pytest.mark.usefixtures("hardware"), pytest.mark.tensorflow]


@pytest.fixture(scope="module")
def model(tmp_path_factory, hardware):
    """A model of a table and its folder."""
    folder = tmp_path_factory.mktemp("small") / "model"
    return saved(folder, TABLE), folder


@pytest.fixture(scope="module")
def graph(model):
    """Its graph."""
    return convert.converted(model[0].model, model[0].about)


def arrays(rows: int = 40, seed: int = 2) -> dict[str, np.ndarray]:
    about = {"kind": "table", "numbers": TABLE.numbers, "categories": TABLE.categories, "dates": TABLE.dates}
    return predictor.to_arrays(raw(TABLE, rows, seed), about)


def compared(model: Any, graph: Any) -> check.Compared:
    content = graph.SerializeToString()
    return check.compare(model[0], check.session(content), [arrays(), *planted.rows(arrays())], 1.0)


def test_serving_json_names_the_file_the_model_and_what_was_compared(model, graph, tmp_path):
    """The bytes are those of another conversion: names do not depend on what the process did before."""
    found = build.build(model[1], tmp_path / "serving", [raw(TABLE)])
    assert found == json.loads((tmp_path / "serving" / "serving.json").read_text())
    assert (found["format"], found["runtime"], found["why"]) == (1, "onnx", "")
    assert found["model_hash"] == predictor.model_hash(model[1])
    content = (tmp_path / "serving" / "model.onnx").read_bytes()
    assert content == graph.SerializeToString(deterministic=True)
    assert found["files"] == {"model.onnx": hashlib.sha256(content).hexdigest()}
    assert found["checked"]["scale"] == 1.0
    assert 0 < found["checked"]["largest_difference"] < 1e-6


def test_the_graph_takes_the_arrays_of_a_row_by_their_names_and_any_number_of_rows(model, graph):
    session = check.session(graph.SerializeToString())
    kinds = {value.name: (value.type, value.shape) for value in session.get_inputs()}
    assert kinds == {
        "numbers": ("tensor(double)", ["rows", 2]),
        "dates": ("tensor(double)", ["rows", 1]),
        "categories": ("tensor(string)", ["rows", 2]),
    }
    ((name, shape),) = ((value.name, value.shape) for value in session.get_outputs())
    assert (name, shape) == ("answer", ["rows", 3])
    for rows in (1, 7):
        assert session.run(None, arrays(rows))[0].shape == (rows, 3)


def test_the_graph_is_valid(graph):
    from onnx import checker

    checker.check_model(graph, full_check=True)


@pytest.mark.long
def test_words_are_found_alike_in_one_table_and_column_by_column(model, graph, monkeypatch):
    monkeypatch.setattr(words, "MOST_ENTRIES", 0)
    apart = convert.converted(model[0].model, model[0].about)
    counts = [sum(node.op_type == "LabelEncoder" for node in one.graph.node) for one in (graph, apart)]
    assert counts == [1, 2]
    given = [arrays(), *planted.rows(arrays())]
    for rows in given:
        first, second = (check.session(one.SerializeToString()).run(None, rows)[0] for one in (graph, apart))
        np.testing.assert_array_equal(first, second)


@pytest.mark.long
@pytest.mark.parametrize("seed", ["0", "1"])
def test_another_process_builds_the_same_bytes(model, tmp_path, seed):
    raw(TABLE).to_parquet(tmp_path / "rows.parquet")
    here = build.build(model[1], tmp_path / "here", [raw(TABLE)])
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.onnx", str(model[1]), str(tmp_path / "rows.parquet"), str(tmp_path / "out")],
        env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == here
    for name in ("serving.json", "model.onnx"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


def test_an_operation_that_onnx_lacks_is_named_with_its_layer_and_keras_serves(tmp_path):
    import keras

    def own(shape: tuple[int, ...], outputs: int) -> Any:
        start = keras.Input(shape)
        bins = keras.layers.Discretization(bin_boundaries=[0.0, 1.0], output_mode="int", name="in_bins")(start)
        answer = keras.layers.Dense(outputs, activation="softmax")(keras.ops.cast(bins, "float32"))
        return keras.Model(start, answer, name="network")

    saved(tmp_path / "model", TABLE, own)
    found = build.build(tmp_path / "model", tmp_path / "serving", [raw(TABLE)])
    assert (found["runtime"], found["files"], found["checked"]) == ("keras", {}, None)
    assert found["why"] == "ONNX lacks the operation Bucketize of the layer in_bins"
    assert [path.name for path in (tmp_path / "serving").iterdir()] == ["serving.json"]


def test_a_file_that_nothing_was_compared_on_is_not_used():
    with pytest.raises(NotCarried, match="there were no rows on which the ONNX file and Keras could be compared"):
        check.Compared(1.0).verdict()


def changed(graph: Any, operation: str, change: Any) -> Any:
    """A copy of the graph in which a constant of the first node of an operation has changed."""
    import onnx
    from onnx import numpy_helper

    found = onnx.ModelProto.FromString(graph.SerializeToString())
    names = next(node.input for node in found.graph.node if node.op_type == operation)
    tensor = next(tensor for tensor in found.graph.initializer if tensor.name in names)
    values = change(numpy_helper.to_array(tensor).copy())
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return found


def test_a_graph_that_computes_something_else_is_noticed(model, graph):
    compared(model, graph).verdict()
    almost = compared(model, changed(graph, "MatMul", lambda values: values * 1.001))
    assert almost.outside > 0
    with pytest.raises(NotCarried, match=r"differ by up to|changes"):
        almost.verdict()


def test_a_changed_label_is_noticed(model, graph):
    import onnx

    found = onnx.ModelProto.FromString(graph.SerializeToString())
    softmax = next(node for node in found.graph.node if node.op_type == "Softmax")
    source = softmax.input[0]
    found.graph.node.insert(len(found.graph.node) - 1, onnx.helper.make_node("Neg", [source], ["turned"]))
    softmax.input[0] = "turned"
    with pytest.raises(NotCarried, match=r"the ONNX file changes \d+ of \d+ labels"):
        compared(model, found).verdict()


def test_missing_values_that_become_no_number_are_noticed_though_no_row_had_them(model, graph):
    """What tf2onnx makes of `where`: c * x + (1 - c) * y, and 0 * NaN is NaN."""
    import onnx
    from onnx import TensorProto, helper

    found = onnx.ModelProto.FromString(graph.SerializeToString())
    place, where = next((i, node) for i, node in enumerate(found.graph.node) if node.op_type == "Where")
    condition, first, second = where.input
    steps = [
        helper.make_node("Cast", [condition], ["c"], to=TensorProto.DOUBLE),
        helper.make_node("Not", [condition], ["not"]),
        helper.make_node("Cast", ["not"], ["d"], to=TensorProto.DOUBLE),
        helper.make_node("Mul", ["c", first], ["cx"]),
        helper.make_node("Mul", ["d", second], ["dy"]),
        helper.make_node("Add", ["cx", "dy"], list(where.output)),
    ]
    before, after = list(found.graph.node)[:place], list(found.graph.node)[place + 1 :]
    del found.graph.node[:]
    found.graph.node.extend([*before, *steps, *after])
    full = raw(TABLE, 30).fillna({"weight": 1.0, "age": 1.0, "born": "2020-01-01T00:00:00+00:00"})
    rows = predictor.to_arrays(full, model[0].about)
    running = check.session(found.SerializeToString())
    check.compare(model[0], running, [rows], 1.0).verdict()
    with pytest.raises(NotCarried, match="only one of Keras and the ONNX file gives a number"):
        check.compare(model[0], running, [rows, *planted.rows(rows)], 1.0).verdict()


def test_every_column_is_planted_with_a_missing_value_and_every_word_with_an_unknown_one():
    rows = arrays(3)
    found = [
        {name: values[row] for name, values in some.items()}
        for some in planted.rows(rows)
        for row in range(len(some["numbers"]))
    ]
    assert len(found) == 2 + 1 + 2 * 2 + 2
    *one_each, missing, unknown = found
    for name, value in {"numbers": np.nan, "dates": np.nan, "categories": "", "unknown": planted.NEVER}.items():
        array = "categories" if name == "unknown" else name
        for column in range(rows[array].shape[1]):
            assert any(_is(row[array][column], value) for row in one_each), (name, column)
    assert np.isnan(missing["numbers"]).all()
    assert (unknown["categories"] == planted.NEVER).all()


def _is(found: Any, value: Any) -> bool:
    return bool(found == value or (found != found and value != value))
