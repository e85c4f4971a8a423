"""Charts: every number is where its size says, nothing but numbers and an escaped sentence is in them."""

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.web import charts

numbers = st.floats(-1e6, 1e6)


def dots(svg):
    return [
        tuple(map(float, point.split(","))) for line in svg.iter("polyline") for point in line.get("points").split()
    ]


@given(st.lists(numbers, min_size=2, max_size=50), st.none() | st.tuples(numbers, numbers))
def test_a_line_is_within_its_picture_and_higher_where_values_are_higher(values, band):
    svg = ElementTree.fromstring(str(charts.line(values, band=band)))
    places = dots(svg)
    assert len(places) == len(values)
    assert all(0 <= x <= charts.WIDE and 0 <= y <= charts.HIGH for x, y in places)
    for (_, one), (_, other), a, b in zip(places, places[1:], values, values[1:], strict=False):
        assert (a <= b) == (one >= other) or one == other


def test_a_missing_value_is_a_gap_and_none_at_all_is_no_picture():
    svg = ElementTree.fromstring(str(charts.line([1.0, 2.0, None, 3.0, 4.0], marked=[True, False, False, False, True])))
    assert [len(line.get("points").split()) for line in svg.iter("polyline")] == [2, 2]
    assert len(list(svg.iter("circle"))) == 2
    assert charts.line([None, None]) == ""


@given(numbers, st.floats(0, 1e5), st.floats(0, 1e5))
def test_an_interval_is_around_its_value(value, below, above):
    svg = ElementTree.fromstring(str(charts.interval_strip(value, value - below, value + above, (0.0, -0.01))))
    left, right = map(float, re.findall(r"[MH](-?[\d.]+)", svg.find("path").get("d")))
    assert left - 0.11 <= float(svg.find("circle").get("cx")) <= right + 0.11


@pytest.mark.parametrize("said", ['<script>"x"</script>', "a & b"])
def test_it_is_a_picture_with_a_name_and_without_script_or_style(said):
    for svg in (charts.line([1.0, 2.0], said=said), charts.interval_strip(1.0, 0.5, 2.0, said=said)):
        found = ElementTree.fromstring(str(svg))
        assert (found.get("role"), found.get("aria-label"), found.find("title").text) == ("img", said, said)
        assert "style=" not in svg
        assert "<script" not in svg
