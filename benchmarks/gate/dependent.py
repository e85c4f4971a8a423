"""Rows that fail together: those of a customer, and neighbours in time."""

from collections.abc import Callable
from functools import partial

import numpy as np

from flows.promotion.statistics.dependence import Dependence
from flows.promotion.statistics.gain import gain
from gate.cells import Cells, Random, header, line, rate, title
from gate.models import ACCURACY, candidate, labels, numbers
from gate.rules import old, passes
from pipelines.model.metrics import Answers

EACH = 20  # rows of a customer
ALIKE = 0.9  # correlation of the errors of two trainings
Pair = tuple[Answers, Answers, Dependence]
Make = Callable[[int, float, Random], Pair]


def customers(share: float) -> Make:
    """Right and wrong answers. share: of a customer's rows that have the same answers, right or wrong."""

    def make(rows: int, size: float, random: Random) -> Pair:
        groups = np.arange(rows) // EACH
        of_rows, of_groups = (_answers(count, size, random) for count in (rows, groups.max() + 1))
        alike = random.random(rows) < share
        one, other = (np.where(alike, there[groups], here) for here, there in zip(of_rows, of_groups, strict=True))
        return labels(one), labels(other), Dependence(groups=groups)

    return make


def _answers(rows: int, size: float, random: Random) -> tuple[np.ndarray, np.ndarray]:
    right = random.random(rows) < ACCURACY
    return candidate(right, ACCURACY, size, random), right


def errors_of_customers(rows: int, size: float, random: Random) -> Pair:
    """Errors of which nine tenths of the variance are the customer's."""
    groups = np.arange(rows) // EACH

    def noise() -> np.ndarray:
        of_groups = random.normal(size=groups.max() + 1)
        return np.sqrt(0.9) * of_groups[groups] + np.sqrt(0.1) * random.normal(size=rows)

    return (*_errors(noise, size), Dependence(groups=groups))


def series(near: float) -> Make:
    """Errors of which each is `near` times the one before, and chance (AR(1))."""

    def make(rows: int, size: float, random: Random) -> Pair:
        from scipy.signal import lfilter

        def noise() -> np.ndarray:
            steps = random.normal(size=rows) * np.sqrt(1 - near**2)
            steps[0] = random.normal()
            return np.asarray(lfilter([1.0], [1.0, -near], steps))

        return (*_errors(noise, size), Dependence(times=np.arange(rows)))

    return make


def _errors(noise: Callable[[], np.ndarray], size: float) -> tuple[Answers, Answers]:
    """A candidate and a champion with mean absolute errors of 1 - size and 1."""
    theirs = noise()
    mine = ALIKE * theirs + np.sqrt(1 - ALIKE**2) * noise()
    scale = np.sqrt(np.pi / 2)  # over the mean of a normal number without its sign
    return numbers((1 - size) * scale * mine), numbers(scale * theirs)


CASES: list[tuple[str, str, Make, float]] = [
    ("accuracy, 20 rows a customer, 95 % alike", "accuracy", customers(0.95), 0.02),
    ("accuracy, 20 rows a customer, 95 % alike", "accuracy", customers(0.95), 0.05),
    ("accuracy, 20 rows a customer, half alike", "accuracy", customers(0.5), 0.02),
    ("accuracy, 20 rows a customer, half alike", "accuracy", customers(0.5), 0.05),
    ("mean absolute error, customers", "mean_absolute_error", errors_of_customers, 0.1),
    ("mean absolute error, series 0.8", "mean_absolute_error", series(0.8), 0.02),
    ("mean absolute error, series 0.97", "mean_absolute_error", series(0.97), 0.1),
]
ROWS = (100, 300, 1_000, 10_000)


def dependent(cells: Cells) -> None:
    title(f"Rows that fail together: {cells.trials} candidates that are worse by 1.1 margins, and as many equal ones")
    header("case", "margin", "rows", "old gate: false", "gate: false", "old gate: equal passes", "gate: equal passes")
    for name, metric, make, margin in CASES:
        for rows in ROWS:
            found = {}
            for size in (-1.1, 0.0):
                once = partial(_judged, metric, make, rows, size * margin, margin)
                found[size] = cells.of(f"{name} {margin} {rows} {size}", once)
            rates = [rate(found[size][rule]) for size in found for rule in ("old", "gate")]
            line(name, margin, rows, *rates)


def _judged(metric: str, make: Make, rows: int, size: float, margin: float, random: Random) -> dict[str, float]:
    one, other, depends = make(rows, size, random)
    alone, together = gain(metric, one, other), gain(metric, one, other, depends=depends)
    return {"old": old(alone, margin), "gate": passes(together, margin)}
