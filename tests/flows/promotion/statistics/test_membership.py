"""Membership: rows that a model never saw look alike, rows that it learned by heart do not; the interval covers."""

import numpy as np
import pytest

from flows.promotion.statistics import membership
from pipelines.model.metrics import Answers


def test_of_exchangeable_rows_the_interval_covers_nothing_as_often_as_it_says():
    random = np.random.default_rng(3)
    runs = [membership.measured(random.gamma(1, 1, 400), random.gamma(1, 1, 200)) for _ in range(1000)]
    covered = np.mean([found.low <= 0 <= found.high for found in runs])
    assert 0.93 < covered < 0.98
    assert abs(np.mean([found.auc for found in runs]) - 0.5) < 0.005
    assert "nothing that this test could see" in runs[0].said or runs[0].low > 0


def test_rows_learned_by_heart_are_told_apart():
    random = np.random.default_rng(3)
    found = membership.measured(random.gamma(1, 0.1, 400), random.gamma(1, 2.0, 200))
    truth = (1 - np.exp(-1)) - (1 - np.exp(-0.05))  # at the mean of the first: shares of two exponentials
    assert found.low < truth < found.high
    assert found.low > 0.4
    assert found.auc == pytest.approx(2.0 / 2.1, abs=0.03)
    assert "points more often than of other rows, on 200 rows of each kind" in found.said


def test_the_auc_is_that_of_scikit_learn_ties_included():
    from sklearn.metrics import roc_auc_score

    random = np.random.default_rng(3)
    seen, unseen = random.integers(0, 9, 100).astype(float), random.integers(0, 12, 50).astype(float)
    found = membership.measured(seen, unseen)
    guess = np.concatenate([-seen[50:], -unseen])
    assert found.auc == pytest.approx(roc_auc_score([1] * 50 + [0] * 50, guess))


def test_of_a_few_rows_nothing_is_said():
    assert membership.measured(np.ones(200), np.ones(19)) is None
    assert membership.measured(np.ones(39), np.ones(200)) is not None
    assert membership.measured(np.ones(37), np.ones(200)) is None


def test_the_loss_of_a_row_is_that_of_its_true_class_or_its_error():
    shares = np.array([[0.9, 0.1], [0.2, 0.8]])
    answers = Answers(np.arange(2), np.array(["cat", "cat"]), np.array(["cat", "dog"]), shares, ["cat", "dog"])
    assert membership.losses(answers) == pytest.approx(-np.log([0.9, 0.2]))
    numbers = Answers(np.arange(2), np.array([1.0, 2.0]), np.array([1.5, 0.0]), None, [])
    assert membership.losses(numbers).tolist() == [0.5, 2.0]
