"""Models of known quality: their answers to test rows, made by chance."""

import numpy as np

from gate.cells import Random
from pipelines.model.metrics import Answers

CHURN = 0.01  # of the rows that another training alone wins, and as many that it loses
ACCURACY = 0.93  # of the champion


def labels(right: np.ndarray) -> Answers:
    """A model that answers these rows right or wrong [rows, bool]."""
    rows = len(right)
    return Answers(np.arange(rows), np.ones(rows, int), right.astype(int), None, [0, 1])


def candidate(right: np.ndarray, accuracy: float, size: float, random: Random, churn: float = CHURN) -> np.ndarray:
    """Which rows a candidate answers right, that is truly better by `size` than a champion of `accuracy`."""
    won, lost = churn + max(size, 0), churn + max(-size, 0)
    chance = np.where(right, 1 - lost / accuracy, won / (1 - accuracy))
    return random.random(len(right)) < chance


def numbers(errors: np.ndarray) -> Answers:
    """A regression with these errors [rows]."""
    rows = len(errors)
    return Answers(np.arange(rows), np.zeros(rows), errors, None, [])


def chances(losses: np.ndarray) -> Answers:
    """A classifier of two classes with these log losses [rows]; class 1 is the true one."""
    rows, true = len(losses), np.exp(-losses)
    return Answers(np.arange(rows), np.ones(rows, int), (true > 0.5) * 1, np.column_stack([1 - true, true]), [0, 1])


def areas(rows: int, size: float, positives: float, random: Random) -> tuple[Answers, Answers]:
    """A candidate and a champion: areas of 0.95 + size and 0.95 under the ROC curve; positives: their share."""
    from scipy.stats import norm

    def spread(area: float) -> float:  # of a model's own error, beside that of the rows
        return float(np.sqrt((shift / norm.ppf(area)) ** 2 / 2 - 1))

    shift = 2 * norm.ppf(0.97)
    actual = (random.random(rows) < positives).astype(int)
    common = actual * shift + random.normal(size=rows)
    made = []
    for area in (0.95 + size, 0.95):
        scores = common + spread(area) * random.normal(size=rows)
        true = 1 / (1 + np.exp(-(scores - shift / 2)))
        made.append(Answers(np.arange(rows), actual, (true > 0.5) * 1, np.column_stack([1 - true, true]), [0, 1]))
    return made[0], made[1]


def heavy(rows: int, size: float, random: Random) -> tuple[Answers, Answers]:
    """A candidate and a champion with mean absolute errors of 1 - size and 1; heavy tails (Student's t, 3 degrees)."""
    common, scale = random.standard_t(3, rows), 2 * np.sqrt(3) / np.pi  # the mean of |t| with 3 degrees
    made = []
    for error in (1 - size, 1.0):
        both = np.where(random.random(rows) < 0.9, common, random.standard_t(3, rows))  # two trainings err much alike
        made.append(numbers(error * both / scale))
    return made[0], made[1]
