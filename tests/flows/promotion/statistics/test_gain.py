"""The gain: mirrored when the two are swapped, never for the same model, and wide enough where few rows differ."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from flows.promotion.statistics import resampling
from flows.promotion.statistics.gain import gain
from flows.promotion.statistics.resampling import ALPHA, RESAMPLES
from pipelines.errors import IntegrityError
from pipelines.model.metrics import METRICS, Answers

CLASSES = ["cat", "dog", "emu"]
quick = settings(max_examples=25, deadline=None)


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch):
    """What is tested here holds for any number of them, and scikit-learn takes a millisecond for each."""
    monkeypatch.setattr(resampling, "RESAMPLES", 50)


def test_there_are_enough_resamples():
    assert RESAMPLES >= 2000


def classified(seed: int, rows: int = 60, skill: float = 1.0, truth: int = 0) -> Answers:
    """Random answers about random animals."""
    actual = np.random.default_rng(truth).integers(0, 3, rows)
    logits = np.random.default_rng([seed, 1]).normal(size=(rows, 3)) + skill * np.eye(3)[actual]
    chance = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    names = np.array(CLASSES)
    return Answers(np.arange(rows), names[actual], names[chance.argmax(axis=1)], chance, CLASSES)


def measured(seed: int, rows: int = 60, error: float = 1.0, truth: int = 0) -> Answers:
    """Random answers about random numbers."""
    actual = np.random.default_rng(truth).normal(size=rows)
    return Answers(
        np.arange(rows), actual, actual + error * np.random.default_rng([seed, 2]).normal(size=rows), None, []
    )


def answers(metric: str, seed: int) -> Answers:
    return classified(seed) if METRICS[metric].task == "classification" else measured(seed)


def labels(right: np.ndarray) -> Answers:
    return Answers(np.arange(len(right)), np.ones(len(right), int), right.astype(int), None, [0, 1])


MEANS = [name for name, metric in METRICS.items() if metric.loss]


@pytest.mark.parametrize("metric", METRICS)
def test_it_is_the_difference_of_the_two_scores(metric):
    one, other = answers(metric, 1), answers(metric, 2)
    found = gain(metric, one, other)
    sign = 1 if METRICS[metric].greater_is_better else -1
    assert found.value == pytest.approx(sign * (one.score(metric) - other.score(metric)))
    assert found.low < found.value < found.high
    assert found.rows == 60


@pytest.mark.parametrize("metric", METRICS)
def test_swapping_the_two_mirrors_it(metric):
    one, other = answers(metric, 3), answers(metric, 4)
    found, mirrored = gain(metric, one, other), gain(metric, other, one)
    assert mirrored.value == pytest.approx(-found.value)
    assert (mirrored.low, mirrored.high) == (pytest.approx(-found.high), pytest.approx(-found.low))


@quick
@given(st.sampled_from(MEANS), st.integers(0, 10**6), st.integers(0, 10**6))
def test_swapping_mirrors_the_verdicts(metric, first, second):
    found = gain(metric, answers(metric, first), answers(metric, second))
    mirrored = gain(metric, answers(metric, second), answers(metric, first))
    assert (found.better, found.worse) == (mirrored.worse, mirrored.better)
    assert not (found.better and found.worse)


@pytest.mark.parametrize("metric", METRICS)
def test_the_same_model_is_neither_better_nor_worse_and_the_interval_has_a_width(metric):
    found = gain(metric, answers(metric, 5), answers(metric, 5))
    assert found.value == 0
    assert found.low < 0 < found.high
    assert not found.not_worse(0)


@quick
@given(st.integers(0, 10**6), st.integers(0, 10**6), st.floats(0, 3), st.floats(0, 2))
def test_a_constant_loss_more_never_helps(first, second, constant, margin):
    one, other = measured(first), measured(second)
    away = np.where(one.predicted >= one.actual, constant, -constant)
    burdened = Answers(one.row_ids, one.actual, one.predicted + away, None, [])
    before, after = (gain("mean_absolute_error", it, other) for it in (one, burdened))
    assert after.value <= before.value + 1e-12
    assert before.better or not after.better
    assert before.not_worse(margin) or not after.not_worse(margin)


def test_a_model_that_is_right_more_often_is_better():
    rows = np.arange(400)
    found = gain("accuracy", labels(rows >= 10), labels(rows >= 60))
    assert found.better
    assert found.value == pytest.approx(0.125)


@pytest.mark.parametrize("rows", [10, 100, 360, 10_000])
def test_no_disagreement_still_allows_what_was_not_seen(rows):
    found = gain("accuracy", labels(np.ones(rows)), labels(np.ones(rows)))
    assert -found.low == found.high == pytest.approx(1 - ALPHA ** (1 / rows))
    assert found.high == pytest.approx(3.69 / rows, rel=0.2)


@pytest.mark.parametrize(("rows", "margin"), [(100, 0.02), (100, 0.05), (360, 0.01)])
def test_worse_than_the_margin_passes_at_most_five_times_of_a_hundred_however_the_two_disagree(rows, margin):
    """Not simulated: every outcome of (rows lost, rows won) with its probability."""
    most = 14
    passes = np.zeros((most, most), bool)
    for lost in range(most):
        for won in range(most):
            one, other = np.ones(rows), np.ones(rows)
            one[:lost], other[lost : lost + won] = 0, 0
            passes[lost, won] = gain("accuracy", labels(one), labels(other)).not_worse(margin)
    lost, won = np.arange(most), np.arange(most)
    for share in (0, 0.002, 0.005, 0.01, 0.02):  # won by chance; as much and the margin is lost
        chance = binom.pmf(lost, rows, share + margin)[:, None]
        chance = chance * binom.pmf(won[None, :], rows - lost[:, None], share / (1 - share - margin))
        assert (chance * passes).sum() <= 0.05


def test_scores_on_different_rows_are_never_compared():
    one, other = labels(np.ones(20)), labels(np.ones(20))
    moved = Answers(other.row_ids[::-1], other.actual, other.predicted, None, other.classes)
    with pytest.raises(IntegrityError, match="different rows, so they cannot be compared"):
        gain("accuracy", one, moved)
    with pytest.raises(IntegrityError, match="different rows"):
        gain("accuracy", one.take(np.arange(19)), other)


@pytest.mark.parametrize("metric", ["roc_auc", "f1_macro", "balanced_accuracy", "r2"])
def test_rows_of_one_kind_are_no_evidence(metric):
    one, other = answers(metric, 1), answers(metric, 2)
    same = one.actual == one.actual[0]
    assert METRICS[metric].task == "regression" or gain("roc_auc", one.take(same), other.take(same)) is None
    assert gain(metric, one.take(np.arange(1)), other.take(np.arange(1))) is None


@pytest.mark.parametrize("metric", METRICS)
def test_it_is_the_same_every_time(metric):
    assert gain(metric, answers(metric, 6), answers(metric, 7)) == gain(metric, answers(metric, 6), answers(metric, 7))


def test_a_smaller_alpha_widens_it():
    one, other = classified(1), classified(2)
    wide, narrow = gain("accuracy", one, other, 0.001), gain("accuracy", one, other)
    assert wide.low < narrow.low < narrow.high < wide.high


@quick
@given(st.integers(0, 1000), st.integers(0, 1000))
def test_the_rows_it_asks_for_would_decide(first, second):
    found = gain("accuracy", classified(first), classified(second))
    needed = found.rows_to_decide()
    assert needed >= found.rows
    assert needed > found.rows or found.better or found.worse or 0 in (found.low, found.high)


@pytest.mark.parametrize("metric", ["roc_auc", "balanced_accuracy", "root_mean_squared_error", "r2"])
@pytest.mark.parametrize("digits", [1, 7], ids=["with ties", "hardly any ties"])
def test_many_resamples_at_once_score_as_each_by_itself(metric, digits):
    random = np.random.default_rng(5)
    actual = random.permutation(np.repeat([0, 1], [12, 9]))
    chances = np.round(np.clip(random.normal(0.4 + 0.2 * actual, 0.3), 0, 1), digits).astype(np.float32)
    both = None if METRICS[metric].task == "regression" else np.stack([1 - chances, chances], axis=1)
    answers = Answers(np.arange(21), actual, (chances > 0.5).astype(int), both, [0, 1])
    groups = resampling.strata(metric, answers)
    chosen = [random.choice(rows, (50, len(rows))) for rows in groups]
    found = resampling.scores(metric, answers)(*chosen, axis=-1)
    expected = [answers.take(np.concatenate(rows)).score(metric) for rows in zip(*chosen, strict=True)]
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("metric", ["roc_auc", "balanced_accuracy", "f1_macro"])
def test_rows_of_one_class_have_no_gain(metric):
    rows = np.arange(40)
    chance = np.linspace(0.1, 0.9, 40)
    both = np.stack([1 - chance, chance], axis=1)
    made = Answers(rows, np.zeros(40, int), (chance > 0.5) * 1, both, [0, 1])
    assert gain(metric, made, made) is None


def test_the_many_rows_of_one_class_say_nothing_about_the_few_of_another():
    """Fourteen positives that nobody errs on: a candidate could still lose one in four of what is to come."""
    actual = np.repeat([1, 0], [14, 686])
    right, other = actual.copy(), actual.copy()
    right[20:60] = 1  # forty negatives that they answer differently
    other[60:100] = 1
    one, two = (Answers(np.arange(700), actual, found, None, [0, 1]) for found in (right, other))
    found = gain("balanced_accuracy", one, two)
    assert found is not None
    assert found.low < -0.1
