"""Objective: each name in a model's YAML is Keras' own object, with the numbers that are declared."""

import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight

from pipelines.config import settings
from pipelines.errors import SettingsError
from pipelines.model import objective
from pipelines.model.objective import Objective

pytestmark = pytest.mark.usefixtures("hardware")

ANSWERS = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]])
TARGETS = np.array([0, 1])
APART = ANSWERS - np.eye(3)[TARGETS]
VALUES = {
    "cross_entropy": -np.log([0.7, 0.3]),
    "mean_squared_error": (APART**2).mean(axis=1),
    "mean_absolute_error": np.abs(APART).mean(axis=1),
    "huber": (APART**2 / 2).mean(axis=1),  # nothing is further apart than one
}


def test_every_loss_has_a_value_here():
    names = get_args(get_args(Objective.model_fields["loss"].annotation)[0])
    assert set(names) == set(VALUES)


@pytest.mark.parametrize("name", VALUES)
def test_a_loss_by_name_is_keras_own(name):
    import keras

    config = Objective(loss=name)
    target = np.eye(3)[TARGETS] if objective.one_hot(config) else TARGETS
    found = np.asarray(keras.losses.get(objective.loss(config, "classification"))(target, ANSWERS))
    np.testing.assert_allclose(found, VALUES[name], rtol=1e-6)


@pytest.mark.parametrize(
    ("task", "name", "one_hot"),
    [("classification", "sparse_categorical_crossentropy", False), ("regression", "mean_squared_error", None)],
)
def test_each_task_has_a_loss_of_its_own(task, name, one_hot):
    assert objective.loss(Objective(), task) == name
    assert one_hot is None or objective.one_hot(Objective()) == one_hot


def rate(config: Objective, step: int) -> float:
    """The learning rate after so many batches."""
    optimizer = objective.optimizer(config)
    optimizer.iterations.assign(step)
    return float(optimizer.learning_rate)


def test_an_optimizer_by_name_is_keras_own_and_its_other_numbers_are_keras_defaults():
    import keras

    for name, plain in (("adam", keras.optimizers.Adam(0.25)), ("sgd", keras.optimizers.SGD(0.25))):
        found = objective.optimizer(Objective(optimizer=name, learning_rate=0.25))
        assert type(found) is type(plain)
        assert found.get_config() == plain.get_config() | {"name": found.name}
        assert float(found.learning_rate) == 0.25


@pytest.mark.parametrize("name", ["adam", "sgd"])
def test_weight_decay_shrinks_a_weight_by_its_share_of_the_learning_rate(name):
    import keras

    weight = keras.Variable([2.0, -4.0])
    optimizer = objective.optimizer(Objective(optimizer=name, learning_rate=0.1, weight_decay=0.5))
    optimizer.apply([keras.ops.zeros(2)], [weight])
    np.testing.assert_allclose(weight, [2 * 0.95, -4 * 0.95], rtol=1e-6)
    assert objective.optimizer(Objective(optimizer=name)).weight_decay is None


def test_momentum_is_that_of_sgd():
    assert objective.optimizer(Objective(optimizer="sgd", momentum=0.75)).momentum == 0.75
    assert objective.optimizer(Objective(optimizer="sgd")).momentum == 0


def test_without_a_schedule_the_learning_rate_stays():
    assert [rate(Objective(learning_rate=0.125), step) for step in (0, 10**6)] == [0.125] * 2


