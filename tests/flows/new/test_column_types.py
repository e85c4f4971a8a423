"""Guess and target: what columns are, by their values alone."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.new import column_types
from flows.new import target as targets
from pipelines.errors import DataError, RequestError
from pipelines.table.rows import MISSING

ROWS = 400
RANDOM = np.random.default_rng(0)
AGES = RANDOM.integers(18, 90, ROWS)
DAYS = pd.date_range("2024-01-01", periods=ROWS, freq="D")
CITIES = RANDOM.choice(["Oslo", "Bergen", "Bodø"], ROWS)


def some(values, *others: str):
    """The values as text, the others in place of the first of them."""
    found = [str(value) for value in values]
    return [*others, *found[len(others) :]]


COLUMNS = {
    "numbers": (some(AGES), "number"),
    "numbers, some missing": (some(AGES, "", "NA", " "), "number"),
    "numbers with marks": (some(AGES, "?", "none", "-"), "number"),
    "numbers and one word": (some(AGES, "over 90"), "number"),
    "numbers and an infinity": (some(AGES, "inf"), "number"),
    "two numbers": (some(AGES > 40), "category"),
    "zero and one": (some((AGES > 40).astype(int)), "number"),
    "exponents": (some(RANDOM.normal(size=ROWS) * 1e-7), "number"),
    "codes": ([f"0{age}" for age in AGES], "category"),
    "words": (some(CITIES), "category"),
    "words with a mark": (some(CITIES, "?"), "category"),
    "one word": (["Oslo"] * ROWS, "ignore"),
    "one number": (["7"] * ROWS, "ignore"),
    "one word or none": (some(["Oslo"] * ROWS, "", ""), "category"),
    "nothing": ([""] * ROWS, "ignore"),
    "counted rows": (some(range(1000, 1000 + ROWS)), "ignore"),
    "numbers by lot": (some(RANDOM.choice(900_000, ROWS, replace=False) + 100_000), "ignore"),
    "different amounts": (some(np.unique(np.exp(RANDOM.normal(9, 1, 2 * ROWS)).astype(int))[:ROWS]), "number"),
    "long identifiers": ([str(2**60 + i) for i in range(ROWS)], "ignore"),
    "keys": ([f"K-{i:05d}" for i in range(ROWS)], "ignore"),
    "sentences": ([f"this is what number {i} said" for i in range(ROWS)], "ignore"),
    "days": (some(DAYS.strftime("%Y-%m-%d")), "date"),
    "instants": (some(DAYS.strftime("%Y-%m-%dT%H:%M:%SZ")), "date"),
    "German days": (some(DAYS.strftime("%d.%m.%Y")), "date"),
    "American days": (some(DAYS.strftime("%m/%d/%Y")), "date"),
    "days without separators": (some(DAYS.strftime("%Y%m%d"), ""), "date"),
    "days and one that is none": (some(DAYS.strftime("%Y%m%d"), "20241399"), "number"),
    "years of two digits": (some(DAYS.strftime("%d.%m.%y")), "ignore"),
    "days or months first": ([f"{1 + i % 12:02d}/{1 + i % 11:02d}/2024" for i in range(ROWS)], "ignore"),
    "days in three forms": (
        [day.strftime(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y"][i % 3]) for i, day in enumerate(DAYS)],
        "ignore",
    ),
    "thousands": ([f"{age},234.50" for age in AGES], "ignore"),
    "amounts of money": ([f"$ {age}.50" for age in RANDOM.integers(0, 900, ROWS)], "ignore"),
    "percentages": ([f"{age}%" for age in AGES], "ignore"),
    "a few percentages": ([f"{5 * (age % 4)}%" for age in AGES], "category"),
    "decimal commas": ([f"{age},5" for age in AGES], "ignore"),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_what_a_column_is_and_why(name):
    values, role = COLUMNS[name]
    values = values[:ROWS]
    found = column_types.column("x", pa.chunked_array([values]), MISSING)
    assert found.role == role, found.why
    unclear = ("days in three forms", "days or months first", "years of two digits")
    assert ("of several forms" in found.why) == (name in unclear)
    renamed = column_types.column("another name", pa.chunked_array([values]), MISSING)
    assert (renamed.role, renamed.why) == (found.role, found.why)


def test_marks_are_those_of_the_columns_in_which_they_mean_nothing_else():
    numbers, words = some(AGES, "?", "none"), some(CITIES, "?", "none", "none")
    found = column_types.columns(pa.table({"a": numbers, "b": words}), MISSING)
    assert [column.marks for column in found] == [("?", "none"), ("?",)]
    assert "none" in found[1].words
    assert column_types.marks(found, MISSING) == [*MISSING, "?", "none"]
    assert found[0].missing == pytest.approx(2 / ROWS)


def test_typed_columns_are_what_text_of_the_same_values_is():
    typed = pa.table({"age": AGES, "city": CITIES.tolist(), "old": AGES > 60, "day": DAYS, "share": AGES / 7})
    assert [column.role for column in column_types.columns(typed, MISSING)] == [
        "number",
        "category",
        "category",
        "date",
        "number",
    ]
    compact = pa.table({"day": DAYS.strftime("%Y%m%d").astype(int)})
    assert [(column.role, column.form) for column in column_types.columns(compact, MISSING)] == [("date", "%Y%m%d")]


@pytest.mark.parametrize(
    ("day", "form"),
    [("2024-01-31", "ISO"), ("31.01.2024", "%d.%m.%Y"), ("01/31/2024", "%m/%d/%Y"), ("Jan 31, 2024", "%b %d, %Y")],
)
@pytest.mark.parametrize(("time", "more"), [("", ""), (" 23:59", " %H:%M"), (" 23:59:58", " %H:%M:%S")])
def test_the_form_of_dates(day, time, form, more):
    assert column_types.date_form(pd.Index([day + time])) == (form if form == "ISO" else form + more)


@given(st.lists(st.text(max_size=12), min_size=1, max_size=80))
def test_any_cells_are_something(cells):
    found = column_types.column("x", pa.chunked_array([cells]), MISSING)
    assert found.role in ("number", "category", "date", "ignore")
    assert found.low <= found.high


def target(values) -> targets.Target:
    return targets.target("y", pa.chunked_array([values]), MISSING, "a.csv")


@pytest.mark.parametrize(
    ("values", "task", "label", "classes"),
    [
        (some(CITIES), "classification", "text", 3),
        (some(AGES > 40), "classification", "text", 2),
        (some((AGES > 40).astype(int)), "classification", "integer", 2),
        (some(AGES % 10), "classification", "integer", 10),
        ([f"0{age % 3}" for age in AGES], "classification", "text", 3),
        (some(AGES), "regression", "", 0),
        (some(AGES / 7, "NA"), "regression", "", 0),
        ((AGES > 40).tolist(), "classification", "text", 2),
        ([2**60 + age % 3 for age in AGES.tolist()], "classification", "text", 3),
        ([str(2**60 + age % 3) for age in AGES.tolist()], "classification", "text", 3),
    ],
)
def test_the_problem_follows_from_the_target(values, task, label, classes):
    found = target(values)
    assert (found.task, found.label, len(found.classes)) == (task, label, classes)
    assert sum(found.classes.values()) == (ROWS if classes else 0)


def test_a_mark_is_no_class_and_is_told():
    found = target(some(CITIES, *"?" * 20))
    assert (len(found.classes), found.marks) == (3, ("?",))


def test_classes_of_few_rows_are_told_apart():
    found = target(some(CITIES, "Ytre", "Ytre"))
    assert found.rare == ["Ytre"]
    assert 0.5 < found.rarest <= 1
    assert set(found.kept) == {"Oslo", "Bergen", "Bodø"}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (["a", "b"] * 20, "40 rows"),
        (["a"] * ROWS, "every row"),
        ([f"K{i}" for i in range(ROWS)], "400 different values"),
        ([""] * ROWS, "0 rows"),
        (some(DAYS.strftime("%Y-%m-%d")), "dates"),
        (some(DAYS.strftime("%Y%m%d")), "dates"),
        ([f"{age},5" for age in AGES], "numbers with a comma or blanks, such as .*: write them as 1234.5"),
        ([f"{age} €" for age in AGES], "numbers with a sign"),
    ],
)
def test_what_cannot_be_predicted_is_said(values, problem):
    with pytest.raises((DataError, RequestError), match=problem):
        target(values)
