"""The objective: what a training minimises, and how: loss, class weights, optimizer, learning rate, when to stop.

Everything is Keras' own, by a name in the model's YAML.
"""

from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from pipelines.config.settings import Section

SCHEDULES = {  # Keras' classes, by the name that they have in a model's YAML
    "cosine": "CosineDecay",
    "exponential": "ExponentialDecay",
    "inverse_time": "InverseTimeDecay",
    "piecewise": "PiecewiseConstantDecay",
    "polynomial": "PolynomialDecay",
}
LOSSES = {"classification": "cross_entropy", "regression": "mean_squared_error"}  # if none is named


class EarlyStopping(Section):
    """End when the validation loss has not fallen for `patience` epochs, and keep the weights of the best one."""

    patience: int = Field(ge=1)
    min_delta: float = Field(0.0, ge=0)  # a smaller fall counts as none


class ReduceOnPlateau(Section):
    """Multiply the learning rate by `factor` when the validation loss has not fallen for `patience` epochs."""

    patience: int = Field(ge=1)
    factor: float = Field(0.1, gt=0, lt=1)
    min_learning_rate: float = Field(0.0, ge=0)


class CosineSchedule(Section):
    """Down to the share `alpha` of the learning rate, along half a cosine of `decay_steps` batches."""

    by: Literal["cosine"]
    decay_steps: int = Field(ge=1)
    alpha: float = Field(0.0, ge=0)


class ExponentialSchedule(Section):
    """Times `decay_rate` every `decay_steps` batches, smoothly or in steps."""

    by: Literal["exponential"]
    decay_steps: int = Field(ge=1)
    decay_rate: float = Field(gt=0)
    staircase: bool = False


class InverseTimeSchedule(Section):
    """Divided by 1 + decay_rate * batches / decay_steps."""

    by: Literal["inverse_time"]
    decay_steps: int = Field(ge=1)
    decay_rate: float = Field(gt=0)
    staircase: bool = False


class PolynomialSchedule(Section):
    """Down to `end_learning_rate` in `decay_steps` batches."""

    by: Literal["polynomial"]
    decay_steps: int = Field(ge=1)
    end_learning_rate: float = Field(0.0001, ge=0)
    power: float = Field(1.0, gt=0)


class PiecewiseSchedule(Section):
    """The learning rate up to the first of `boundaries` (in batches), then one of `values` after each."""

    by: Literal["piecewise"]
    boundaries: list[int] = Field(min_length=1)
    values: list[float] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_value_after_each_boundary(self) -> "PiecewiseSchedule":
        if len(self.values) != len(self.boundaries) or sorted(set(self.boundaries)) != self.boundaries:
            raise ValueError("`boundaries` rise, and `values` has one number for each of them")
        return self


Schedule = CosineSchedule | ExponentialSchedule | InverseTimeSchedule | PolynomialSchedule | PiecewiseSchedule


class Objective(Section):
    """The keys of `train:` that say what is minimised, and how."""

    loss: Literal["cross_entropy", "mean_squared_error", "mean_absolute_error", "huber"] | None = None  # the task's own
    class_weights: Literal["equal", "balanced"] = "equal"  # balanced: rare classes count as much as common ones
    optimizer: Literal["adam", "sgd"] = "adam"
    momentum: float = Field(0.0, ge=0, lt=1)  # sgd only
    learning_rate: float = Field(0.001, gt=0)
    weight_decay: float = Field(0.0, ge=0)  # times the learning rate, by which a step shrinks a weight (AdamW)
    learning_rate_schedule: Annotated[Schedule, Field(discriminator="by")] | None = None
    early_stopping: EarlyStopping | None = None
    reduce_on_plateau: ReduceOnPlateau | None = None

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
