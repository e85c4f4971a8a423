"""The arrays of typed rows are those that the predictor of a model makes of them, for every kind of data."""

import math
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.predict.answering import arrays
from pipelines.model import predictor

NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.just(-0.0)
WORDS = st.none() | st.sampled_from(["", "red", "ä,ö\n\"'", "1", "nan", "NA"]) | st.text(max_size=5)
DATES = st.none() | st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1)).map(lambda at: at.isoformat() + "+00:00")
ABOUT: dict[str, Any] = {"kind": "table", "shape": [], "numbers": [], "categories": []}
WINDOW = 3


def lists(cells: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(cells, min_size=WINDOW, max_size=WINDOW)


KINDS = {  # by column: its cells and its type
    "x": (NUMBERS, pa.float64()),
    "y": (NUMBERS, pa.float64()),
    "word": (WORDS, pa.string()),
    "shop": (WORDS, pa.string()),
    "at": (DATES, pa.string()),
    "sold": (lists(NUMBERS), pa.list_(pa.float64(), WINDOW)),
    "warm": (lists(NUMBERS), pa.list_(pa.float64(), WINDOW)),
    "sky": (lists(WORDS), pa.list_(pa.string(), WINDOW)),
}
PAST = {"window": WINDOW, "numbers": ["sold", "warm"], "categories": ["sky"]}
SHAPES = {
    "numbers and words": ABOUT | {"numbers": ["y", "x"], "categories": ["word", "shop"]},
    "words": ABOUT | {"categories": ["word"]},
    "dates": ABOUT | {"numbers": ["x"], "dates": ["at"]},
    "windows": ABOUT | {"kind": "sequence", "numbers": ["x"], "categories": ["shop"], "dates": ["at"], "past": PAST},
}


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Some rows, in several chunks and with rows before them that do not count, as a slice of a file has."""
    size = draw(st.integers(0, 12))
    rows = {name: draw(st.lists(cells, min_size=size, max_size=size)) for name, (cells, _) in KINDS.items()}
    whole = pa.table({name: pa.array(rows[name], kind) for name, (_, kind) in KINDS.items()})
    start, cut = sorted((draw(st.integers(0, size)), draw(st.integers(0, size))))
    return pa.concat_tables([whole.slice(start, cut - start), whole.slice(cut)])


def check_same(table: pa.Table, about: dict[str, Any]) -> None:
    found, wanted = arrays.to_arrays(table, about), predictor.to_arrays(table.to_pandas(), about)
    assert list(found) == list(wanted)
    for name, values in wanted.items():
        assert (found[name].dtype, found[name].shape) == (values.dtype, values.shape)
        np.testing.assert_array_equal(found[name], values)
        if values.dtype == np.float64:
            np.testing.assert_array_equal(np.signbit(found[name]), np.signbit(values))


@pytest.mark.parametrize("about", SHAPES.values(), ids=SHAPES)
@given(table=tables())
def test_typed_rows_become_the_arrays_of_the_predictor(about, table):
    check_same(table, about)


@given(size=st.integers(0, 5), start=st.integers(0, 5), bits=st.randoms(use_true_random=False))
def test_pictures_become_the_arrays_of_the_predictor(size, start, bits):
    shape = [2, 3, 1]
    pictures = pa.array([bits.randbytes(math.prod(shape)) for _ in range(size)], pa.binary(math.prod(shape)))
    check_same(pa.table({"image": pictures}).slice(start), ABOUT | {"kind": "image", "shape": shape})
