"""Columns of a model in the arrays of its network: in order, and swapped without touching the rows given."""

import numpy as np
import pandas as pd

from pipelines.explaining import columns
from pipelines.explaining.columns import Column
from pipelines.model.predictor import to_arrays

ABOUT = {
    "kind": "sequence",
    "numbers": ["a"],
    "categories": ["b", "c"],
    "dates": ["d"],
    "past": {"window": 2, "numbers": ["e"], "categories": ["f"]},
}
TABLE = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"], "c": ["u", None], "d": ["2026-01-01T00:00:00Z", None]}).assign(
    e=[[1.0, 2.0], [3.0, 4.0]], f=[["p", "q"], ["r", "s"]]
)


def test_columns_stand_in_the_order_of_the_arrays():
    names = [column.name for column in columns.columns(ABOUT)]
    assert names == ["a", "b", "c", "d", "e", "f"]
    assert columns.columns(ABOUT)[2] == Column("c", "categories", 1)
    assert columns.columns({**ABOUT, "kind": "image"}) == []


def test_a_swap_takes_whole_columns_of_other_rows_and_leaves_the_rows_given():
    arrays = to_arrays(TABLE, ABOUT)
    before = {name: found.copy() for name, found in arrays.items()}
    known = {column.name: column for column in columns.columns(ABOUT)}
    found = columns.swapped(arrays, [known["c"], known["e"]], columns.rows(arrays, [1, 0]))
    assert columns.values(found, known["c"]).tolist() == ["", "u"]
    assert columns.values(found, known["b"]).tolist() == ["x", "y"]
    assert columns.values(found, known["e"]).tolist() == [[3.0, 4.0], [1.0, 2.0]]
    assert found["numbers"] is arrays["numbers"]
    assert columns.count(found) == 2
    for name, values in before.items():
        np.testing.assert_array_equal(arrays[name], values)
