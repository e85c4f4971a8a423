"""The fields of a row: what they show is the row, and what is typed becomes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.web.form import fields
from flows.web.posted import Posted

WORDS = ["black", "<script>", "other", "missing", "", "word:black", "a b"]


def column(name, role, **more):
    found = {"name": name, "role": role, "least": None, "most": None, "words": [], "more_words": 0, "sensitive": False}
    return found | more


DESCRIBED = {
    "columns": [
        column("weight", "number", least=0.5, most=40),
        column("colour", "category", words=[word for word in WORDS if word]),
        column("name", "category", sensitive=True),
        column("born", "date"),
        column("day", "date"),
        column("seen", "date"),
    ],
    "instants": {"seen": ["seen_on", "seen_at"]},
    "example": {"weight": 3, "born": "2023-05-01T12:00:00+00:00", "day": "2023-05-01", "seen_on": "1.5.2023"},
}
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=8).map(str.strip)
MOMENTS = st.datetimes().map(lambda one: one.replace(microsecond=0, year=2000 + one.year % 30).isoformat() + "+00:00")
ROWS = st.fixed_dictionaries(
    {
        "weight": st.none() | st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False),
        "colour": st.none() | st.sampled_from([word for word in WORDS if word]) | TEXT.filter(bool),
        "name": st.none() | TEXT.filter(bool),
        "born": st.none() | MOMENTS,
        "day": st.none() | MOMENTS.map(lambda text: text[:10]),
        "seen_on": st.none() | TEXT.filter(bool),
        "seen_at": st.none() | TEXT.filter(bool),
    }
)


def sent(found):
    """What a browser sends of these fields."""
    texts = {}
    for one in found:
        texts[f"value.{one.place}"] = one.chosen if one.kind == "menu" else one.value
        texts[f"other.{one.place}"] = one.value if one.kind == "menu" and one.chosen == fields.OTHER else ""
    return Posted(texts)


@given(ROWS)
def test_a_form_that_is_sent_as_it_is_gives_its_row_again(row):
    assert fields.row_of(DESCRIBED, sent(fields.fields(DESCRIBED, row))) == row


def test_each_column_has_the_field_that_suits_it():
    found = {one.name: one for one in fields.fields(DESCRIBED, DESCRIBED["example"])}
    kinds = [(name, one.kind) for name, one in found.items()]
    assert kinds[:3] == [("weight", "number"), ("colour", "menu"), ("name", "text")]
    assert kinds[3:] == [("born", "moment"), ("day", "day"), ("seen_on", "text"), ("seen_at", "text")]
    assert found["weight"].hint == "0.5 to 40"
    assert found["born"].hint == "at UTC"
    assert found["born"].value == "2023-05-01T12:00:00"
    assert "seen" in found["seen_on"].hint


def test_a_word_that_looks_like_an_entry_of_the_menu_stays_a_word():
    for word in ("other", "missing", "word:black"):
        (menu,) = [one for one in fields.fields(DESCRIBED, {"colour": word}) if one.name == "colour"]
        assert menu.chosen == f"word:{word}"
        assert fields.row_of(DESCRIBED, sent([menu]))["colour"] == word


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        *[("3", 3), ("-2.50", -2.5), ("1e3", 1000.0), (" 4 ", 4), ("", None)],
        *[("29,85", "29,85"), ("many", "many"), ("007", "007"), ("1e999", "1e999"), ("NaN", "NaN")],
    ],
)
def test_what_is_no_number_stays_as_it_was_typed(typed, value):
    found = fields.row_of(DESCRIBED, Posted({"value.0": typed}))["weight"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(("value", "told"), [(0.5, False), (40, False), (41, True), ("many", False), (None, False)])
def test_a_number_outside_of_the_training_range_is_told(value, told):
    assert bool(fields.fields(DESCRIBED, {"weight": value})[0].note) is told


def test_a_date_keeps_the_form_of_the_source():
    described = {"columns": [column("at", "date")], "example": {"at": "2023-05-01 12:00Z"}}
    (moment,) = fields.fields(described, {"at": "2024-02-03 04:05Z"})
    assert (moment.kind, moment.value, moment.hint) == ("moment", "2024-02-03T04:05", "at UTC")
    assert fields.row_of(described, Posted({"value.0": "2024-02-03T06:07"})) == {"at": "2024-02-03 06:07Z"}
    local = {"columns": [column("at", "date")], "example": {"at": "01.05.2023 12:00"}}
    (text,) = fields.fields(local, local["example"])
    assert (text.kind, text.hint) == ("text", "written like 01.05.2023 12:00")
