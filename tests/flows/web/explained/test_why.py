"""Why: bars lie where their values say, the rest is one bar, and sentences say what the numbers say."""

import pytest

from flows.web.explained import why

EXPLAINED = {
    "output": "yes",
    "answer": 0.83,
    "base": 0.74,
    "contributions": {"age": 0.02, "months": -0.11, "plan": 0.18},
    "background": 200,
    "exact": True,
    "counterfactual": {"changes": [{"column": "plan", "before": None, "after": "plus"}], "prediction": "no"},
    "why": "",
}
ROW = {"age": 41, "months": 3, "plan": None}


def test_bars_begin_at_zero_and_the_largest_comes_first():
    found = why.of(EXPLAINED, ROW, "churn")
    assert [(one.name, one.value, one.added) for one in found.bars] == [
        ("plan", "missing", "+18.0"),
        ("months", "3", "−11.0"),
        ("age", "41", "+2.0"),
    ]
    plan, months, _ = found.bars
    assert found.zero == pytest.approx(100 * 0.11 / 0.29)
    assert (plan.start, plan.width) == pytest.approx((found.zero, 100 * 0.18 / 0.29))
    assert (months.start, months.start + months.width) == pytest.approx((0, found.zero))
    assert [one.up for one in found.bars] == [True, False, True]


def test_sentences_say_what_the_numbers_say():
    found = why.of(EXPLAINED, ROW, "churn")
    assert found.sum == (
        "On average over 200 training rows the probability of yes is 74.0 %. "
        "The values of this row change it by +9.0 points, to 83.0 %."
    )
    assert found.otherwise == "If plan were plus instead of missing, churn would be no."


def test_a_number_has_no_points_and_a_series_has_no_values():
    change = {"column": "warm", "before": 3, "after": 9.5, "step": "last"}
    found = why.of(
        EXPLAINED
        | {"output": None, "answer": 28.0, "base": 97.4, "contributions": {"warm": -69.4, "at": 1e-15}}
        | {"counterfactual": {"changes": [change], "prediction": 102.1234567}},
        {"rows": []},
        "sold",
    )
    assert [(one.name, one.value, one.added) for one in found.bars] == [("warm", "", "−69.4"), ("at", "", "0")]
    assert found.sum.endswith("The values of these rows change it by −69.4, to 28.")
    assert found.otherwise == "If the last warm were 9.5 instead of 3, sold would be 102.12."


def test_more_columns_than_bars_are_one_bar():
    parts = {f"c{place:02d}": 0.01 * place for place in range(20)}
    found = why.of(EXPLAINED | {"contributions": parts}, {}, "churn").bars
    assert [one.name for one in found][:2] == ["c19", "c18"]
    assert [(one.name, one.added) for one in found[why.MOST_BARS :]] == [("8 more columns", "+28.0")]


def test_without_another_answer_the_reason_is_said():
    assert (
        why.of(EXPLAINED | {"counterfactual": None, "why": "There is none."}, ROW, "churn").otherwise
        == "There is none."
    )


def test_a_picture_has_its_patches_where_they_are():
    grid = {"tops": [0, 2, 5], "lefts": [0, 3]}
    parts = {"y 0-1, x 0-2": 0.2, "y 2-4, x 0-2": -0.4}
    found = why.of(EXPLAINED | {"contributions": parts, "grid": grid, "counterfactual": None, "why": "No."}, {}, "")
    first, second = found.patches
    assert (first.left, first.top, first.width, first.height, first.strength, first.up) == (0, 0, 3, 2, 0.5, True)
    assert (second.top, second.height, second.strength, second.up) == (2, 3, 1.0, False)
    assert found.otherwise == ""
