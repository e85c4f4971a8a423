"""A smaller network that learns from the larger one: its answers beside the labels.

Hinton et al. 2015, https://arxiv.org/abs/1503.02531: the probabilities of both networks are made softer by a
temperature T, and the smaller one learns to give the same. That loss counts T squared as much, which keeps its gradient
at the size of the other one's. A number is learned as it is, from the label and from what the larger network answers.
"""

from typing import Any

import numpy as np

from pipelines.fitting.fit import WATCHED, Lesson
from pipelines.model import objective
from pipelines.model.objective import Objective
from pipelines.training.data_loader import Arrays, Columns, Prepare

ROWS = 1024  # that the larger network answers at once
LEAST = 1e-7  # a probability, before its logarithm is taken


def lesson(teacher: Any, config: Objective, task: str, temperature: float, weight: float) -> Lesson:
    """What the smaller network learns.

    teacher: keras.Model of the features of a row -> probabilities [rows, classes], or a number [rows, 1]. weight: of
    the teacher's answers in the loss; the labels have the rest.
    """
    import keras
    from keras import ops

    width = teacher.output.shape[-1]
    name = objective.loss(config, task)
    to_labels = keras.losses.get("categorical_crossentropy" if name.startswith("sparse") else name)
    watched = keras.metrics.categorical_accuracy if width > 1 else keras.losses.mean_absolute_error

    def loss(both: Any, answer: Any) -> Any:
        labels, known = both[:, :width], both[:, width:]
        if width == 1:
            return (1 - weight) * to_labels(labels, answer) + weight * to_labels(known, answer)
        taught = keras.losses.categorical_crossentropy(softened(known), softened(answer)) * temperature**2
        return (1 - weight) * to_labels(labels, answer) + weight * taught

    def softened(probabilities: Any) -> Any:
        return ops.softmax(ops.log(ops.clip(probabilities, LEAST, 1.0)) / temperature)

    def metric(both: Any, answer: Any) -> Any:
        return watched(both[:, :width], answer)

    metric.__name__ = WATCHED[task]
    return Lesson(lambda prepare: _beside(prepare, teacher, width), loss, metric)


def _beside(prepare: Prepare, teacher: Any, width: int) -> Prepare:
    """The labels (one number for each class) and the teacher's answers side by side [rows, 2 * width]."""
    import tensorflow as tf

    answer = tf.function(lambda x: teacher(x, training=False), autograph=False, reduce_retracing=True)

    def both(arrays: Arrays, target: np.ndarray) -> Columns:
        x, y, *weights = prepare(arrays, target)
        y = np.asarray(y)
        if width > 1 and y.ndim == 1:
            y = np.eye(width, dtype=np.float32)[y]
        parts = [np.asarray(answer(x[start : start + ROWS])) for start in range(0, len(y), ROWS)]
        known = np.concatenate([np.empty((0, width), np.float32), *parts])
        return (x, np.concatenate([y.reshape(len(y), width), known], axis=1).astype(np.float32), *weights)

    return both
