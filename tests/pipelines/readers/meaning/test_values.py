"""What a raw value means: the same in every format of files, as a column and as a single value."""

import subprocess
import sys
from datetime import date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from flows.registry.served import _cells
from pipelines.errors import DataError
from pipelines.readers.meaning import marks, value_columns, values
from pipelines.readers.meaning.values import Rules

ROLES = ("number", "category", "integer", "date")
KINDS = {"number": pa.float64(), "integer": pa.int64()}
RULES = Rules(2, ("", "NA", "-200", "2026-01-31"), {"german": "%d.%m.%Y %H:%M"}, "Europe/Berlin", "earlier")
WORDS = (
    "",
    " ",
    "NA",
    "true",
    "True",
    "TRUE",
    "false",
    "yes",
    "1",
    "01",
    "1.0",
    "-1.00",
    "+1",
    "1.",
    ".5",
    "1e3",
    "1E-7",
)
WORDS += (
    "inf",
    "-Infinity",
    "nan",
    "-200",
    "-200.0",
    "9007199254740993",
    "1_0",
    "١",
    "x",
    "a b",
    "2.50",
    "0x1f",
    "-0.0",
)
TIMES = (
    "2026-01-31",
    "2026-1-3",
    "2026/01/31",
    "2026-01-31 07",
    "2026-01-31T07:05Z",
    "2026-01-31 07:05:09.123456+01:00",
)
TIMES += (
    "2026-02-30",
    "2026-03-29 02:30",
    "2026-10-25 02:30",
    "2026-01-31T07:05:09.1234567-0530",
    "now",
    "20260131",
    "2026",
)
TIMES += (
    "31.01.2026 07:05",
    "1.1.2026 7:05",
    "25.10.2026 02:30",
    "2026-01-31 07:05 +01",
    "0001-01-01",
    "9999-12-31 23:59",
)
SMALL = st.integers(-(2**31), 2**31 - 1)
INSTANTS = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))


def arrays(kind: pa.DataType, cells: st.SearchStrategy, made=lambda found: found) -> st.SearchStrategy[pa.Array]:
    return st.lists(st.none() | cells).map(lambda found: made(pa.array(found, kind)))


def bits(kind: type, width: int) -> st.SearchStrategy[pa.Array]:
    return st.lists(st.floats(width=width)).map(lambda found: pa.array(np.array(found, kind)))


ARRAYS = st.one_of(
    arrays(pa.string(), st.sampled_from(WORDS + TIMES) | st.text(max_size=4)),
    arrays(pa.large_string(), st.sampled_from(WORDS + TIMES)),
    arrays(pa.string(), st.sampled_from(WORDS), lambda found: found.dictionary_encode()),
    arrays(pa.binary(), st.sampled_from(WORDS).map(str.encode)),
    arrays(pa.bool_(), st.booleans()),
    arrays(pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    arrays(pa.uint64(), st.integers(0, 2**64 - 1)),
    arrays(pa.int32(), SMALL),
    arrays(pa.float64(), st.floats() | SMALL.map(float)),
    bits(np.float32, 32),
    bits(np.float16, 16),
    arrays(pa.decimal128(18, 3), st.decimals(-(10**9), 10**9, places=3)),
    arrays(pa.date32(), st.dates(date(1900, 1, 1))),
    *(
        arrays(
            pa.timestamp("us", zone), INSTANTS, lambda found, u=unit, z=zone: found.cast(pa.timestamp(u, z), safe=False)
        )
        for unit in ("s", "ms", "us", "ns")
        for zone in (None, "UTC", "Asia/Tokyo")
    ),
)


def as_column(column: pa.Array, role: str, name: str, rules: Rules = RULES) -> list:
    schema, batch = pa.schema([pa.field(name, KINDS.get(role, pa.string()))]), pa.record_batch([column], [name])
    batch = marks.without(batch, dict(rules.marks), rules)
    return value_columns.typed(batch, schema, {name: role}, rules, 0).column(0).to_pylist()


def one_by_one(cells: list, role: str, name: str, rules: Rules = RULES) -> list:
    return values.read(cells, role, rules, name)


def outcome(read, cells, role: str, name: str) -> object:
    """What comes out, or which row is refused and why."""
    try:
        return [repr(value) for value in read(cells, role, name)]
    except DataError as error:
        row, why = error.what.split(",")[0].removeprefix("Row "), error.what
    except ValueError as error:
        row, why = str(error).split(",")[0].removeprefix("row "), str(error)
    return row, next(reason for reason in REASONS if reason in why)


REASONS = ("not a number", "not a finite number", "more digits", "whole number of 64 bits", "not a date of the form")
REASONS += ("is not written like", "no offset", "does not exist", "comes twice", "years 1 to 9999", "no text in UTF-8")


@given(column=ARRAYS, role=st.sampled_from(ROLES), name=st.sampled_from(["x", "german"]))
@example(column=pa.array(TIMES[:7]), role="date", name="x")
@example(column=pa.array(WORDS), role="category", name="x")
@example(column=pa.array([0.1, 16777216, 1e10, 3e38], pa.float32()), role="number", name="x")
@example(column=pa.array([None, b"\xff"]), role="category", name="x")
def test_a_column_and_its_single_values_mean_the_same(column, role, name):
    wanted = outcome(as_column, column, role, name)
    assert outcome(one_by_one, singly(column), role, name) == wanted


@given(words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=8), role=st.sampled_from(["category", "text"]))
def test_words_that_come_again_and_again_mean_what_each_means_alone(words, role):
    many = pa.array(words * 1_000, pa.string())
    assert as_column(many, role, "x") == as_column(pa.array(words, pa.string()), role, "x") * 1_000


