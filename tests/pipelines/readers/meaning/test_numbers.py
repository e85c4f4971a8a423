"""A number that people write is the number that they mean, or is told with its place; never another one."""

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import DataError
from pipelines.readers.layout import Layout
from pipelines.readers.meaning import numbers

SIGNS = [(".", ""), (",", ""), (",", "."), (".", ","), (",", " "), (".", " "), (",", "'"), (".", "'"), (".", "_")]
amounts = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**9), max_value=10**9)


def spelled(number: Decimal, decimal: str, thousands: str) -> str:
    grouped = f"{number:,}" if thousands else f"{number}"
    return grouped.replace(",", "t").replace(".", decimal).replace("t", thousands)


@given(amounts, st.sampled_from(SIGNS))
def test_a_number_is_the_same_in_every_writing(number, signs):
    assert Decimal(numbers.plain(spelled(number, *signs), *signs)) == number


@given(amounts, st.sampled_from(["", " ", "'", "_"]))
def test_a_point_is_no_decimal_comma(number, thousands):
    with pytest.raises(ValueError, match="is not written like 1"):
        numbers.plain(f"{number}", ",", thousands)


@pytest.mark.parametrize(
    ("text", "signs", "found"),
    [
        ("1.234,5", (",", "."), "1234.5"),
        ("1234,5", (",", "."), "1234.5"),
        ("-0,5e-3", (",", ""), "-0.5e-3"),
        (",5", (",", ""), ".5"),
        ("1\u00a0234\u202f567,5", (",", " "), "1234567.5"),
        ("1’234.50", (".", "'"), "1234.50"),
        ("−5,5", (",", ""), "-5.5"),
        ("٣٫١٤", (".", ""), "3.14"),
        ("１２．5", (".", ""), "１２．5"),  # the full stop of full width is no point
        ("１２", (".", ""), "12"),
        ("inf", (",", ""), "inf"),
        ("12,50 €", (",", ""), "12,50 €"),
        ("1,2,3", (",", ""), "1,2,3"),
        ("12,34,567.5", (".", ","), "1234567.5"),  # as in India
        ("12.34.567", (",", "."), "12.34.567"),
    ],
)
def test_texts(text, signs, found):
    assert numbers.plain(text, *signs) == found


@pytest.mark.parametrize(("text", "signs"), [("1.5", (",", "")), ("1.234", (",", "")), ("1.5", (",", " "))])
def test_a_number_that_is_written_otherwise_is_refused(text, signs):
    with pytest.raises(ValueError, match="is not written like 1"):
        numbers.plain(text, *signs)


WANTED = pa.schema([("a", pa.float64()), ("b", pa.string()), ("y", pa.int64())])


@given(
    st.lists(st.tuples(amounts, st.sampled_from(["1,5", "x"]), st.integers(0, 9)), min_size=1), st.sampled_from(SIGNS)
)
def test_the_columns_have_what_each_text_has_and_words_stay(rows, signs):
    cells = [(spelled(a, *signs), b, f" {y}") for a, b, y in rows]
    batch = pa.RecordBatch.from_arrays([pa.array(column) for column in zip(*cells, strict=True)], ["a", "b", "y"])
    found = numbers.read(batch, WANTED, Layout(decimal=signs[0], thousands=signs[1]), ["NA"], 1)
    assert found["a"].to_pylist() == [numbers.plain(cell[0], *signs) for cell in cells]
    assert found["b"].to_pylist() == [cell[1] for cell in cells]


def test_the_first_number_that_is_written_otherwise_is_told_with_its_place():
    values = pa.array(["1,5", "NA", None, " 2.5 ", "1.5"])
    batch = pa.RecordBatch.from_arrays([values, values, pa.array(["1"] * 5)], ["a", "b", "y"])
    with pytest.raises(DataError, match=r"Row 14, column 'a': '2.5' is not written like 1234,5") as caught:
        numbers.read(batch, WANTED, Layout(decimal=","), ["NA"], 11)
    assert "`ingest: decimal:`" in caught.value.do
    hidden = pa.schema([pa.field("a", pa.float64(), metadata={"sensitive": "true"})])
    with pytest.raises(DataError, match="a sensitive value is not"):
        numbers.read(batch, hidden, Layout(decimal=","), ["NA"], 11)


def test_without_keys_nothing_but_foreign_digits_changes():
    batch = pa.RecordBatch.from_arrays([pa.array(["1.5", "1,5", "x"]), pa.array(["−1"] * 3)], ["a", "b"])
    assert numbers.read(batch, WANTED, Layout(), [], 1) == batch
