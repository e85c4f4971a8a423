"""MLflow's protocol: the rows are those of the table that MLflow itself reads from the same request."""

import io
import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.serving.http import invocations
from flows.serving.problem import Problem

CELLS = st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from(["brown", "", "NA", "12,5", 'a"b', "é\n"])
CSV = ["brown", "NA", "nan", "NULL", "1", "-0.5", "12,5", 'a"b', "é", " x ", "None"]
NAMES = st.sampled_from(["weight", "age", "colour", "a,b"])
ROWS = st.lists(st.dictionaries(NAMES, CELLS, min_size=1), min_size=1, max_size=4)


def plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, None where a value is missing."""
    table = table.astype(object)
    return table.where(table.notna(), None).to_dict("records")


@given(ROWS)
def test_records_are_the_rows_of_a_table(rows):
    found = invocations.of_json({"dataframe_records": rows, "params": {"x": 1}}, ["weight"])
    assert found == plain(pd.DataFrame(rows, dtype=object))


@given(ROWS)
def test_a_split_table_has_the_same_rows_as_its_records_and_its_columns(rows):
    table = pd.DataFrame(rows, dtype=object)
    table = table.where(table.notna(), None)
    wanted = plain(table)
    split = json.loads(json.dumps(table.to_dict("split")))
    assert invocations.of_json({"dataframe_split": split}, []) == wanted
    for form in ("instances", "inputs"):
        assert invocations.of_json({form: table.to_dict("list")}, []) == wanted
        assert invocations.of_json({form: table.to_dict("records")}, []) == wanted


@given(st.lists(st.fixed_dictionaries({name: st.sampled_from(CSV) for name in ("a", "b,c")}), min_size=1))
def test_csv_is_read_as_pandas_reads_it(rows):
    text = pd.DataFrame(rows).to_csv(index=False)
    wanted = plain(pd.read_csv(io.StringIO(text), dtype=object, skip_blank_lines=True))
    assert invocations.of_csv(text.encode()) == wanted
    assert invocations.of_csv(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()) == wanted


def test_a_line_of_csv_that_ends_early_has_missing_values():
    assert invocations.of_csv(b"a,b\n1\n\n,2") == [{"a": "1", "b": None}, {"a": None, "b": "2"}]


def test_a_single_column_needs_no_name():
    assert invocations.of_json({"inputs": ["QUJD", "REVG"]}, ["image"]) == [{"image": "QUJD"}, {"image": "REVG"}]
    assert invocations.of_json({"instances": {"x": 1, "y": 2}}, ["x", "y"]) == [{"x": 1, "y": 2}]


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        ([{"a": 1}], "none of MLflow's forms"),
        ({"rows": []}, "none of MLflow's forms"),
        ({"inputs": [], "instances": []}, "instances and inputs"),
        ({"dataframe_records": {"a": 1}}, "no list of objects"),
        ({"dataframe_records": [1]}, "no list of objects"),
        ({"dataframe_split": [1]}, "no object with a list `data`"),
        ({"dataframe_split": {"columns": ["a"]}}, "no object with a list `data`"),
        ({"dataframe_split": {"columns": ["a"], "data": [], "x": 1}}, "the key 'x'"),
        ({"dataframe_split": {"columns": [1], "data": [[1]]}}, "no list of names"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}, "'a' is there twice"),
        ({"dataframe_split": {"columns": ["a"], "data": [[1], [1, 2]]}}, "Row 2 of `data` has no 1 cells"),
        ({"inputs": {"a": [1, 2], "b": [1]}}, "different lengths: 'a' 2, 'b' 1"),
        ({"inputs": [[1, 2]]}, "without the names of their columns"),
    ],
)
def test_what_is_no_such_request_is_refused_with_what_is_wrong(content, detail):
    with pytest.raises(Problem) as refused:
        invocations.of_json(content, ["a", "b"])
    assert (refused.value.status, detail in refused.value.detail) == (400, True)
    assert refused.value.repair


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"a,b\n1,2,3", "Row 1 of the CSV has 3 cells"),
        (b'a,b\n"1,2', "cannot be read"),
        (b"a,a\n1,2", "'a' is there twice"),
        (b"a\n\xff", "Byte 3 of the body is no UTF-8"),
    ],
)
def test_what_is_no_csv_is_refused_with_what_is_wrong(content, detail):
    with pytest.raises(Problem) as refused:
        invocations.of_csv(content)
    assert (refused.value.status, detail in refused.value.detail) == (400, True)


def test_no_rows_are_no_rows():
    for content in ({"dataframe_records": []}, {"inputs": {}}, {"dataframe_split": {"columns": ["a"], "data": []}}):
        assert invocations.of_json(content, ["a"]) == []
    assert invocations.of_csv(b"a,b\n") == []
