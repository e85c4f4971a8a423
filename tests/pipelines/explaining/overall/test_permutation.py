"""Importance by shuffling: who uses a column is told so, copies share, and what was learned of nothing is nothing."""

from itertools import pairwise

import numpy as np
import pytest

from pipelines.explaining.columns import Column
from pipelines.explaining.overall import groups, permutation, series
from pipelines.explaining.overall.judge import Judge
from pipelines.model.metrics import METRICS

A, B, C = (Column(name, "numbers", place) for place, name in enumerate("abc"))


def table(rows=400, seed=0):
    return {"numbers": np.random.default_rng(seed).normal(size=(rows, 3))}


def judged(arrays, actual, answers, chosen, metric="mean_absolute_error", classes=(), times=10):
    judge = Judge(METRICS[metric], np.asarray(actual), list(classes))
    return permutation.importance(answers, arrays, chosen, judge, permutation.shuffles(arrays, times, 0))


def number(values):
    return np.asarray(values, np.float32)[:, None]


def test_a_model_that_uses_one_column_names_that_column():
    arrays = table()
    actual = arrays["numbers"][:, 1]
    found = [judged(arrays, actual, lambda rows: number(rows["numbers"][:, 1]), [column]) for column in (A, B, C)]
    # the mean distance of two independent normal values is 2 / sqrt(pi)
    assert found[1].low < 2 / np.sqrt(np.pi) < found[1].high
    assert found[1].low > 0.9
    assert [(one.mean, one.low, one.high) for one in (found[0], found[2])] == [(0, 0, 0)] * 2


def test_a_planted_copy_shares_and_the_group_has_it_all():
    arrays = table()
    arrays["numbers"][:, 1] = arrays["numbers"][:, 0]
    (group,) = groups.groups(arrays, [A, B, C])
    assert group == [A, B]

    def answers(rows):
        return number(rows["numbers"][:, :2].mean(axis=1))

    alone, copy, both = (judged(arrays, arrays["numbers"][:, 0], answers, chosen).mean for chosen in ([A], [B], group))
    assert alone == pytest.approx(copy, rel=0.1)
    assert both == pytest.approx(2 * alone, rel=0.05)


@pytest.mark.parametrize("metric", ["accuracy", "log_loss", "roc_auc", "f1_macro"])
def test_every_metric_says_more_is_worse(metric):
    arrays = table()
    actual = np.where(arrays["numbers"][:, 2] > 0, "yes", "no")

    def answers(rows):
        yes = 1 / (1 + np.exp(-3 * rows["numbers"][:, 2]))
        return np.column_stack([1 - yes, yes]).astype(np.float32)

    used, unused = (judged(arrays, actual, answers, [one], metric, ["no", "yes"], 4) for one in (C, A))
    assert 0 < used.low < used.mean < used.high
    assert (unused.mean, unused.low, unused.high) == (0, 0, 0)


def test_an_interval_holds_what_many_rows_say_about_as_often_as_it_claims():
    """Of an answer that is partly wrong, on 60 rows at a time."""

    def answers(rows):
        return number(rows["numbers"][:, 0] + rows["numbers"][:, 1])

    def of(rows, seed, times):
        arrays = table(rows, seed)
        noise = np.random.default_rng(seed + 1).normal(size=rows)
        return judged(arrays, arrays["numbers"][:, 0] + noise, answers, [A], times=times)

    truth = of(40_000, 12_345, 2).mean
    inside = [one.low < truth < one.high for one in (of(60, seed, 3) for seed in range(0, 120, 2))]
    assert np.mean(inside) >= 0.85


def test_a_metric_without_a_value_on_some_of_the_rows_has_no_interval():
    arrays = table(8)
    actual = np.array(["yes"] + ["no"] * 7)

    def answers(rows):
        return np.tile(np.float32([0.5, 0.5]), (len(rows["numbers"]), 1))

    found = judged(arrays, actual, answers, [A], "roc_auc", ["no", "yes"])
    assert (found.mean, found.low, found.high) == (0, None, None)
    assert judged(table(3), np.zeros(3), lambda rows: number(rows["numbers"][:, 0]), [A]).low is None


def test_a_series_names_the_right_lag():
    random = np.random.default_rng(0)
    arrays = {
        "past_numbers": random.normal(size=(300, 6, 2)),
        "past_categories": random.choice(["x", "y"], (300, 6, 1)).astype(object),
    }
    actual = arrays["past_numbers"][:, 6 - 4, 1]  # four steps before the forecast begins
    judge = Judge(METRICS["mean_absolute_error"], actual, [])
    orders = permutation.shuffles(arrays, 3, 0)

    def answers(rows):
        return number(rows["past_numbers"][:, 2, 1])

    found = list(series.steps(answers, arrays, 6, 24, judge, orders))
    assert [(first, last) for first, last, _ in found] == [(step, step) for step in range(1, 7)]
    assert [first for first, _, worse in found if worse.low > 0.5] == [4]
    assert all(worse.mean == 0 for first, _, worse in found if first != 4)
    halves = list(series.steps(answers, arrays, 6, 2, judge, orders))
    assert [(first, last, worse.mean > 0) for first, last, worse in halves] == [(1, 3, False), (4, 6, True)]
    assert arrays["past_numbers"][:, 2, 1] is not actual
    np.testing.assert_array_equal(arrays["past_numbers"][:, 2, 1], actual)


def test_the_parts_of_a_window_are_all_of_it_once():
    for window in (1, 2, 7, 24, 25, 168, 100_000):
        found = series.parts(window)
        assert len(found) == min(window, series.MOST_PARTS)
        assert found[0][0] == 1
        assert found[-1][1] == window
        assert all(later[0] == earlier[1] + 1 for earlier, later in pairwise(found))
