"""A pasted table: what was copied from a spreadsheet or a CSV file becomes raw rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.web.form import series

DESCRIBED = {
    "task": "regression",
    "target": "sold",
    "columns": [{"name": "warm", "role": "number"}, {"name": "sky", "role": "category"}],
}
WORD = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=6).map(str.strip).filter(bool)
ROWS = st.lists(
    st.fixed_dictionaries({"at": WORD, "warm": st.integers() | st.none(), "sky": WORD, "sold": st.integers()}),
    min_size=1,
    max_size=5,
)


@given(ROWS)
def test_a_table_that_is_sent_as_it_is_gives_its_rows_again(rows):
    assert series.rows_of(DESCRIBED, series.text(rows)) == rows


@pytest.mark.parametrize("mark", ["\t", ";", ","])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_cells_are_parted_as_spreadsheets_do(mark, end):
    lines = ["at,warm,sky,sold", "2024,-3.5,1,", "2025,,clear,7", ""]
    found = series.rows_of(DESCRIBED, end.join(lines).replace(",", mark))
    assert found == [
        {"at": "2024", "warm": -3.5, "sky": "1", "sold": None},  # a word may look like a number
        {"at": "2025", "warm": None, "sky": "clear", "sold": 7},
    ]


@pytest.mark.parametrize(
    ("pasted", "told"),
    [
        ("", "names of the columns"),
        ("a,b\n", "names of the columns"),
        ("a,b\n1,2\n3\n", "Row 2 has 1 cells"),
        ("a,a\n1,2\n", "'a' twice"),
        ('a,b\n"1,2\n', "not a table"),
    ],
)
def test_what_is_no_table_is_told_in_a_sentence(pasted, told):
    with pytest.raises(series.Unreadable, match=told):
        series.rows_of(DESCRIBED, pasted)
