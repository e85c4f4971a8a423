"""Matters: bars to one scale with their intervals, curves within their drawing, and nothing where nothing is known."""

import pytest

from flows.web.explained import matters
from tests.flows.web.conftest import ABOUT


def test_bars_and_groups_have_one_scale():
    found = matters.of(ABOUT | {"metric": "accuracy", "rows": 126})
    weight, colour = found.bars
    (both,) = found.groups
    unit = 100 / 0.41
    assert (weight.start, weight.width) == pytest.approx((0.01 * unit, 0.31 * unit))
    assert (colour.low, both.high) == pytest.approx((0, 100))
    assert (weight.mean, weight.interval, both.name) == ("0.31", "0.25 to 0.37", "weight + age")


def test_a_curve_lies_in_its_drawing_and_words_are_bars():
    weight, colour = matters.of(ABOUT).curves
    assert weight.points == "2.00,38.00 98.00,2.00"
    assert (weight.ends, weight.least, weight.most) == (("1", "30"), "10.0 %", "90.0 %")
    assert weight.words == "1: 10.0 %; 30: 90.0 %"
    assert [width for _, _, width in colour.bars] == pytest.approx([100, 75])
    assert colour.bars[1][0] == "missing"


def test_rules_stand_with_what_one_class_for_all_would_reach():
    assert matters.of(ABOUT).fidelity == (
        "They give the model's own class for 97.0 % of the test rows; always the same class gives 60.0 %."
    )
    refused = {"text": "", "fidelity": 0.5, "majority": 0.6, "refused": "No rule is better than one class."}
    assert matters.of(ABOUT | {"rules": refused}).fidelity == refused["refused"]


def test_what_the_page_draws_is_no_picture_and_curves_of_many_classes_are():
    assert [one["file"] for one in matters.of(ABOUT).pictures] == ["seen.png"]
    many = [ABOUT["dependence"][0] | {"of": name} for name in "abc"]
    pictures = [{"file": "dependence.png", "title": "", "about": ""}]
    found = matters.of(ABOUT | {"dependence": many, "pictures": pictures})
    assert found.curves == []
    assert found.pictures == pictures


@pytest.mark.parametrize("about", [{}, {"format": 1, "importance": [], "pictures": []}])
def test_nothing_known_is_nothing_shown(about):
    assert matters.of(about) is None
