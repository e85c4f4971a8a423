"""Wanted: a key is what the model's reader takes it for, and a request that names nobody is refused in words."""

import pyarrow as pa
import pytest

from flows.forget import wanted
from pipelines.errors import RequestError
from tests.flows.forget.conftest import declare


@pytest.mark.parametrize("written", ["12", " 12 ", "12.0", 12, 12.0, "1.2e1"])
def test_a_number_is_found_however_it_is_written(declared, written):
    found = wanted.of(declared, [], ["number=12"])
    assert found.mask(pa.RecordBatch.from_pydict({"number": [written]})).tolist() == [True]


def test_texts_are_trimmed_and_not_guessed(declared):
    found = wanted.of(declared, [" ann "], [])
    assert found.mask(pa.RecordBatch.from_pydict({"person": ["ann", "ann ", "Ann", "anne", None]})).tolist() == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_all_columns_of_a_key_have_to_fit():
    declared = declare(labels={"key": ["person", "number"]})
    found = wanted.of(declared, ["ann,7", '"b, c",8'], [])
    rows = {"person": ["ann", "ann", "b, c"], "number": ["7.0", "8", "8"]}
    assert found.mask(pa.RecordBatch.from_pydict(rows)).tolist() == [True, False, True]


def test_a_value_that_cannot_be_read_hides_no_other_row(declared):
    found = wanted.of(declared, [], ["number=12"])
    assert found.mask(pa.RecordBatch.from_pydict({"number": ["twelve", "12"]})).tolist() == [False, True]


def test_rows_without_the_column_are_nobodys(declared):
    assert not wanted.of(declared, ["ann"], []).mask(pa.RecordBatch.from_pydict({"city": ["ann"]})).any()


@pytest.mark.parametrize(
    ("keys", "columns", "said"),
    [
        ([], [], "Say whose rows"),
        (["ann"], ["person=ann"], "and not both"),
        ([" "], [], "A missing value names nobody"),
        ([], ["persn=ann"], "no column 'persn'"),
        ([], ["person"], "has no value"),
        ([], ["number=twelve"], "not of the kind"),
        ([], ["person=a", "person=b"], "twice"),
    ],
)
def test_a_request_that_names_nobody_is_refused(declared, keys, columns, said):
    with pytest.raises(RequestError, match=said):
        wanted.of(declared, keys, columns)


def test_a_model_without_a_key_needs_a_column():
    declared = declare(clean={"split": {"by": "hash", "seed": 1}})
    with pytest.raises(RequestError, match=r"declares no key.*--column"):
        wanted.of(declared, ["ann"], [])
