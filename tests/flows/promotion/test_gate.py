"""The gate: what passes, what fails, what has not enough evidence, and which of them decides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.promotion import gate
from flows.promotion.gain import ALPHA, Gain
from flows.promotion.gate import Look
from pipelines.model_file import Promote

ACCURACY = Promote(metric="accuracy", at_least=0.9, margin=0.01)
ERROR = Promote(metric="mean_absolute_error", at_most=50, margin=2)
PASS, FAIL, UNSURE = (Look(name, passed, name) for name, passed in (("p", True), ("f", False), ("u", None)))


def no_worse(low: float, high: float, margin: float = 0.02, better: bool = False) -> Look:
    return gate.no_worse("champion", "version 1", "accuracy", margin, Gain(100, (low + high) / 2, low, high), better)


@given(st.lists(st.sampled_from([PASS, FAIL, UNSURE]), min_size=1))
def test_one_failure_rejects_one_doubt_leaves_undecided_and_only_all_of_them_accept(looks):
    decision, reason = gate.decide(looks)
    expected = "rejected" if FAIL in looks else "undecided" if UNSURE in looks else "accepted"
    assert (decision, reason) == (expected, {"rejected": "f", "undecided": "u", "accepted": "p"}[expected])


@pytest.mark.parametrize(("value", "passed"), [(0.9, True), (0.95, True), (0.8999, False)])
def test_the_floor(value, passed):
    assert gate.floor(ACCURACY, value).passed is passed


def test_the_floor_of_an_error_is_a_ceiling():
    assert gate.floor(ERROR, 50).passed
    assert gate.floor(ERROR, 50.1).said == "mean_absolute_error is 50.1, but at most 50 is required"


@pytest.mark.parametrize(
    ("low", "high", "passed"),
    [
        (0.001, 0.01, True),  # better
        (-0.019, 0.01, True),  # not worse
        (-0.019, -0.001, True),  # a little worse, surely by less than the margin
        (-0.03, 0.01, None),
        (-0.03, -0.001, False),  # worse, maybe by more than the margin
        (-0.06, -0.04, False),
    ],
)
def test_not_worse_than_the_margin(low, high, passed):
    assert no_worse(low, high).passed is passed


@pytest.mark.parametrize(("low", "high", "passed"), [(0.001, 0.01, True), (-0.01, 0.03, None), (-0.03, -0.001, False)])
def test_better_where_the_declaration_asks_for_it(low, high, passed):
    assert no_worse(low, high, better=True).passed is passed


def test_what_is_undecided_says_about_how_many_rows_would_decide():
    assert "about 400 rows would decide" in no_worse(-0.04, 0.04).said  # twice too wide: four times the rows


def test_no_gain_is_not_enough_evidence_and_never_a_pass():
    look = gate.no_worse("slice old", "version 1", "roc_auc", 0.02, None)
    assert (look.passed, look.verdict) == (None, "not enough evidence")
    assert gate.decide([look, PASS])[0] == "undecided"


@pytest.mark.parametrize(
    ("found", "passed"),
    [
        (Gain(10, 0.0, -0.3, 0.3), True),  # too few for a verdict: no veto
        (Gain(10, -0.3, -0.5, -0.1), False),  # few, but they tell
        (None, True),
        (Gain(2000, 0.0, -0.005, 0.005), True),
        (Gain(2000, -0.019, -0.025, -0.013), False),
        (Gain(2000, -0.012, -0.0255, 0.0015), None),  # enough rows for an equal candidate to pass: it must
    ],
)
def test_newer_rows_veto_and_once_they_are_enough_must_pass(found, passed):
    assert gate.newer("version 1", "accuracy", 0.02, found, 10).passed is passed


@pytest.mark.parametrize(
    ("low", "high", "passed"), [(0.01, 0.2, True), (-0.01, 0.2, None), (-0.2, 0.0, False), (-0.2, -0.1, False)]
)
def test_better_than_a_trivial_baseline(low, high, passed):
    assert gate.baseline("accuracy", Gain(50, (low + high) / 2, low, high)).passed is passed


def test_a_baseline_that_cannot_be_compared_is_not_enough_evidence():
    assert gate.baseline("roc_auc", None).passed is None


GOLDEN = {"rows": 200, "largest": 0.0, "changed": 0, "same_rows": True}


@pytest.mark.parametrize(
    ("more", "passed"),
    [
        ({}, True),
        ({"largest": 9e-6}, True),
        ({"largest": 2e-5}, False),
        ({"changed": 1}, False),
        ({"same_rows": False}, False),
        ({"failed": "ValueError: no"}, False),
    ],
)
def test_golden_rows(more, passed):
    assert gate.golden(GOLDEN | more, 1e-5).passed is passed


def test_golden_rows_on_another_kind_of_device_may_differ_within_its_tolerance_and_it_is_said():
    across = "evaluated on a gpu, compared on a cpu"
    found = GOLDEN | {"rows": 200, "largest": 5e-5}
    assert not gate.golden(found, 1e-5).passed
    look = gate.golden(found, 1e-4, across)
    assert look.passed
    assert look.said.endswith("within 5e-05 (evaluated on a gpu, compared on a cpu: 0.0001 is allowed)")
    assert gate.golden(found | {"changed": 2}, 1e-4, across).passed
    assert not gate.golden(found | {"changed": 3}, 1e-4, across).passed
    assert not gate.golden(found | {"changed": 1}, 1e-4).passed
    assert not gate.golden(found | {"largest": 2e-4}, 1e-4, across).passed


def test_limits_of_size_and_latency():
    assert gate.size(1.0, 1.0).passed
    assert not gate.size(1.0, 1.1).passed
    assert gate.latency(1.5, {"single": 1.2, "batch": 1.5}).passed
    slow = gate.latency(1.5, {"single": 1.2, "batch": 1.6})
    assert not slow.passed
    assert "(batch) takes 1.60 times" in slow.said


def test_all_comparisons_with_one_reference_share_one_budget():
    spent = [gate.spent(number) for number in range(10_000)]
    assert spent[0] == ALPHA
    assert spent == sorted(spent, reverse=True)
    assert 1.9 * ALPHA < sum(spent) < 2 * ALPHA


def test_a_look_is_a_row_of_a_table():
    row = no_worse(-0.03, 0.01).row()
    assert (row["verdict"], row["rows"], row["low"], row["high"]) == ("not enough evidence", 100, -0.03, 0.01)
    assert "passed" not in row
