"""Counterfactual: the change is the smallest one, of values that other rows have, and one column goes before two."""

from itertools import product

import numpy as np
import pytest

from pipelines.explaining import counterfactual
from pipelines.explaining.columns import Column, columns

ABOUT = {"kind": "table", "numbers": ["age", "pay"], "categories": ["plan"], "dates": ["since"]}
COLUMNS = columns(ABOUT)
AGE, PAY, PLAN, SINCE = COLUMNS
RANDOM = np.random.default_rng(0)
OTHERS = {
    "numbers": np.column_stack([RANDOM.integers(18, 80, 150), RANDOM.normal(50, 10, 150)]).astype(np.float64),
    "categories": RANDOM.choice(["basic", "full", ""], (150, 1)).astype(object),
    "dates": RANDOM.uniform(0, 1e9, (150, 1)),
}
SPREAD = OTHERS["numbers"].std(axis=0)


def row(age: float = 30, pay: float = 50.0, plan: str = "basic", since: float = 5e8):
    return {
        "numbers": np.array([[age, pay]]),
        "categories": np.array([[plan]], object),
        "dates": np.array([[since]]),
    }


def classes(score):
    """A model of two classes: the second one where `score` of the arrays is above 0."""
    return lambda arrays: np.stack([-score(arrays), score(arrays)], axis=1).astype(np.float32)


def test_the_change_is_the_nearest_value_of_other_rows_beyond_the_edge():
    found = counterfactual.smallest(classes(lambda arrays: arrays["numbers"][:, 0] - 41.5), row(), OTHERS, COLUMNS)
    ages = OTHERS["numbers"][:, 0]
    (change,) = found.changes
    assert (change.column, change.before, change.after) == (AGE, 30, ages[ages > 41.5].min())
    assert found.cost == pytest.approx((change.after - 30) / SPREAD[0])
    assert found.answer.argmax() == 1


def test_one_column_is_preferred_to_a_cheaper_pair():
    def score(arrays):
        age, pay = ((arrays["numbers"] - [30, 50]) / SPREAD).T
        return np.maximum(age - 2.5, np.minimum(age, pay) - 0.1)

    (change,) = counterfactual.smallest(classes(score), row(), OTHERS, COLUMNS).changes
    assert change.column == AGE


def test_two_columns_change_where_no_one_does_and_no_pair_of_values_is_cheaper():
    def score(arrays):
        age, pay = ((arrays["numbers"] - [30, 50]) / SPREAD).T
        return np.minimum(age, pay) - 0.4

    found = counterfactual.smallest(classes(score), row(), OTHERS, COLUMNS)
    assert [one.column for one in found.changes] == [AGE, PAY]
    ages, pays = (
        (np.unique(OTHERS["numbers"][:, place]) - start) / SPREAD[place] for place, start in ((0, 30), (1, 50))
    )
    costs = [one + other for one, other in product(ages, pays) if min(one, other) > 0.4]
    assert found.cost == pytest.approx(min(costs))


def test_a_word_is_one_that_other_rows_have_and_never_the_missing_one():
    found = counterfactual.smallest(
        classes(lambda arrays: (arrays["categories"][:, 0] != "basic") - 0.5), row(), OTHERS, COLUMNS
    )
    (change,) = found.changes
    assert (change.before, change.after, change.cost) == ("basic", "full", 1)


def test_a_missing_value_becomes_one_that_is_known():
    found = counterfactual.smallest(
        classes(lambda arrays: (arrays["numbers"][:, 0] > 50) - 0.5), row(age=np.nan), OTHERS, COLUMNS
    )
    (change,) = found.changes
    assert np.isnan(change.before)
    assert change.after in OTHERS["numbers"][:, 0]
    assert change.cost == 1


def test_a_column_that_may_not_change_stays_and_without_a_way_there_is_none():
    model = classes(lambda arrays: arrays["numbers"][:, 0] - 41.5)
    assert counterfactual.smallest(model, row(), OTHERS, [PAY, PLAN, SINCE]) is None
    assert counterfactual.smallest(model, row(), OTHERS, []) is None
    assert (
        counterfactual.smallest(classes(lambda arrays: np.full(len(arrays["dates"]), -1.0)), row(), OTHERS, COLUMNS)
        is None
    )


def test_a_number_moves_by_so_much_or_crosses_a_target():
    def model(arrays):
        return (2 * arrays["numbers"][:, :1]).astype(np.float32)

    ages = np.unique(OTHERS["numbers"][:, 0])
    (moved,) = counterfactual.smallest(model, row(age=40), OTHERS, COLUMNS, by=11).changes
    assert abs(moved.after - 40) == min(abs(age - 40) for age in ages if abs(age - 40) >= 5.5)
    (crossed,) = counterfactual.smallest(model, row(age=40), OTHERS, COLUMNS, target=120).changes
    assert crossed.after == ages[ages >= 60].min()


def test_of_a_series_the_last_step_changes():
    found = columns(
        {"kind": "sequence", "numbers": [], "categories": [], "past": {"numbers": ["warm"], "categories": []}}
    )
    assert found == [Column("warm", "past_numbers", 0)]
    others = {"past_numbers": np.arange(40, dtype=np.float64).reshape(10, 4, 1)}
    one = {"past_numbers": np.array([[[1.0], [2.0], [3.0], [3.0]]])}
    seen = []

    def model(arrays):
        seen.append(arrays["past_numbers"][..., 0])
        return arrays["past_numbers"].sum(axis=(1, 2))[:, None].astype(np.float32)

    (change,) = counterfactual.smallest(model, one, others, found, by=6).changes
    assert (change.before, change.after) == (3, 11)
    assert all((arrays[:, :3] == [1, 2, 3]).all() for arrays in seen)


def test_the_same_question_has_the_same_answer():
    model = classes(lambda arrays: np.abs(arrays["numbers"] - [30, 50]).sum(axis=1) - 15)
    first, second = (counterfactual.smallest(model, row(), OTHERS, COLUMNS) for _ in range(2))
    assert first.changes == second.changes
