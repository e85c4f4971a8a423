"""Rows: one type and one identity for a row, wherever and however it is stored."""

import datetime
import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import ingest
from pipelines.config.data import Data
from pipelines.errors import DataError
from pipelines.readers import sources
from pipelines.table import rows
from tests.support.world import PETS, pets

DATA = Data.model_validate(PETS["data"])
NUMBER = pa.schema([("x", pa.float64())])
CONFIG = ingest.Ingest(source="here")

cells = st.fixed_dictionaries(
    {
        "weight": st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53),
        "age": st.none() | st.floats(allow_nan=False, allow_infinity=False),
        "colour": st.none() | st.text('ab é\u0000Z,"', min_size=1).filter(lambda t: t.strip() == t),
        "animal": st.sampled_from(["cat", "dog"]),
    }
)
tables = st.lists(cells, min_size=1, max_size=12)


def raw(found: list[dict] | pd.DataFrame) -> pa.Table:
    """The rows as `ingest` would write them."""
    if isinstance(found, pd.DataFrame):
        found = found.astype(object).where(found.notna(), None).to_dict("records")
    floats = {"weight": pa.float64(), "age": pa.float64()}
    columns = {
        name: pa.array([row[name] for row in found], floats.get(name, pa.string()), from_pandas=True)
        for name in found[0]
    }
    return pa.Table.from_batches(ingest.ingest(pa.table(columns).to_batches(), DATA, CONFIG, "here"))


def ids(found) -> list[str]:
    return raw(found)["row_id"].to_pylist()


@given(tables, st.randoms())
def test_row_ids_do_not_depend_on_the_order_of_rows_or_columns(table, random):
    names = list(table[0])
    random.shuffle(names)
    order = random.sample(range(len(table)), len(table))
    again = ids([{name: table[i][name] for name in names} for i in order])
    assert again == [ids(table)[i] for i in order]


@given(tables, tables)
def test_appended_rows_leave_the_ids_of_the_others(table, more):
    assert ids(table + more)[: len(table)] == ids(table)


@given(tables)
def test_rows_have_the_same_id_exactly_when_they_hold_the_same_values(table):
    values = [tuple(row[name] if row[name] != 0 else 0.0 for name in sorted(row)) for row in table]
    assert len(set(ids(table))) == len(set(values))


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_ids_are_the_same_from_csv_and_from_parquet(tmp_path, name):
    frame = pets(50)
    (frame.to_csv if name.endswith("csv") else frame.to_parquet)(tmp_path / name, index=False)
    found = ingest.ingest(sources.read(tmp_path / name, ",", "utf-8"), DATA, CONFIG, name)
    assert [i for batch in found for i in batch["row_id"].to_pylist()] == ids(frame)


@pytest.mark.parametrize("kind", [pa.int8(), pa.int64(), pa.float32(), pa.float64(), pa.decimal128(5, 2), pa.string()])
def test_a_number_has_one_id_in_every_type(kind):
    text = pa.array(["3", "-1", "0"])
    values = text if kind == pa.string() else text.cast(pa.float64()).cast(kind)
    schema = pa.schema([("x", pa.float64())])
    found = rows.typed(pa.record_batch([values], ["x"]), schema, rows.MISSING)
    expected = rows.typed(pa.record_batch([text], ["x"]), schema, rows.MISSING)
    assert rows.identify(found, ["x"]).tolist() == rows.identify(expected, ["x"]).tolist()


def identify(names: list[str], *columns) -> list[bytes]:
    return rows.identify(pa.record_batch([pa.array(column) for column in columns], names), names).tolist()


def test_an_id_does_not_depend_on_the_order_in_which_columns_are_declared():
    assert identify(["a", "b"], ["x"], [1.0]) == identify(["b", "a"], [1.0], ["x"])


def test_zero_has_one_id_and_whole_numbers_have_that_of_the_double():
    assert identify(["x"], [0.0]) == identify(["x"], [-0.0]) == identify(["x"], [0])
    assert identify(["x"], [3]) == identify(["x"], [3.0])
    assert identify(["x"], [2**53 + 1]) != identify(["x"], [2**53])


def test_neighbouring_texts_do_not_run_into_each_other():
    assert identify(["x", "y"], ["a"], ["tb"]) != identify(["x", "y"], ["at"], ["b"])
    assert identify(["x", "y"], ["0"], [None]) != identify(["x", "y"], [None], ["0"])


def cast(values: pa.Array, kind: pa.DataType, missing=("", "NA")) -> list:
    schema = pa.schema([("x", kind)])
    return rows.typed(pa.record_batch([values], ["x"]), schema, list(missing)).column(0).to_pylist()


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["1", "NA", "2"]),
        pa.array([1, None, 2]),
        pa.array([1.0, np.nan, 2.0]),
        pa.array([1, None, 2], pa.uint8()),
    ],
    ids=["text", "integer", "double", "byte"],
)
@pytest.mark.parametrize(
    ("kind", "expected"),
    [(pa.float64(), [1.0, None, 2.0]), (pa.int64(), [1, None, 2]), (pa.string(), ["1", None, "2"])],
    ids=["number", "label", "category"],
)
def test_every_storage_type_gives_the_declared_values(values, kind, expected):
    assert cast(values, kind) == expected


def test_text_is_trimmed_before_it_is_missing_or_a_number():
    assert cast(pa.array([" 1 ", " NA ", "\t2"]), pa.float64()) == [1.0, None, 2.0]


