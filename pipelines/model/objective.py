"""The objective of a training: loss, class weights, optimizer, learning rate, and when to stop.

All of it is Keras' own, chosen by a name in the model's YAML.
"""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from pipelines.config.section import Section

SCHEDULES = {  # Keras' classes, by their names in a model's YAML
    "cosine": "CosineDecay",
    "exponential": "ExponentialDecay",
    "inverse_time": "InverseTimeDecay",
    "piecewise": "PiecewiseConstantDecay",
    "polynomial": "PolynomialDecay",
}
LOSSES = {"classification": "cross_entropy", "regression": "mean_squared_error"}  # if none is named


class EarlyStopping(Section):
    """The training ends when the validation loss has not fallen for `patience` epochs, and keeps the best weights."""

    patience: int = Field(ge=1)
    """Epochs to wait for a lower validation loss."""
    min_delta: float = Field(0.0, ge=0)
    """A smaller decrease does not count."""


class ReduceOnPlateau(Section):
    """The learning rate is multiplied by `factor` when the validation loss has not fallen for `patience` epochs."""

    patience: int = Field(ge=1)
    """Epochs to wait for a lower validation loss."""
    factor: float = Field(0.1, gt=0, lt=1)
    """The learning rate is multiplied by it."""
    min_learning_rate: float = Field(0.0, ge=0)
    """The learning rate does not go below it."""


class CosineSchedule(Section):
    """The learning rate falls along half a cosine, to the share `alpha` of itself after `decay_steps` batches."""

    by: Literal["cosine"]
    decay_steps: int = Field(ge=1)
    """Batches until the end of the curve."""
    alpha: float = Field(0.0, ge=0)
    """The share of the learning rate at the end."""


class ExponentialSchedule(Section):
    """The learning rate is multiplied by `decay_rate` every `decay_steps` batches, smoothly or in steps."""

    by: Literal["exponential"]
    decay_steps: int = Field(ge=1)
    """Batches for one multiplication."""
    decay_rate: float = Field(gt=0)
    """The factor."""
    staircase: bool = False
    """Whether the rate falls in steps."""


class InverseTimeSchedule(Section):
    """The learning rate is divided by 1 + decay_rate * batches / decay_steps."""

    by: Literal["inverse_time"]
    decay_steps: int = Field(ge=1)
    """Batches for one step."""
    decay_rate: float = Field(gt=0)
    """How fast the rate falls."""
    staircase: bool = False
    """Whether the rate falls in steps."""


class PolynomialSchedule(Section):
    """The learning rate falls to `end_learning_rate` in `decay_steps` batches."""

    by: Literal["polynomial"]
    decay_steps: int = Field(ge=1)
    """Batches until the end of the curve."""
    end_learning_rate: float = Field(0.0001, ge=0)
    """The learning rate at the end."""
    power: float = Field(1.0, gt=0)
    """The power of the polynomial. 1 is a straight line."""


class PiecewiseSchedule(Section):
    """The learning rate changes at each of `boundaries`. Before the first one it is `train.learning_rate`."""

    by: Literal["piecewise"]
    boundaries: list[int] = Field(min_length=1)
    """Batches after which the next value holds, in rising order."""
    values: list[float] = Field(min_length=1)
    """The learning rate after each boundary."""

    @model_validator(mode="after")
    def _one_value_after_each_boundary(self) -> "PiecewiseSchedule":
        if len(self.values) != len(self.boundaries) or sorted(set(self.boundaries)) != self.boundaries:
            raise ValueError("`boundaries` must rise, and `values` must have one number for each of them")
        return self


Schedule = CosineSchedule | ExponentialSchedule | InverseTimeSchedule | PolynomialSchedule | PiecewiseSchedule


class Objective(Section):
    """The keys of `train:` that say what is minimised, and how."""

    loss: Literal["cross_entropy", "mean_squared_error", "mean_absolute_error", "huber"] | None = None
    """What the training minimises. The default is cross_entropy for a classification, mean_squared_error for a
    regression."""
    class_weights: Literal["equal", "balanced"] = "equal"
    """`balanced` makes rare classes count as much as common ones."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """The optimizer of Keras."""
    momentum: float = Field(0.0, ge=0, lt=1)
    """The momentum of `sgd`."""
    learning_rate: float = Field(0.001, gt=0)
    """The learning rate, at the start if there is a schedule."""
    weight_decay: float = Field(0.0, ge=0)
    """Each step shrinks the weights by this share times the learning rate."""
    learning_rate_schedule: Annotated[Schedule, Field(discriminator="by")] | None = None
    """How the learning rate changes with the batches."""
    early_stopping: EarlyStopping | None = None
    """When to stop before the last epoch."""
    reduce_on_plateau: ReduceOnPlateau | None = None
    """When to lower the learning rate."""

    @model_validator(mode="after")
    def _keys_fit(self) -> "Objective":
        if self.learning_rate_schedule and self.reduce_on_plateau:
            raise ValueError("`learning_rate_schedule` and `reduce_on_plateau` both set the learning rate: choose one")
        if self.momentum and self.optimizer != "sgd":
            raise ValueError(f"`momentum` belongs to optimizer sgd, not to {self.optimizer}")
        return self


def optimizer(config: Objective) -> Any:
    """A keras.optimizers.Optimizer with its learning rate, or the schedule of it."""
    import keras

    rate: Any = config.learning_rate
    if (schedule := config.learning_rate_schedule) is not None:
        values = schedule.model_dump(exclude={"by"})
        if isinstance(schedule, PiecewiseSchedule):
            values["values"] = [config.learning_rate, *schedule.values]
        else:
            values["initial_learning_rate"] = config.learning_rate
        rate = getattr(keras.optimizers.schedules, SCHEDULES[schedule.by])(**values)
    decay = config.weight_decay or None
    if config.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=config.momentum, weight_decay=decay)
    return keras.optimizers.Adam(rate, weight_decay=decay)


def loss(config: Objective, task: str) -> str:
    """Keras' name of the loss. A cross-entropy takes the numbers of the classes, any other loss takes them one-hot."""
    name = config.loss or LOSSES[task]
    return "sparse_categorical_crossentropy" if name == "cross_entropy" else name


def one_hot(config: Objective) -> bool:
    """Whether a classification's target is trained as one number for each class."""
    return config.loss not in (None, "cross_entropy")


def balanced(counts: list[int]) -> np.ndarray:
    """The weight of a row of each class [classes], by scikit-learn's rule: rows / (classes * rows of the class)."""
    return (sum(counts) / (len(counts) * np.array(counts))).astype(np.float32)


def rules(config: Objective) -> list[Any]:
    """Keras' callbacks for the keys early_stopping and reduce_on_plateau."""
    import keras

    found: list[Any] = []
    if (plateau := config.reduce_on_plateau) is not None:
        found.append(
            keras.callbacks.ReduceLROnPlateau(
                "val_loss", factor=plateau.factor, patience=plateau.patience, min_lr=plateau.min_learning_rate
            )
        )
    if (early := config.early_stopping) is not None:
        found.append(
            keras.callbacks.EarlyStopping(
                "val_loss", min_delta=early.min_delta, patience=early.patience, restore_best_weights=True
            )
        )
    return found
