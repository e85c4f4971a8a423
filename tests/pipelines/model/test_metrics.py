"""Metrics: scikit-learn's values, and which way is better."""

import numpy as np
import pytest
from sklearn import metrics

from pipelines.model.metrics import METRICS, Answers

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(60, 3))
PROBABILITIES = (np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)).astype(np.float32)
ACTUAL, PREDICTED = RANDOM.integers(0, 3, 60), PROBABILITIES.argmax(axis=1)
PAIR = PROBABILITIES[:, :2] / PROBABILITIES[:, :2].sum(axis=1, keepdims=True)
NUMBERS, GUESSES = RANDOM.normal(size=60), RANDOM.normal(size=60)

EXPECTED = {
    "accuracy": metrics.accuracy_score(ACTUAL, PREDICTED),
    "balanced_accuracy": metrics.balanced_accuracy_score(ACTUAL, PREDICTED),
    "f1_macro": metrics.f1_score(ACTUAL, PREDICTED, average="macro"),
    "log_loss": -np.log(PROBABILITIES[np.arange(60), ACTUAL]).mean(),
    "roc_auc": np.mean([metrics.roc_auc_score(k == ACTUAL, PROBABILITIES[:, k]) for k in range(3)]),
    "mean_absolute_error": np.abs(NUMBERS - GUESSES).mean(),
    "root_mean_squared_error": np.sqrt(((NUMBERS - GUESSES) ** 2).mean()),
    "r2": 1 - ((NUMBERS - GUESSES) ** 2).sum() / ((NUMBERS - NUMBERS.mean()) ** 2).sum(),
}


@pytest.mark.parametrize("name", METRICS)
def test_a_metric_has_its_textbook_value(name):
    if METRICS[name].task == "classification":
        found = METRICS[name].score(ACTUAL, PREDICTED, PROBABILITIES, [0, 1, 2])
    else:
        found = METRICS[name].score(NUMBERS, GUESSES, None, [])
    assert found == pytest.approx(EXPECTED[name], rel=1e-5)


@pytest.mark.parametrize("values", [1, 7, 59, 60, 179, 180, 181])
@pytest.mark.parametrize("name", METRICS)
def test_a_score_does_not_depend_on_how_many_rows_are_scored_at_once(name, values, monkeypatch):
    monkeypatch.setattr("pipelines.model.metric.PART_VALUES", values)
    test_a_metric_has_its_textbook_value(name)


@pytest.mark.parametrize("name", METRICS)
def test_a_perfect_prediction_is_better_in_the_direction_that_is_told(name):
    metric = METRICS[name]
    if metric.task == "classification":
        perfect = metric.score(ACTUAL, ACTUAL, np.eye(3, dtype=np.float32)[ACTUAL], [0, 1, 2])
    else:
        perfect = metric.score(NUMBERS, NUMBERS, None, [])
    assert (perfect > EXPECTED[name]) == metric.greater_is_better


@pytest.mark.parametrize("labels", [[0, 1], ["benign", "malignant"], ["yes", "no"]])
def test_two_classes_of_any_label_score_the_second_of_the_sorted(labels):
    classes = sorted(labels)
    actual = np.array(classes)[(PAIR[:, 1] + RANDOM.normal(scale=0.3, size=60) > 0.5).astype(int)]
    found = METRICS["roc_auc"].score(actual, actual, PAIR, classes)
    assert found == pytest.approx(metrics.roc_auc_score(actual == classes[1], PAIR[:, 1]))
    assert found > 0.7


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.loss])
def test_the_mean_of_the_row_losses_is_the_metric(name):
    classify = METRICS[name].task == "classification"
    found = (
        Answers(np.arange(60), ACTUAL, PREDICTED, PROBABILITIES, [0, 1, 2])
        if classify
        else Answers(np.arange(60), NUMBERS, GUESSES, None, [])
    )
    mean = found.losses(name).mean()
    assert found.score(name) == pytest.approx(1 - mean if METRICS[name].greater_is_better else mean)