STEPS = (0, 1, 4, 5, 9, 10, 11, 25)
FORMULAS: dict[str, tuple[dict[str, Any], Any]] = {
    "cosine": ({"by": "cosine", "decay_steps": 10}, lambda s: (1 + math.cos(math.pi * min(s, 10) / 10)) / 2),
    "cosine to a share": (
        {"by": "cosine", "decay_steps": 10, "alpha": 0.2},
        lambda s: 0.8 * (1 + math.cos(math.pi * min(s, 10) / 10)) / 2 + 0.2,
    ),
    "exponential": ({"by": "exponential", "decay_steps": 5, "decay_rate": 0.3}, lambda s: 0.3 ** (s / 5)),
    "exponential in steps": (
        {"by": "exponential", "decay_steps": 5, "decay_rate": 0.3, "staircase": True},
        lambda s: 0.3 ** (s // 5),
    ),
    "inverse time": ({"by": "inverse_time", "decay_steps": 5, "decay_rate": 0.3}, lambda s: 1 / (1 + 0.3 * s / 5)),
    "inverse time in steps": (
        {"by": "inverse_time", "decay_steps": 5, "decay_rate": 0.3, "staircase": True},
        lambda s: 1 / (1 + 0.3 * (s // 5)),
    ),
    "polynomial": (
        {"by": "polynomial", "decay_steps": 10, "end_learning_rate": 0.1},  # a fifth of the learning rate
        lambda s: 0.8 * (1 - min(s, 10) / 10) + 0.2,
    ),
    "polynomial of a power": (
        {"by": "polynomial", "decay_steps": 10, "end_learning_rate": 0.1, "power": 2.0},
        lambda s: 0.8 * (1 - min(s, 10) / 10) ** 2 + 0.2,
    ),
    "piecewise": (
        {"by": "piecewise", "boundaries": [4, 10], "values": [0.25, 0.05]},  # a half and a tenth of it
        lambda s: 1 if s <= 4 else 0.5 if s <= 10 else 0.1,
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_schedule_by_name_gives_the_learning_rate_of_its_formula(name):
    schedule, share = FORMULAS[name]
    config = settings.parse("pets", "train", {"learning_rate": 0.5, "learning_rate_schedule": schedule}, Objective)
    found = [rate(config, step) for step in STEPS]
    np.testing.assert_allclose(found, [0.5 * share(step) for step in STEPS], rtol=1e-5, atol=1e-8)


def test_every_schedule_has_a_formula_here():
    assert {schedule["by"] for schedule, _ in FORMULAS.values()} == set(objective.SCHEDULES)


def test_a_schedule_is_that_of_either_optimizer():
    schedule = {"by": "exponential", "decay_steps": 1, "decay_rate": 0.5}
    for name in ("adam", "sgd"):
        assert rate(Objective(optimizer=name, learning_rate=1.0, learning_rate_schedule=schedule), 3) == 0.125


PIECEWISE = {"by": "piecewise", "boundaries": [2, 4], "values": [0.1, 0.01]}
WRONG = [
    (
        {"learning_rate_schedule": {"by": "cosine", "decay_steps": 5}, "reduce_on_plateau": {"patience": 1}},
        "both set the learning rate: choose one",
    ),
    ({"momentum": 0.9}, "`momentum` belongs to optimizer sgd, not to adam"),
    ({"optimizer": "sgd", "momentum": 1}, "train.momentum: input should be less than 1"),
    ({"learning_rate_schedule": PIECEWISE | {"values": [0.1]}}, "`values` must have one number for each of them"),
    ({"learning_rate_schedule": PIECEWISE | {"boundaries": [4, 2]}}, "`boundaries` must rise"),
    ({"learning_rate_schedule": PIECEWISE | {"boundaries": [2, 2]}}, "`boundaries` must rise"),
    ({"learning_rate_schedule": PIECEWISE | {"boundaries": [], "values": []}}, "boundaries: list should have at least"),
    ({"learning_rate_schedule": {"by": "cosine", "decay_steps": 0}}, "decay_steps: input should be greater"),
    ({"reduce_on_plateau": {"patience": 1, "factor": 1}}, "reduce_on_plateau.factor: input should be less than 1"),
    ({"early_stopping": {}}, "train.early_stopping.patience is missing"),
    ({"loss": "hubert"}, "train.loss: input should be 'cross_entropy', 'mean_squared_error'"),
]


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_keys_that_contradict_each_other_are_refused(content, message):
    with pytest.raises(SettingsError) as caught:
        settings.parse("pets", "train", content, Objective)
    assert message in str(caught.value)


def test_the_piecewise_schedule_above_is_sound_otherwise():
    settings.parse("pets", "train", {"learning_rate_schedule": PIECEWISE}, Objective)


def test_rules_are_keras_callbacks_with_the_declared_numbers():
    config = Objective(
        early_stopping={"patience": 4, "min_delta": 0.25},
        reduce_on_plateau={"patience": 2, "factor": 0.5, "min_learning_rate": 0.125},
    )
    plateau, early = objective.rules(config)
    assert (type(plateau).__name__, type(early).__name__) == ("ReduceLROnPlateau", "EarlyStopping")
    assert (plateau.monitor, plateau.patience, plateau.factor, plateau.min_lr) == ("val_loss", 2, 0.5, 0.125)
    assert (early.monitor, early.patience, abs(early.min_delta)) == ("val_loss", 4, 0.25)
    assert early.restore_best_weights
    assert objective.rules(Objective()) == []


@given(st.lists(st.integers(1, 50), min_size=2, max_size=6))
def test_balanced_weights_are_those_of_scikit_learn(counts):
    target = np.repeat(np.arange(len(counts)), counts)
    expected = compute_class_weight("balanced", classes=np.arange(len(counts)), y=target)
    np.testing.assert_allclose(objective.balanced(counts), expected, rtol=1e-6)