def singly(column: pa.Array) -> list:
    """The cells as a program has them in a data frame; pandas would round large whole numbers beside a missing one."""
    if pa.types.is_integer(column.type):
        return column.to_pylist()
    half = pa.types.is_float16(column.type)
    return _cells(column.cast(pa.float32()).to_pandas().astype("float16") if half else column.to_pandas())


@given(column=ARRAYS, role=st.sampled_from(ROLES))
def test_what_was_read_means_the_same_when_it_is_read_again(column, role):
    try:
        once = as_column(column, role, "x")
    except DataError:
        return
    assert as_column(pa.array(once, KINDS.get(role, pa.string())), role, "x") == once


ZONES = ["UTC", "Europe/Berlin", "Europe/Dublin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca"]


@given(
    minute=st.integers(0, 366 * 24 * 4),
    zone=st.sampled_from(ZONES),
    which=st.sampled_from(["earlier", "later", "refuse"]),
)
def test_local_times_are_read_alike_at_every_change_of_clocks(minute, zone, which):
    at = datetime(2026, 1, 1) + timedelta(minutes=15 * minute)
    rules = Rules(2, (), {}, zone, which)
    found = [
        outcome(lambda cells, role, name, read=read: read(cells, role, name, rules), cells, "date", "x")
        for read, cells in (
            (as_column, pa.array([at], pa.timestamp("us"))),
            (as_column, pa.array([str(at)])),
            (one_by_one, [str(at)]),
            (one_by_one, [np.datetime64(at)]),
        )
    ]
    assert found[1:] == found[:1] * 3


def test_of_an_hour_that_comes_twice_the_declared_one_is_meant():
    read = {
        which: values.one("2026-10-25 02:30", "date", Rules(2, (), {}, "Europe/Berlin", which), "at")
        for which in ("earlier", "later")
    }
    assert read == {"earlier": "2026-10-25T00:30:00+00:00", "later": "2026-10-25T01:30:00+00:00"}
    for text, told in (("2026-10-25 02:30", "comes twice"), ("2026-03-29 02:30", "does not exist")):
        with pytest.raises(values.Misfit, match=told):
            values.one(text, "date", Rules(2, (), {}, "Europe/Berlin", "refuse"), "at")


@pytest.mark.parametrize(
    ("column", "told"),
    [
        (pa.array([1], pa.time32("s")), "holds times of day (time32[s])"),
        (pa.array([1], pa.duration("us")), "holds durations (duration[us])"),
        (pa.array([[1]]), "holds lists (list<item: int64>)"),
        (pa.array([{"a": 1}]), "holds objects (struct<a: int64>)"),
        (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int8())), "holds maps (map<string, int8>)"),
        (pa.array([pa.MonthDayNano([1, 2, 3])]), "holds spans of months and days"),
    ],
)
@pytest.mark.parametrize("role", ["number", "category", "date"])
def test_a_column_without_single_values_is_named_with_its_type_and_the_repair(column, told, role):
    with pytest.raises(DataError) as caught:
        as_column(column, role, "odd")
    assert f"Column 'odd' {told}" in str(caught.value)
    assert "In the source write" in str(caught.value)
    assert "ingest: ignore:" in str(caught.value)


def test_yes_and_no_and_numbers_stay_what_they_are_in_a_category():
    cells = ["yes", "No", "0", "1", "01", "1.10", "1.0.0", "True story"]
    assert as_column(pa.array(cells), "category", "x") == cells


LOADED = """
import runpy, sys
runpy.run_path(sys.argv[1])
print(sorted({"numpy", "pandas", "pyarrow", "pydantic", "tensorflow"} & {name.split(".")[0] for name in sys.modules}))
"""


def test_the_rules_for_a_single_value_need_nothing_but_the_standard_library():
    command = [sys.executable, "-I", "-S", "-c", LOADED, values.__file__]
    found = subprocess.run(command, capture_output=True, text=True)
    assert (found.stdout.strip(), found.stderr) == ("[]", "")


def test_the_first_reader_means_what_it_always_meant():
    rules, cells = Rules(1, ("", "NA", "-200")), ["True", "1.0", True, 1.0, 2, None, "NA", -200.0]
    assert values.read(cells, "category", rules, "x") == ["True", "1.0", "true", "1", "2", None, None, "-200"]
    assert values.one(np.float32(0.1), "number", rules, "x") == float(np.float32(0.1))
    with pytest.raises(values.Misfit, match="is not a number"):
        values.one("True", "number", rules, "x")


CELLS = st.sampled_from(
    ["1.234,5", "1,5", "1.5", "1234", "−5", "٣", "NA", "1.234.567", "x", "1,234.5", "-200", "", "12,5e3"]
)


@given(cells=st.lists(CELLS | st.none()), decimal=st.sampled_from([",", "."]), thousands=st.sampled_from(["", " "]))
def test_numbers_as_people_write_them_are_read_alike(cells, decimal, thousands):
    rules = Rules(2, ("", "NA"), decimal=decimal, thousands="." if decimal == "," else thousands, marks={"x": [-200]})

    def read(read, found):
        return outcome(lambda cells, role, name: read(cells, role, name, rules), found, "number", "x")

    assert read(one_by_one, cells) == read(as_column, pa.array(cells, pa.string()))


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        ([2026, 1, 31], "2026-01-30T23:00:00+00:00"),
        (["2026", 1.0, "31.0", 14], "2026-01-31T13:00:00+00:00"),
        ([2026], "2025-12-31T23:00:00+00:00"),
        (["2026-01-31", "14:05"], "2026-01-31T13:05:00+00:00"),
        ([2026, None, 3], None),
        ([2026, "NA", 3], None),
    ],
)
def test_an_instant_of_several_values(parts, wanted):
    assert values.joined(parts, Rules(2, ("", "NA"), timezone="Europe/Berlin"), "at") == wanted