@pytest.mark.parametrize("kind", [pa.int64(), pa.uint64(), pa.string()])
def test_a_whole_number_that_no_double_holds_is_refused_and_one_that_it_holds_is_not(kind):
    exact = [str(number) for number in (0, 2**53, 2**53 + 2, 2**60)]
    assert cast(pa.array(exact).cast(kind), pa.float64()) == [float(text) for text in exact]
    for number in (2**53 + 1, 2**62 + 1):
        with pytest.raises(DataError, match=f"Row 8, column 'x': {number} has more digits than a number keeps here"):
            rows.typed(pa.record_batch([pa.array(["1", str(number)]).cast(kind)], ["x"]), NUMBER, rows.MISSING, first=7)
    if kind != pa.uint64():
        with pytest.raises(DataError, match=r"-9007199254740993 has more digits .*declare the column as category"):
            cast(pa.array([str(-(2**53) - 1)]).cast(kind), pa.float64())


def test_a_class_may_be_any_whole_number_of_64_bits():
    assert cast(pa.array([str(2**63 - 1)]), pa.int64()) == [2**63 - 1]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_an_instant_is_the_same_text_in_every_unit_and_zone(unit):
    noon = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
    kinds = pa.timestamp(unit, "UTC"), pa.timestamp(unit, "Asia/Tokyo")
    assert [cast(pa.array([noon], kind), pa.string()) for kind in kinds] == [["2026-01-31 12:00:00.000000Z"]] * 2


@pytest.mark.parametrize(
    ("values", "kind", "message"),
    [
        (pa.array(["1", "abc"]), pa.float64(), "Row 8, column 'x': 'abc' is not a number"),
        (pa.array(["1", "inf"]), pa.float64(), "Row 8, column 'x': inf is not a finite number"),
        (pa.array([1.0, -np.inf]), pa.float64(), "Row 8, column 'x': -inf is not a finite number"),
        (pa.array(["1e999"]), pa.float64(), "Row 7, column 'x': inf is not a finite number"),
        (pa.array([1.5]), pa.int64(), "Row 7, column 'x': 1.5 is not a whole number"),
        (
            pa.array(["9" * 20]),
            pa.int64(),
            "Row 7, column 'x': '99999999999999999999' is not a whole number of 64 bits",
        ),
        (pa.array(["a" * 999]), pa.float64(), r"Row 7, column 'x': 'a{56}\.\.\. is not a number"),
        (pa.array([b"\xff"]), pa.string(), "Row 7, column 'x': a value of 1 bytes is not text"),
        (pa.array([b"ab", b"abc"]), pa.binary(2), "Row 8, column 'x': a value of 3 bytes is not an image of 2 bytes"),
        (pa.array(["1,234.5"]), pa.float64(), "'1,234.5' is not a number; it looks like commas between thousands"),
        (pa.array(["1.234,5"]), pa.float64(), "'1.234,5' is not a number; it looks like a decimal comma"),
        (pa.array(["0,5"]), pa.float64(), "'0,5' is not a number; it looks like a decimal comma"),
        (pa.array(["1 234"]), pa.float64(), "'1 234' is not a number; it looks like gaps between thousands"),
        (pa.array(["12 %"]), pa.float64(), "'12 %' is not a number; it looks like a number with a unit"),
        (pa.array(["$12.50"]), pa.float64(), "is not a number; it looks like a number with a unit"),
        (pa.array(["31/12/2026"]), pa.float64(), "'31/12/2026' is not a number; it looks like a date"),
        (pa.array(["old"]), pa.float64(), r"'old' is not a number\. Correct"),
        (pa.array([b"ab", None]), pa.binary(2), "Row 8, column 'x' holds no image"),
        (pa.array(["ab"]), pa.binary(2), "Row 7, column 'x': 'ab' is not an image of 2 bytes"),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_its_row_and_column(values, kind, message):
    schema = pa.schema([("x", kind)])
    with pytest.raises(DataError, match=message):
        rows.typed(pa.record_batch([values], ["x"]), schema, rows.MISSING, first=7)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["x"], r"have no column 'y'\. They have 'x'\. Correct the source, or `data:` in the model's YAML\.$"),
        (["1", "2"], r"have no column 'x', 'y'\. .* A file without a header needs `ingest: names:`"),
        (["", "x", "y"], r"Column 1 of the data has no name\..*write `ingest: ignore: \[''\]`"),
        (["x", "y", "z"], "undeclared columns: 'z'"),
        (["x", "y", "x"], "more than one column 'x'"),
    ],
)
def test_columns_that_are_missing_undeclared_or_double_are_named(names, message):
    with pytest.raises(DataError, match=message):
        rows.check_columns(names, ["x", "y"])


@given(st.integers(), st.lists(st.text("0123456789abcdef", min_size=32, max_size=32), min_size=1))
def test_a_fraction_lies_between_zero_and_one_and_depends_on_the_seed(seed, ids):
    encoded = np.array(ids, "S32")
    found = rows.fractions(seed, encoded)
    assert ((found >= 0) & (found < 1)).all()
    assert found.tolist() != rows.fractions(seed + 1, encoded).tolist()
    first = hashlib.sha256(f"{seed}:{ids[0]}".encode()).digest()[:8]
    assert found[0] == int.from_bytes(first, "little") / 2**64  # for ever: it decides about splits that exist


@given(st.lists(st.text("0123456789abcdef", min_size=32, max_size=32)), st.randoms())
def test_the_content_hash_does_not_depend_on_order_but_on_every_row(ids, random):
    shuffled = random.sample(ids, len(ids))
    assert rows.content_hash(shuffled) == rows.content_hash(ids)
    assert rows.content_hash([*ids, "0" * 32]) != rows.content_hash(ids)
