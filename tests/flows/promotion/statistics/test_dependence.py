"""Rows that fail together count as fewer, and never narrow an interval."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.promotion.statistics import dependence, resampling
from flows.promotion.statistics import gain as module
from flows.promotion.statistics.dependence import Dependence, block_length, effective
from flows.promotion.statistics.gain import gain
from pipelines.model.metrics import METRICS, Answers

quick = settings(max_examples=12, deadline=None)


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch):
    """What is tested here holds for any number of them."""
    monkeypatch.setattr(resampling, "RESAMPLES", 100)
    monkeypatch.setattr(module, "SHOWN", 60)


def pair(metric: str, seed: int, rows: int = 60) -> tuple[Answers, Answers]:
    """Two models that err, each by itself."""
    random = np.random.default_rng(seed)
    if METRICS[metric].task == "regression":
        actual = random.normal(size=rows)
        return tuple(Answers(np.arange(rows), actual, actual + random.normal(size=rows), None, []) for _ in "ab")  # type: ignore[return-value]
    actual = random.integers(0, 2, rows)
    made = []
    for _ in "ab":
        chance = np.clip(0.5 + 0.3 * (actual - 0.5) + 0.3 * random.normal(size=rows), 0.01, 0.99)
        made.append(
            Answers(np.arange(rows), actual, (chance > 0.5) * 1, np.stack([1 - chance, chance], axis=1), [0, 1])
        )
    return made[0], made[1]


METRIC = st.sampled_from(["accuracy", "log_loss", "mean_absolute_error", "root_mean_squared_error", "roc_auc"])


@quick
@given(METRIC, st.integers(0, 100), st.integers(2, 40))
def test_grouping_rows_never_narrows_the_interval(metric, seed, groups):
    one, other = pair(metric, seed)
    alone = gain(metric, one, other)
    labels = np.random.default_rng(seed).integers(0, groups, len(one.actual))
    together = gain(metric, one, other, depends=Dependence(groups=labels))
    assert alone is not None
    if together is not None:
        assert together.low <= alone.low + 1e-12
        assert together.high >= alone.high - 1e-12
        assert together.effective <= alone.effective + 1e-9


@quick
@given(METRIC, st.integers(0, 100), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(metric, seed, shuffle):
    one, other = pair(metric, seed)
    order = list(range(len(one.actual)))
    shuffle.shuffle(order)
    labels = np.arange(len(one.actual)) // 4
    here = gain(metric, one, other, depends=Dependence(groups=labels))
    there = gain(
        metric, one.take(np.array(order)), other.take(np.array(order)), depends=Dependence(groups=labels[order])
    )
    assert here is not None
    assert there is not None
    assert (there.value, there.effective) == pytest.approx((here.value, here.effective))
    assert there.low == pytest.approx(here.low, abs=0.6 * (here.value - here.low))  # other resamples


def test_rows_that_are_copies_of_one_count_as_one():
    one, other = pair("accuracy", 1, 50)
    copies = np.repeat(np.arange(50), 20)
    single = gain("accuracy", one, other)
    many = gain("accuracy", one.take(copies), other.take(copies), depends=Dependence(groups=copies))
    assert single is not None
    assert many is not None
    assert many.effective == 50
    assert (many.value, many.low) == pytest.approx((single.value, single.low), abs=0.02)


def test_groups_of_different_size_count_as_fewer():
    assert effective(np.repeat([0, 1, 2, 3], 5), 20) == 4
    assert effective(np.repeat([0, 1, 2, 3], [17, 1, 1, 1]), 20) == pytest.approx(400 / 292)
    assert effective(None, 7) == 7


def errors(rows: int, keeps: float, seed: int) -> np.ndarray:
    """A first-order autoregression."""
    random, found = np.random.default_rng(seed), np.zeros(rows)
    for number in range(1, rows):
        found[number] = keeps * found[number - 1] + random.normal()
    return found


def test_blocks_are_longer_where_errors_stay_alike_for_longer():
    lengths = [
        np.median([block_length(errors(2000, keeps, seed)) for seed in range(9)]) for keeps in (0, 0.5, 0.8, 0.97)
    ]
    assert lengths == sorted(lengths)
    assert lengths[0] == 1
    assert 18 <= lengths[2] <= 45  # three times (1 + 0.8) / (1 - 0.8)


def test_time_order_is_respected():
    """The same errors in another order of time are not the same evidence."""
    series = errors(400, 0.9, 3)
    times = np.arange(400)
    blocks = Dependence(times=times).clusters(series)
    assert blocks is not None
    assert (np.diff(blocks) >= 0).all()
    order = np.random.default_rng(0).permutation(400)
    again = Dependence(times=times[order]).clusters(series[order])
    assert again is not None
    np.testing.assert_array_equal(again, blocks[order])
    assert Dependence(times=times).clusters(series[order]) is None  # shuffled, they depend on nothing


def test_series_at_the_same_instant_stay_together():
    times = np.tile(np.arange(100), 3)
    found = Dependence(times=times).clusters(np.random.default_rng(0).normal(size=300))
    assert found is not None
    assert len(np.unique(found)) == 100


@pytest.mark.parametrize("series", [np.zeros(50), np.ones(2), np.arange(2.0)])
def test_a_series_without_anything_to_see_is_no_block(series):
    assert block_length(series) == 1


def test_independent_rows_are_left_alone():
    assert dependence.INDEPENDENT.clusters(np.arange(5.0)) is None


@pytest.mark.parametrize(("count", "hides"), [(5, True), (6, False)])
def test_where_enough_clusters_all_differ_no_kind_of_row_is_unseen(count, hides):
    """Few observations are what Student's t is for: a bound by the largest error closed the gate for short series."""
    random, groups = np.random.default_rng(count), np.repeat(np.arange(count), 10)
    actual = np.zeros(len(groups))
    one, other = (
        Answers(np.arange(len(groups)), actual, 1 + 0.01 * random.normal(size=len(groups)), None, []) for _ in "ab"
    )
    found = gain("mean_absolute_error", one, other, depends=Dependence(groups=groups))
    assert (found.high - found.low > 0.5) == hides
    alike = groups == 0  # one cluster in which both err alike
    same = Answers(other.row_ids, actual, np.where(alike, one.predicted, other.predicted), None, [])
    rare = gain("mean_absolute_error", one, same, depends=Dependence(groups=groups))
    assert rare.high - rare.low > 0.5
