"""Distillation: the loss is what Hinton et al. wrote down, and the target stays that of the row."""

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from pipelines.compressing import distill
from pipelines.model import networks
from pipelines.train import Train

pytestmark = pytest.mark.tensorflow


def test_the_loss_of_a_classification_is_that_of_the_labels_and_of_softer_answers(hardware):
    config, random = Train(hidden=[4]), np.random.default_rng(0)
    teacher = networks.network(config, (5,), 3, seed=1)
    lesson = distill.lesson(teacher, config, "classification", temperature=3.0, weight=0.25)
    x, labels = random.normal(size=(2000, 5)).astype(np.float32), random.integers(0, 3, 2000)
    rows, both = lesson.prepare(lambda arrays, target: (arrays["x"], target))({"x": x}, labels)
    assert rows is x
    known, mine = np.asarray(teacher(x)), random.normal(size=(2000, 3)).astype(np.float32)
    np.testing.assert_allclose(both, np.concatenate([np.eye(3)[labels], known], axis=1), atol=1e-6)
    hard = -log_softmax(mine, axis=1)[np.arange(2000), labels]
    soft = -(softmax(np.log(known) / 3, axis=1) * log_softmax(mine / 3, axis=1)).sum(axis=1)
    found = np.asarray(lesson.loss(both, softmax(mine, axis=1)))
    np.testing.assert_allclose(found, 0.75 * hard + 0.25 * 9 * soft, rtol=1e-4)
    right = np.asarray(lesson.metric(both, softmax(mine, axis=1)))
    assert right.tolist() == (mine.argmax(axis=1) == labels).tolist()
    assert lesson.metric.__name__ == "accuracy"


def test_a_number_is_learned_from_the_label_and_from_the_answer(hardware):
    config, random = Train(hidden=[4], loss="mean_absolute_error"), np.random.default_rng(0)
    teacher = networks.network(config, (5,), 1, seed=1)
    lesson = distill.lesson(teacher, config, "regression", temperature=3.0, weight=0.25)
    x, target = random.normal(size=(50, 5)).astype(np.float32), random.normal(size=50).astype(np.float32)
    weight = np.ones(50, np.float32)
    _, both, passed = lesson.prepare(lambda arrays, target: (arrays["x"], target, weight))({"x": x}, target)
    assert passed is weight
    mine, known = random.normal(size=(50, 1)).astype(np.float32), np.asarray(teacher(x))
    expected = 0.75 * np.abs(mine[:, 0] - target) + 0.25 * np.abs(mine[:, 0] - known[:, 0])
    np.testing.assert_allclose(np.asarray(lesson.loss(both, mine)), expected, rtol=1e-5)
    np.testing.assert_allclose(np.asarray(lesson.metric(both, mine)), np.abs(mine[:, 0] - target), rtol=1e-5)
