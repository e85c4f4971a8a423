"""A mark is missing in its column, however a file writes it, and a value like others in every other column."""

from datetime import date, datetime

import pyarrow as pa
import pytest

from pipelines.readers.layout import Layout
from pipelines.readers.meaning import marks

COLUMNS = {
    "text": pa.array(["-200", " -200.0 ", "-2e2", "-20", "x", None]),
    "whole": pa.array([-200, -200, -20, 0, 1, None]),
    "real": pa.array([-200.0, -200.5, float("nan"), 0, 1, None], pa.float32()),
    "coded": pa.array(["-200", "b", "-200", None, "c", "d"]).dictionary_encode(),
}


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("mark", [-200, -200.0, "-200"])
def test_a_mark_is_missing_in_every_form(name, mark):
    batch = pa.RecordBatch.from_arrays([COLUMNS[name]] * 2, [name, "other"])
    found = marks.without(batch, {name: [mark], "not there": [mark]}, Layout())
    values = COLUMNS[name].to_pylist()
    expected = [None if marks.is_mark(value, [mark], Layout()) else value for value in values]
    assert found.schema == batch.schema
    assert str(found[name].to_pylist()) == str(expected)
    assert 0 < sum(value is None for value in expected) - sum(value is None for value in values) < 4
    assert found["other"].equals(COLUMNS[name]) or name == "real"


def test_a_mark_is_found_as_the_file_writes_numbers():
    layout = Layout(decimal=",", thousands=".")
    assert marks.is_mark("-9.999,0", [-9999], layout)
    assert not marks.is_mark("-9.999,0", [-9.999], layout)


def test_a_day_is_a_mark_as_text_and_as_an_instant():
    for value in ("1900-01-01", date(1900, 1, 1), datetime(1900, 1, 1, 12)):
        assert marks.is_mark(value, ["1900-01-01"], Layout())
    assert not marks.is_mark(date(1900, 1, 2), ["1900-01-01"], Layout())
    days = pa.array([date(1900, 1, 1), date(2024, 5, 6)])
    found = marks.without(pa.RecordBatch.from_arrays([days], ["d"]), {"d": ["1900-01-01"]}, Layout())
    assert found["d"].to_pylist() == [None, date(2024, 5, 6)]
