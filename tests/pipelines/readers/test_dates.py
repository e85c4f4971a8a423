"""Dates: however they are written, one instant is one text, in UTC."""

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import ingest, model_file
from pipelines.errors import DataError, SettingsError
from pipelines.readers import dates


def read(column: object, **keys: object) -> list[str | None]:
    config = ingest.Ingest.model_validate({"source": "x"} | keys)
    batch = pa.record_batch({"at": pa.array(column)})
    return dates.read(batch, ["at"], config, 1, ["at"])["at"].to_pylist()


@given(at=st.datetimes(pd.Timestamp("1900-01-01"), pd.Timestamp("2200-01-01")))
def test_an_instant_is_one_text_whatever_its_offset_and_the_kind_of_file(at):
    moment = pd.Timestamp(at, tz="UTC")
    east = moment.tz_convert("+05:30").isoformat()
    stored = pa.array([moment.to_pydatetime()], pa.timestamp("us", "UTC"))
    local = moment.tz_convert("Etc/GMT-8").tz_localize(None).isoformat(sep=" ")
    found = [*read([moment.isoformat()]), *read([east]), *read(stored), *read([local], timezone="Etc/GMT-8")]
    assert {*found} == {moment.isoformat()}


def test_a_declared_form_and_marks_of_missing_values():
    form = {"dates": {"at": "%d.%m.%Y %H:%M"}, "timezone": "Europe/Berlin"}
    found = read(["31.01.2026 14:00", "", " NA ", "01.07.2026 14:00"], **form)
    assert found == ["2026-01-31T13:00:00+00:00", None, None, "2026-07-01T12:00:00+00:00"]
    assert read(["31.01.2026 14:00 +0200"], dates={"at": "%d.%m.%Y %H:%M %z"}) == ["2026-01-31T12:00:00+00:00"]
    assert read(["2026-01-31"], timezone="UTC") == ["2026-01-31T00:00:00+00:00"]


def test_parts_in_several_columns_make_one_instant_and_are_left_out_unless_declared():
    keys = {"source": "x", "instants": {"at": ["y", "m", "d", "h"]}, "timezone": "Asia/Shanghai"}
    config = ingest.Ingest.model_validate(keys)
    batch = pa.record_batch({"y": ["2026", ""], "m": ["1", "1"], "d": ["2", "2"], "h": ["7", "7"], "x": ["5", "6"]})
    found = dates.read(batch, ["at"], config, 1, ["at", "x", "h"])
    assert found.schema.names == ["h", "x", "at"]
    assert found["at"].to_pylist() == ["2026-01-01T23:00:00+00:00", None]


@pytest.mark.parametrize(
    ("columns", "form", "expected"),
    [
        ({"y": [2026, 2027]}, None, ["2026-01-01", "2027-01-01"]),
        ({"y": ["2026", "2026"], "m": ["2", "11"]}, "%Y %m", ["2026-02-01", "2026-11-01"]),
        ({"y": [1949.0, None], "m": ["Jan", "Feb"]}, "%Y %b", ["1949-01-01", None]),
        ({"d": ["31/12/2025", "1/2/2026"], "t": ["18.00.00", "07.30.00"]}, "%d/%m/%Y %H.%M.%S", None),
        ({"d": ["2025-12-31", "2026-02-01"], "t": ["18:00", "07:30"]}, None, None),
    ],
    ids=["year", "year and month", "month as a name", "day and time", "day and time in ISO"],
)
def test_one_or_two_columns_make_an_instant_too(columns, form, expected):
    keys = {"source": "x", "instants": {"at": list(columns)}, "timezone": "UTC"}
    config = ingest.Ingest.model_validate(keys | ({"dates": {"at": form}} if form else {}))
    found = dates.read(pa.record_batch(columns), ["at"], config, 1, ["at"])["at"].to_pylist()
    whole = expected or ["2025-12-31T18:00", "2026-02-01T07:30"]
    assert found == [None if at is None else pd.Timestamp(at, tz="UTC").isoformat() for at in whole]


