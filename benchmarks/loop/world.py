"""A world with rows of 20 columns and two classes, and models that are trained on a window of its labelled days.

Columns are normal; eight of them decide, by a logistic relation. On a day one of three things happens: the columns move
(`covariates`), the relation changes (`relation`), or columns arrive as zeros (`pipe`).
"""

from dataclasses import dataclass

import numpy as np
from gate.cells import Random
from gate.chains import Model

COLUMNS, TELLING, ROWS = 20, 8, 300  # rows: of a day
TEST = 5  # every fifth row is one of the test split
WINDOW, LATE = 30, 7  # days that a model is trained on, and that a label takes
BEFORE, STEADY, AFTER = WINDOW + LATE, 40, 50  # days: of history, of ticks before the change, and after it
MOVED = 0.6  # of the telling columns, in standard deviations
KINDS = ("nothing", "covariates", "relation", "pipe")


@dataclass(frozen=True)
class World:
    """rows: [days * ROWS, COLUMNS], as they arrive; labels: of them [days * ROWS]. Day 0 is the first tick."""

    rows: np.ndarray
    labels: np.ndarray

    @property
    def test(self) -> np.ndarray:
        return np.arange(len(self.labels)) % TEST == 0

    def span(self, first: int, end: int) -> slice:
        """The rows of the days first to end - 1."""
        return slice((first + BEFORE) * ROWS, (end + BEFORE) * ROWS)


def made(kind: str, random: Random) -> World:
    """The change comes at the beginning of day STEADY."""
    days = BEFORE + STEADY + AFTER
    rows = random.normal(size=(days * ROWS, COLUMNS))
    after = np.arange(len(rows)) >= (BEFORE + STEADY) * ROWS
    weights = np.where(np.arange(COLUMNS) < TELLING, 1.0, 0.0)
    if kind == "covariates":
        rows[after, :TELLING] += MOVED
    score = rows @ weights
    if kind == "relation":
        score[after] = rows[after] @ np.where(np.arange(COLUMNS) < 2, -weights, weights)
    labels = (random.random(len(rows)) < 1 / (1 + np.exp(-score))).astype(int)
    if kind == "pipe":
        rows[after, :2] = 0.0
    return World(rows, labels)


@dataclass(frozen=True)
class Trained:
    """A model, and what the gate needs of it. answers: its class for each row of the world; first: day of its rows."""

    answers: np.ndarray
    gated: Model
    first: int


def trained(world: World, day: int) -> Trained:
    """On the days whose labels are there in the evening of a day."""
    end = day - LATE + 1
    span = world.span(end - WINDOW, end)
    learned = ~world.test[span]
    weights = _fitted(_wide(world.rows[span][learned]), world.labels[span][learned])
    answers = (_wide(world.rows) @ weights > 0).astype(int)
    right = (answers == world.labels)[world.test]
    return Trained(answers, Model(right, 0.0, (span.start // TEST, span.stop // TEST)), end - WINDOW)


def _wide(rows: np.ndarray) -> np.ndarray:
    return np.column_stack([rows, np.ones(len(rows))])


def _fitted(rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """A logistic regression with a small ridge, by Newton's method."""
    weights = np.zeros(rows.shape[1])
    for _ in range(6):
        chance = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (labels - chance) - 0.1 * weights
        curve = (rows * (chance * (1 - chance))[:, None]).T @ rows + 0.1 * np.eye(len(weights))
        weights = weights + np.linalg.solve(curve, slope)
    return weights
