"""The gate: floor, margin, direction, and never a comparison across different rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.promote import Scored, decide
from pipelines.declaration import Promote
from pipelines.errors import RatchetError

ACCURACY = Promote(metric="accuracy", at_least=0.9, margin=0.01)
ERROR = Promote(metric="mean_absolute_error", at_most=50, margin=2)


def scored(value: float, metric: str = "accuracy", test_hash: str = "t") -> Scored:
    return Scored("version 1", "m", test_hash, {metric: value})


def test_without_a_champion_the_floor_decides():
    assert decide(ACCURACY, scored(0.9), None).accepted
    found = decide(ACCURACY, scored(0.89), None)
    assert not found.accepted
    assert found.reason == "accuracy is 0.89, and at least 0.9 is asked for"


@pytest.mark.parametrize(("value", "accepted"), [(0.96, True), (0.95, True), (0.941, True), (0.93, False)])
def test_not_worse_than_the_champion_by_more_than_the_margin(value, accepted):
    assert decide(ACCURACY, scored(value), scored(0.95)).accepted is accepted


@pytest.mark.parametrize(("value", "accepted"), [(40, True), (46.5, True), (47.5, False), (51, False)])
def test_lower_is_better_for_an_error(value, accepted):
    name = "mean_absolute_error"
    assert decide(ERROR, scored(value, name), scored(45, name)).accepted is accepted


def test_scores_on_different_rows_are_never_compared():
    with pytest.raises(RatchetError, match="different test rows"):
        decide(ACCURACY, scored(0.99), scored(0.95, test_hash="other"))


@given(st.floats(0.9, 1), st.floats(0, 1))
def test_a_better_candidate_above_the_floor_is_never_rejected(value, other):
    if value >= other:
        assert decide(ACCURACY, scored(value), scored(other)).accepted


@given(st.floats(0, 1))
def test_the_same_score_passes_exactly_when_the_floor_is_met(value):
    assert decide(ACCURACY, scored(value), scored(value)).accepted is (value >= 0.9)
