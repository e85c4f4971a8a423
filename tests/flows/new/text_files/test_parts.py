"""Each part that finds out how a file is written: what is a mark, a total, a note, a time of day, and what is none."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from flows.new import column_types
from flows.new.text_files import below, dialect, far_marks, number_writing, time_of_day
from pipelines.table.rows import MISSING

RANDOM = np.random.default_rng(0)
ROWS = 300
SIZES = [f"{value:.1f}" for value in RANDOM.normal(20, 5, ROWS)]


def text(**columns) -> pa.Table:
    return pa.table({name: pa.array([str(value) for value in values]) for name, values in columns.items()})


def marked(values, mark, every: int = 20) -> list[str]:
    return [str(mark) if index % every == 0 else str(value) for index, value in enumerate(values)]


# ------------------------------------------------------------------ marks


@pytest.mark.parametrize("mark", [-200, 9999, -999.9, 1e6, 99999])
def test_a_value_far_from_all_others_that_comes_again_is_a_mark(mark):
    table = text(size=marked(SIZES, mark), other=SIZES)
    found = far_marks.found(table, column_types.columns(table, MISSING))
    assert {name: one.marks for name, one in found.items()} == {"size": [mark]}
    assert found["size"].why.startswith("5.0% of the values, far from all others: ")


DAYS = [str(day)[:10] for day in pd.Timestamp("1960-01-01") + pd.to_timedelta(RANDOM.integers(0, 9000, ROWS), unit="D")]


@pytest.mark.parametrize("mark", ["1900-01-01", "9999-12-31", "1800-01-01"])
def test_a_day_far_from_all_others_is_a_mark_too(mark):
    table = text(born=marked(DAYS, mark))
    found = far_marks.found(table, column_types.columns(table, MISSING))
    assert found["born"].marks == [mark]


NO_MARKS = {
    "zero": marked([5000 + index for index in range(ROWS)], 0, 2),
    "once": ["-200", *SIZES[1:]],
    "two values": [index % 2 for index in range(ROWS)],
    "few values": marked([index % 5 for index in range(ROWS)], 99),
    "heavy tail": np.exp(RANDOM.normal(0, 2, ROWS)).round(2),
    "two groups": [*RANDOM.normal(0, 1, 150).round(2), *RANDOM.normal(100, 1, 150).round(2)],
    "words": marked(["x", "y"] * 150, "9999"),
}


@pytest.mark.parametrize("name", NO_MARKS)
def test_other_values_are_no_marks(name):
    table = text(x=NO_MARKS[name])
    assert far_marks.found(table, column_types.columns(table, MISSING)) == {}


def test_what_is_a_mark_in_one_column_is_one_in_others_where_it_lies_outside():
    wide = marked(RANDOM.integers(2, 1500, ROWS), -200)
    table = text(size=marked(SIZES, -200), wide=wide, real=RANDOM.integers(-300, 300, ROWS))
    assert {*far_marks.found(table, column_types.columns(table, MISSING))} == {"size", "wide"}
    assert {*far_marks.found(table.select(["wide"]), column_types.columns(table.select(["wide"]), MISSING))} == set()


# ------------------------------------------------------------------ writings of numbers

WRITINGS = {
    "decimal comma": (["1,5", "2,25", "3"], ";", (",", "")),
    "both signs": (["1.234,5", "2,25", "3"], ";", (",", ".")),
    "only groups, several": (["1.234.567", "2.345", "3"], ";", (",", ".")),
    "only groups, small ones without": ([*(f"{n}.{100 + n}" for n in range(1, 30)), "950"], ";", (",", ".")),
    "three decimals": ([f"{n}.{100 + n}" for n in range(1, 30)], ";", (".", "")),
    "three decimals after a comma": ([f"{n},{100 + n}" for n in range(1, 30)], ";", (",", "")),
    "the same between commas": ([f"{n},{100 + n}" for n in range(1, 30)], ",", (".", ",")),
    "blanks": (["1 234,5", "12 345,0"], ";", (",", " ")),
    "India": (["1,10,100", "2,00,000", "950"], ",", (".", ",")),
    "telephones": (["+49 170 100", "+49 170 200"], ",", (".", "")),
    "leading zeros": (["01", "02", "1,5"], ";", (".", "")),
    "dates": (["1.2.2024", "2.2.2024"], ";", (".", "")),
    "words": (["Smith, 5", "x"], ";", (".", "")),
}


@pytest.mark.parametrize("name", WRITINGS)
def test_a_writing_is_found_by_what_it_reads(name):
    words, delimiter, signs = WRITINGS[name]
    found = number_writing.found(text(x=words), delimiter, "", {}, MISSING)
    assert found.signs == signs
    assert bool(found.why) == (signs != (".", ""))


def test_the_writing_of_the_target_counts_and_others_are_told():
    table = text(a=["1.5", "2.5"], b=["3.25", "4.5"], y=["1,5", "2,5"])
    found = number_writing.found(table, ";", "y", {}, MISSING)
    assert found.signs == (",", "")
    assert {*found.lost} == {"a", "b"}
    assert number_writing.found(table, ";", "b", {}, MISSING).signs == (".", "")


# ------------------------------------------------------------------ below the table

WORDS = ("up", "down", "left")


def test_a_total_is_the_sum_or_mean_of_every_number_above_it():
    words, numbers = ["a", "b"] * 20, [str(n % 7) for n in range(40)]
    total = str(sum(map(int, numbers)))
    assert below.is_total(text(w=[*words, "Total"], n=[*numbers, total]))
    assert below.is_total(text(w=[*words, ""], n=[*numbers, total]))
    assert not below.is_total(text(w=[*words, "a"], n=[*numbers, total]))  # a row like others
    assert not below.is_total(text(w=[*words, "Total"], n=[*numbers, "12"]))
    assert not below.is_total(text(w=[*words, "Total"], n=[*numbers, total], m=[*numbers, "3"]))
    assert not below.is_total(text(w=["", *words], n=[total, *numbers]))


@pytest.mark.parametrize(
    ("end", "count"),
    [
        ("(60 rows affected)\n", 1),
        ("\nSource: office\nMade by hand\n\n", 2),
        ("(60 rows affected)", 0),  # it may be a row that was cut off
        ("up\n", 0),  # a word of the first column
        ("17\n", 0),
        ("a,b\n", 0),
    ],
)
def test_notes_below_the_rows_are_no_rows(tmp_path, end, count):
    path = tmp_path / "x.csv"
    path.write_text("w,n,m\n" + "".join(f"{WORDS[n % 3]},{n},{n % 5}\n" for n in range(30)) + end)
    assert dialect.sniff(path, []).keys.get("skip_end", 0) == count


# ------------------------------------------------------------------ dates and times of day


@pytest.mark.parametrize("form", ["%H:%M:%S", "%H:%M", "%H.%M.%S", "%I:%M %p", "%H.%M"])
@pytest.mark.parametrize("day", ["%Y-%m-%d", "%d/%m/%Y", "%d.%m.%Y"])
def test_a_date_and_a_time_of_day_are_one_instant(form, day):
    at = pd.date_range("2004-01-28 18:00", periods=ROWS, freq="h")
    table = text(x=SIZES, day=at.strftime(day), time=at.strftime(form))
    (one,) = time_of_day.found(table, column_types.columns(table, MISSING))
    joined = time_of_day.joined(table, one)
    assert (joined.column_names, one.name) == (["x", "day_time"], "day_time")
    written = "ISO8601" if one.form == "ISO" else one.form
    assert (pd.to_datetime(joined["day_time"].to_pandas(), format=written) == at).all()


def test_times_without_a_day_and_instants_stay_apart():
    at = pd.date_range("2004-01-28 18:00", periods=ROWS, freq="h")
    for columns in (
        {"time": at.strftime("%H:%M")},
        {"at": at.strftime("%Y-%m-%d %H:%M"), "time": at.strftime("%H:%M")},
    ):
        table = text(x=SIZES, **columns)
        assert time_of_day.found(table, column_types.columns(table, MISSING)) == []


# ------------------------------------------------------------------ above and beside the table

HEADERS = {  # a file's beginning, and the keys that are found
    "sep": ("sep=;\nw;n;m\nx;1;2\ny;3;4\n", {"delimiter": ";", "skip": 1}),
    "title": ("Report\n\nw,n,m\nx,1,2\ny,3,4\n", {"skip": 2}),
    "padded title": ("Report,,\nMade,2024,\n,,\nw,n,m\nx,1,2\ny,3,4\n", {"skip": 3}),
    "comments": ("# a, b\n# c\nw,n,m\nx,1,2\ny,3,4\n", {"comment": "#"}),
    "commented header": ("# w,n,m\n1,1,2\n2,3,4\n", {"skip": 1, "names": ["w", "n", "m"]}),
    "row names": ("w n m\na x 1 2\nb y 3 4\n", {"delimiter": " ", "skip": 1, "names": ["row_name", "w", "n", "m"]}),
    "trailing": ("w,n,m\nx,1,2,\ny,3,4,\n", {"trailing_delimiters": 1}),
    "trailing two": ("w;n;m;;\nx;1;2;;\ny;3;4;;\n", {"delimiter": ";", "trailing_delimiters": 2}),
    "header trails": ("w,n,m,\nx,1,2\ny,3,4\n", {"skip": 1, "names": ["w", "n", "m"]}),
    "several blanks": ("  w   n  m\nxyz   1  2\n  y 345  4\n", {"delimiter": " ", "merge_delimiters": True}),
    "dates without a name": (",n\n2024-01-01,1\n2024-01-02,2\n", {"names": ["column_1", "n"], "skip": 1}),
    "index without a name": (",n\n0,x\n1,y\n", {}),
    "single quotes": ("w,n\n1,'-1'\n2,'1'\n", {"quote": "'"}),
    "quotes that are letters": ('w\tn\n"a\t1\nb"\t2\n"c\t3\n', {"delimiter": "\t", "quote": "none"}),
    "apostrophes": ("w,n\n's Hertogenbosch,1\nO'Hara,2\n", {}),
}


@pytest.mark.parametrize("name", HEADERS)
def test_what_stands_above_and_beside_the_rows_is_found(tmp_path, name):
    content, keys = HEADERS[name]
    path = tmp_path / "x.csv"
    path.write_text(content)
    found = dialect.sniff(path, [])
    assert found.keys == keys
    assert all(found.why[key] for key in keys)
