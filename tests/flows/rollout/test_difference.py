"""The difference of two versions: how often it errs, and what it needs labels for."""

from dataclasses import replace

import numpy as np
import pytest

from flows.rollout import looks
from flows.rollout.difference import difference, evenly, gap, lots
from flows.rollout.pairs import Pairs
from pipelines.model.metrics import Answers

MARGIN = 0.05


def pairs(one, other, actual, known=None, asked=None, probabilities=None) -> Pairs:
    rows, (first, second) = len(actual), probabilities or (None, None)
    ids = np.array([f"id {number}" for number in range(rows)])
    classes = [0, 1] if probabilities else []
    sides = [Answers(ids, actual, said, sure, classes) for said, sure in ((one, first), (other, second))]
    known = np.ones(rows, bool) if known is None else known
    return Pairs(*sides, known, np.full(rows, np.nan) if asked is None else asked, np.arange(rows), np.arange(rows))


def classes(random, rows, change, differ=0.3) -> Pairs:
    """Two versions that differ on a share of the rows, `one` better by `change` in all."""
    actual, lot = random.integers(0, 2, rows), random.random(rows)
    wins, loses = lot < (differ + change) / 2, lot > 1 - (differ - change) / 2
    both = random.random(rows) < 0.9
    right = [np.where(wins, True, np.where(loses, False, both)), np.where(wins, False, np.where(loses, True, both))]
    return pairs(*(np.where(one, actual, 1 - actual) for one in right), actual)


def verdict(metric, found: Pairs, looked=(200, 400, 800, 1200)) -> str:
    """What a trial comes to that is looked at again and again."""
    for rows in looked:
        gain = difference(metric, found.take(np.arange(rows)), MARGIN, None)
        if gain is not None and (gain.not_worse(MARGIN) or gain.shown_worse(MARGIN)):
            return "promoted" if gain.not_worse(MARGIN) else "rolled back"
    return "undecided"


@pytest.mark.parametrize(("change", "wrong"), [(-MARGIN, "promoted"), (-MARGIN + 1e-9, "rolled back")])
def test_at_the_margin_itself_neither_error_is_made_more_often_than_said(change, wrong):
    random = np.random.default_rng(5)
    said = [verdict("accuracy", classes(random, 1200, change)) for _ in range(60)]
    assert said.count(wrong) <= 7  # of 60 with a chance of 5 % each, more than 7 come once in 100


def test_a_better_one_is_promoted_and_a_worse_one_is_not():
    random = np.random.default_rng(6)
    assert verdict("accuracy", classes(random, 1200, 0.1)) == "promoted"
    assert verdict("accuracy", classes(random, 1200, -0.2)) == "rolled back"


def test_rows_with_the_same_class_need_no_label():
    found = classes(np.random.default_rng(7), 1000, 0.1)
    differ = found.one.predicted != found.other.predicted
    every, few = (
        difference("accuracy", replace(found, known=known), MARGIN, None) for known in (differ | True, differ)
    )
    assert (few.value, few.low, few.high) == (every.value, every.low, every.high)
    assert (few.rows, every.rows) == (differ.sum(), 1000)
    right = [(part.predicted == part.actual).mean() for part in (found.one, found.other)]
    assert few.value == pytest.approx(right[0] - right[1])


def test_without_any_label_nothing_is_shown_unless_the_answers_are_all_but_the_same():
    actual = np.zeros(2000, int)
    none = np.zeros(2000, bool)
    same = difference("accuracy", pairs(actual, actual, actual, none), MARGIN, None)
    assert same.not_worse(MARGIN)
    other = actual.copy()
    other[::5] = 1
    apart = difference("accuracy", pairs(actual, other, actual, none), MARGIN, None)
    assert apart.low < -0.2 < 0.2 < apart.high


def test_two_numbers_that_are_near_need_no_label_and_the_interval_holds_the_truth():
    random = np.random.default_rng(8)
    actual = random.normal(size=1500)
    other = actual + random.normal(size=1500)
    near = difference("mean_absolute_error", pairs(other + 0.01, other, actual, np.zeros(1500, bool)), MARGIN, None)
    assert near.not_worse(MARGIN)
    found = difference("mean_absolute_error", pairs(actual, other, actual), MARGIN, None)
    assert found.low < np.abs(other - actual).mean() < found.high
    assert found.low > MARGIN


def test_no_gain_is_larger_than_its_gap():
    random = np.random.default_rng(9)
    sure = [np.column_stack([1 - one, one]) for one in random.random((2, 500))]
    actual = random.integers(0, 2, 500)
    found = pairs(*(one.argmax(axis=1) for one in sure), actual, probabilities=sure)
    for metric, worst in (("log_loss", None), ("log_loss", 0.5), ("accuracy", None)):
        losses = [part.losses(metric) for part in (found.one, found.other)]
        losses = [np.minimum(loss, worst) if worst else loss for loss in losses]
        assert (np.abs(losses[0] - losses[1]) <= gap(metric, found, worst) + 1e-9).all()


def test_labels_that_were_asked_for_with_several_chances_are_thinned_to_the_least():
    rows = np.zeros(20_000, int)
    asked = np.where(np.arange(20_000) % 2, 0.2, 0.8)
    found = pairs(rows, rows, rows, asked=asked)
    known = lots(found.one.row_ids) < asked
    kept = evenly(replace(found, known=known), known)
    assert (asked[kept] == 0.2).mean() == pytest.approx(0.5, abs=0.02)
    assert (lots(found.one.row_ids[kept]) < 0.2).all()


def test_labels_that_were_asked_for_where_the_two_differ_do_not_move_the_difference():
    """All rows that differ are asked for, and none of the others: their mean would say five times as much."""
    random = np.random.default_rng(10)
    found = classes(random, 4000, 0.0, differ=0.2)
    differ = found.one.predicted != found.other.predicted
    asked = replace(found, known=differ, asked=np.where(differ, 1.0, np.nan))
    gain = difference("accuracy", asked, MARGIN, None)
    right = [(part.predicted == part.actual).mean() for part in (found.one, found.other)]
    assert gain.value == pytest.approx(right[0] - right[1])


def test_a_metric_that_is_no_mean_is_looked_at_when_so_many_labels_have_come_and_not_with_asked_ones():
    found = classes(np.random.default_rng(11), 400, 0.1)
    few = replace(found, known=np.arange(400) < looks.FIRST - 1)
    assert difference("f1_macro", few, MARGIN, None) is None
    first = difference("f1_macro", replace(found, known=np.arange(400) < looks.FIRST + 5), MARGIN, None)
    assert first.rows == looks.FIRST
    assert first == difference("f1_macro", replace(found, known=np.arange(400) < looks.FIRST + 9), MARGIN, None)
    assert difference("f1_macro", replace(found, asked=np.full(400, 0.5)), MARGIN, None) is None


def test_all_looks_together_spend_five_per_cent_at_each_end():
    numbers = range(1, 2000)
    assert sum(map(looks.alpha_of, numbers)) == pytest.approx(0.05, rel=1e-3)
    assert all(looks.reached(looks.rows_of(one)) == (one, looks.rows_of(one)) for one in range(1, 20))