def test_texts_of_two_columns_that_are_no_date_together_are_named():
    keys = {"source": "x", "instants": {"at": ["d", "t"]}, "timezone": "UTC", "dates": {"at": "%Y-%m-%d %H:%M"}}
    batch = pa.record_batch({"d": ["2026-01-01", "2026-01-02"], "t": ["10:00", "25:00"]})
    with pytest.raises(DataError, match="Row 8, column 'at': '2026-01-02 25:00': not a date of the form %Y-"):
        dates.read(batch, ["at"], ingest.Ingest.model_validate(keys), 7, ["at"])


WRONG = [
    (["2026-01-01T00:00Z", "2026-01-01 12:00"], {}, "Row 2, column 'at': '2026-01-01 12:00' has no offset"),
    (["2026-02-30T00:00Z"], {}, "Row 1, column 'at': '2026-02-30T00:00Z': not a date of the form ISO"),
    (["soon"], {"dates": {"at": "%d.%m.%Y"}}, "'soon': not a date of the form %d.%m.%Y"),
    (
        ["2026-03-29T02:30"],
        {"timezone": "Europe/Berlin"},
        "is a time that does not exist: clocks in Europe/Berlin were",
    ),
    (
        ["2026-10-25T02:30"],
        {"timezone": "Europe/Berlin"},
        "is a time that comes twice: clocks in Europe/Berlin were put",
    ),
    (pa.array([0], pa.timestamp("us")), {}, "has no offset, so its time zone is unknown"),
]


@pytest.mark.parametrize(("column", "keys", "message"), WRONG)
def test_what_is_no_instant_is_named(column, keys, message):
    with pytest.raises(DataError) as caught:
        read(column, **keys)
    assert message in str(caught.value)


def test_a_part_that_is_no_whole_number_is_named():
    config = ingest.Ingest.model_validate({"source": "x", "instants": {"at": ["y", "m", "d"]}, "timezone": "UTC"})
    batch = pa.record_batch({"y": [2026.0], "m": [1.5], "d": [2.0]})
    with pytest.raises(DataError, match=r"'2026.0-1.5-2.0': not a date made of y, m, d"):
        dates.read(batch, ["at"], config, 1, ["at"])
    with pytest.raises(DataError, match="no column 'y', a part of 'at'"):
        dates.read(batch.select(["m", "d"]), ["at"], config, 1, ["at"])


@pytest.mark.parametrize(
    ("ingested", "message"),
    [
        ({"dates": {"ag": "ISO"}}, "ingest.dates: 'ag' is not a column of role date"),
        ({"timezone": "Mars/Olympus"}, "'Mars/Olympus' is not a time zone"),
        ({"instants": {"born": []}}, "'born' needs from one to six columns: year, month, day"),
        ({"instants": {"born": ["y", "m", "d"]}}, "ingest.timezone: declare the time zone"),
    ],
)
def test_what_cannot_be_declared_of_dates_is_told(world, ingested, message):
    world.declare(data={"columns": {"weight": "number", "born": "date"}}, ingest=ingested)
    with pytest.raises(SettingsError, match=message):
        model_file.check("pets")


def test_of_an_hour_that_comes_twice_the_declared_one_is_read():
    text = ["2026-10-25T02:30", "2026-07-01T12:00"]
    for which, hour in (("earlier", "00"), ("later", "01")):
        found = read(text, timezone="Europe/Berlin", ambiguous=which)
        assert found == [f"2026-10-25T{hour}:30:00+00:00", "2026-07-01T10:00:00+00:00"]


def test_a_column_that_stands_twice_beside_a_date_is_refused():
    batch = pa.RecordBatch.from_arrays([pa.array(["2026-01-01Z"]), pa.array([1]), pa.array([2])], ["at", "x", "x"])
    config = ingest.Ingest.model_validate({"source": "x", "timezone": "UTC"})
    with pytest.raises(DataError, match="more than one column 'x'"):
        dates.read(batch, ["at"], config, 1, ["at", "x"])
