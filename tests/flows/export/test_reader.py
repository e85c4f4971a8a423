"""reader.py takes rows as the model does, to the last bit, and says what does not fit."""

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.export import features, reader, rows
from pipelines.model import predictor
from tests.pipelines.onnx.small import IMAGE, TABLE, WORDS, saved
from tests.pipelines.onnx.test_round_trip import RNN, SERIES

NUMBERS = st.none() | st.floats(-1e12, 1e12) | st.integers(-1000, 1000)
DATES = st.none() | st.datetimes().map(lambda at: f"{at.isoformat()}+02:00") | st.just("2026-01-31T12:00:00Z")


def words(name: str) -> st.SearchStrategy[str | None]:
    return st.none() | st.sampled_from(WORDS.get(name, ["a", "b", "c"])) | st.text(max_size=3)


def of_columns(about: dict[str, Any]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Rows of a model."""
    past = about.get("past", {"window": 0, "numbers": [], "categories": []})

    def window(one: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
        return st.lists(one, min_size=past["window"], max_size=past["window"])

    columns = dict.fromkeys(about["numbers"], NUMBERS) | dict.fromkeys(about.get("dates", []), DATES)
    columns |= {name: words(name) for name in about["categories"]}
    columns |= dict.fromkeys(past["numbers"], window(NUMBERS))
    columns |= {name: window(words(name)) for name in past["categories"]}
    return st.lists(st.fixed_dictionaries(columns), min_size=1, max_size=4)


@pytest.fixture(scope="module", params=["a table", "windows"])
def model(request, tmp_path_factory, hardware):
    """A model, and reader.py's, whose network is Keras'."""
    folder = tmp_path_factory.mktemp("small") / "model"
    loaded = saved(folder, TABLE) if request.param == "a table" else saved(folder, SERIES, **RNN)
    network = loaded.model.get_layer("network")
    mine = reader.Model.__new__(reader.Model)
    mine.about, found = loaded.about, json.loads(json.dumps(features.steps(features.architecture(folder))))
    mine._steps = [reader._prepared(step) for step in found]
    mine._runtime = _compiled(network)
    return loaded, mine


def _compiled(network: Any) -> Any:
    import tensorflow as tf

    row = tf.TensorSpec(network.input_shape, "float32")
    compiled = tf.function(lambda values: network(values, training=False), input_signature=[row], autograph=False)
    return lambda values: np.asarray(compiled(values))


@settings(max_examples=25)
@given(st.data())
def test_any_row_is_read_and_computed_as_the_model_does(model, data):
    loaded, mine = model
    some = data.draw(of_columns(loaded.about))
    taken = predictor.to_arrays(pd.DataFrame(some), loaded.about)
    found = reader.arrays(some, loaded.about)
    assert found.keys() == taken.keys()
    for name, values in taken.items():
        np.testing.assert_array_equal(found[name], values)
    np.testing.assert_array_equal(mine.answers(some), np.asarray(loaded._answer(taken)))


TABLE_ABOUT = {"kind": "table", "numbers": ["age"], "categories": ["city"], "dates": ["born"]}
WINDOW_ABOUT = {"kind": "sequence", "numbers": [], "categories": [], "dates": ["at"]}
WINDOW_ABOUT |= {"past": {"window": 3, "numbers": ["sold"], "categories": []}}
GOOD = {"age": 1, "city": "Oslo", "born": None}


@pytest.mark.parametrize(
    ("about", "row", "told"),
    [
        (TABLE_ABOUT, {"age": 1, "born": None}, "row 2 lacks the column 'city'"),
        (TABLE_ABOUT, GOOD | {"age": "old"}, "row 2, column 'age': could not convert string to float: 'old'"),
        (TABLE_ABOUT, GOOD | {"age": float("inf")}, "row 2, column 'age': inf is not a finite number"),
        (TABLE_ABOUT, GOOD | {"age": []}, "row 2, column 'age': .*not 'list'"),
        (TABLE_ABOUT, GOOD | {"born": "2026-01-01"}, "row 2, column 'born': '2026-01-01' has no offset"),
        (TABLE_ABOUT, GOOD | {"born": 5}, "row 2, column 'born': 5 is no date"),
        (TABLE_ABOUT, "Oslo", "row 2 lacks the column 'age'"),
        (WINDOW_ABOUT, {"sold": [1.0, 2.0], "at": None}, "row 2, column 'sold': is no list of the last 3 values"),
        (
            {"kind": "image", "shape": [2, 2, 1]},
            {"image": [[0, 256], [0, 0]]},
            "row 2, column 'image': has values that are no whole numbers from 0 to 255",
        ),
        (
            {"kind": "image", "shape": [2, 2, 1]},
            {"image": [0, 1, 2]},
            "row 2, column 'image': is no picture of 2 x 2 x 1 numbers",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_row_and_column(about, row, told):
    first = {"image": [[0, 1], [2, 3]]} if about["kind"] == "image" else GOOD | {"sold": [None, 1, 2], "at": None}
    with pytest.raises(ValueError, match=told):
        reader.arrays([first, row], about)


def test_a_picture_may_have_its_channel_or_not():
    about = {"kind": "image", "shape": [2, 2, 1]}
    plain, deep = reader.arrays([{"image": [[0, 1], [2, 3]]}, {"image": [[[0], [1]], [[2], [3]]]}], about)["image"]
    np.testing.assert_array_equal(plain, deep)


def test_pictures_go_there_and_back():
    pixels = np.arange(108, dtype=np.uint8).reshape(6, 6, 3)
    (row,) = rows.golden(_table(pixels.tobytes()), {"kind": "image", "shape": IMAGE.shape})
    np.testing.assert_array_equal(row["image"], pixels)


def _table(pixels: bytes) -> Any:
    import pyarrow as pa

    return pa.table({"image": [pixels]})


def test_reader_needs_nothing_but_numpy():
    code = "import sys, runpy; runpy.run_path(sys.argv[1], run_name='reader'); print(sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(Path(reader.__file__))], capture_output=True, text=True, check=True
    )
    assert not {"pandas", "tensorflow", "keras", "pipelines", "flows", "onnxruntime"} & set(
        ast.literal_eval(done.stdout)
    )
