"""The gate: what passes, what fails, what has not enough evidence, and which of them decides."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.promotion import gate
from flows.promotion.gate import Look
from flows.promotion.statistics import power
from flows.promotion.statistics.budget import Budget, spent
from flows.promotion.statistics.gain import Gain
from pipelines.sections.promote import Promote

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


def test_no_gain_is_not_enough_evidence_and_never_a_pass():
    look = gate.no_worse("slice old", "version 1", "roc_auc", 0.02, None)
    assert (look.passed, look.verdict) == (None, "not enough evidence")
    assert gate.decide([look, PASS])[0] == "undecided"


NEW = Budget(judged=0, since_promotion=0, since_reference=0, promotions=0)
WORN = Budget(judged=14, since_promotion=14, since_reference=14, promotions=0)


def labels(rows: int, disagree: float, value: float = 0.0) -> Gain:
    """Right and wrong answers, whose interval is far too wide for the margin."""
    return Gain(rows, value, value - 1, value + 1, math.sqrt(disagree / rows), rows, disagree)


def test_what_is_undecided_says_what_the_rows_have_judged_and_what_restores_them():
    look = gate.telling("champion", "it", "accuracy", 0.02, labels(360, 0.02), WORN, WORN.alpha)
    assert look.passed is None
    assert "these 360 rows have judged 14 candidates since the last promotion" in look.said
    passes = re.search(r"an equal candidate passes (\d+)% of the time", look.said)
    assert passes
    assert int(passes[1]) < 20
    missing = re.search(r"about ([\d,]+) new rows, or `ratchet promote`, restore it", look.said)
    assert missing
    new = int(missing[1].replace(",", ""))
    share = 360 / (360 + new)
    assert power.of_labels(360 + new, 0.02, 0.02, spent(14 * share)) >= power.FULL


@given(st.integers(50, 20_000), st.floats(0.005, 0.1), st.floats(0, 300))
def test_a_candidate_that_answers_alike_passes_while_a_worse_one_would_hardly_do_so(rows, margin, judged):
    used = Budget(judged=judged, since_promotion=judged, since_reference=judged, promotions=0)
    found = Gain(rows, 0.0, -1.0, 1.0, 0.0, rows, 0.0)
    look = gate.telling("champion", "it", "accuracy", margin, found, used, used.alpha)
    assert look.passed is (True if (1 - margin) ** rows * (judged + 1) < 0.01 else None)
    assert look.passed or "new rows are missing" in look.said


def test_numbers_that_are_all_alike_are_left_to_a_person():
    look = gate.telling("champion", "it", "mean_absolute_error", 3, Gain(88, 0.0, -8.6, 8.6, 0.0, 88), NEW, NEW.alpha)
    assert look.passed is None
    assert look.said.endswith("could cost as much as the worst: `ratchet promote` decides")


@pytest.mark.parametrize(
    ("found", "passed"),
    [(None, True), (Gain(10, -0.3, -0.5, -0.1), False), (Gain(9, -0.05, -0.2, -0.01), True), (Gain(9, 0, -1, 1), True)],
)
def test_a_part_of_the_rows_can_only_say_no_and_only_beyond_the_margin(found, passed):
    assert gate.veto("newer rows", "version 1", "accuracy", 0.02, found, 10).passed is passed


@pytest.mark.parametrize(
    ("older", "newer", "passed"),
    [
        (Gain(360, -0.02, -0.035, -0.005, 0.0075), Gain(360, 0.07, 0.04, 0.10, 0.013), None),  # poison
        (Gain(360, -0.002, -0.015, 0.011, 0.0075), Gain(360, 0.07, 0.04, 0.10, 0.013), True),  # the older ones clear it
        (Gain(360, -0.02, -0.035, -0.005, 0.0075), Gain(360, -0.01, -0.02, 0, 0.0075), True),  # they say the same
        (None, Gain(360, 0.07, 0.04, 0.10, 0.013), True),
    ],
)
def test_newer_rows_that_contradict_the_older_ones_do_not_outvote_them(older, newer, passed):
    assert gate.agree("version 1", "accuracy", 0.02, older, newer).passed is passed


def test_the_share_of_rows_with_a_rare_error_is_said_and_decides_nothing():
    look = gate.hidden("log_loss", Gain(88, 0, -0.1, 0.1, 0.05, 88), 16.0, declared=False)
    assert look.passed
    assert "a fault on less than 4.1% of the rows could hide" in look.said
    assert "up to 0.657" in look.said
    assert "cost" not in gate.hidden("r2", Gain(88, 0, -0.1, 0.1, 0.05, 88), 163.0, declared=False).said


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


def test_a_look_is_a_row_of_a_table():
    row = no_worse(-0.03, 0.01).row()
    assert (row["verdict"], row["rows"], row["low"], row["high"]) == ("not enough evidence", 100, -0.03, 0.01)
    assert "passed" not in row
