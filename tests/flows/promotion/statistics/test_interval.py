"""The interval of one model's metric: it holds the value, and misses the truth as seldom as it says."""

import math

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics

from flows.promotion.statistics import interval as module
from flows.promotion.statistics.interval import interval
from pipelines.model.metrics import METRICS, Answers
from tests.flows.compare.test_compare import IDS, predictions


@pytest.fixture(autouse=True)
def fewer_resamples(monkeypatch):
    """What is tested here holds for any number of them, and scikit-learn takes a millisecond for each."""
    monkeypatch.setattr(module, "SHOWN", 100)


def answers(wrong: int, rows: int = 60) -> Answers:
    return Answers.read(predictions(IDS[:rows], wrong), "text")


def test_the_interval_of_an_accuracy_is_that_of_a_proportion():
    found = interval("accuracy", answers(6))
    exact = binomtest(54, 60).proportion_ci(0.95, method="exact")
    assert (found.value, found.low, found.high) == pytest.approx((0.9, exact.low, exact.high))


@pytest.mark.parametrize("metric", [name for name, about in METRICS.items() if about.task == "classification"])
@pytest.mark.parametrize("wrong", [0, 1, 20])
def test_an_interval_holds_its_value_has_a_width_and_stays_within_what_is_possible(metric, wrong):
    """Also of a model that makes no mistake: with 60 rows nobody knows that it makes none."""
    found = interval(metric, answers(wrong))
    assert found.value == pytest.approx(answers(wrong).score(metric))
    assert found.low < found.high
    assert 0 <= found.low <= found.value <= found.high <= (1 if METRICS[metric].greater_is_better else math.inf)


@pytest.mark.parametrize("metric", ["mean_absolute_error", "log_loss"])
def test_the_interval_of_a_mean_misses_the_truth_about_five_times_of_a_hundred(metric):
    missed = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        if metric == "log_loss":
            chance = random.uniform(0.5, 0.95, 80)
            actual = np.where(random.random(80) < chance, 0, 1)
            given = np.column_stack([chance, 1 - chance])
            truth, found = 0.5227, Answers(np.arange(80), actual, np.zeros(80, int), given, [0, 1])
        else:
            noise = random.normal(size=80)
            truth, found = math.sqrt(2 / math.pi), Answers(np.arange(80), noise, np.zeros(80), None, [])
        one = interval(metric, found)
        missed += not one.low <= truth <= one.high
    assert missed <= 20  # 5 of 100, and what 200 tries may add to it


@pytest.mark.parametrize("metric", ["accuracy", "roc_auc"])
def test_rows_that_are_too_few_have_no_interval(metric):
    assert interval(metric, answers(0, rows=1)) is None


def test_the_roc_auc_is_that_of_sklearn():
    table = predictions(IDS[:60], 6)
    expected = metrics.roc_auc_score(table["actual"] == "dog", table["probability_dog"])
    assert interval("roc_auc", answers(6)).value == pytest.approx(expected)
