"""Rare errors, and large: the candidate is the champion, but for a few rows that are wrong beyond measure."""

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from flows.promotion.statistics.gain import gain
from gate.cells import Cells, Random, header, line, rate, title
from gate.models import chances, numbers
from gate.rules import old, passes
from pipelines.model.metrics import Answers

NEAR = 0.02  # how far apart the two are on other rows, in standard deviations
Make = Callable[[int, float, float, Random], tuple[Answers, Answers]]


def log_losses(rows: int, worse: float, worst: float, random: Random) -> tuple[Answers, Answers]:
    scores = 2 + random.normal(size=rows)
    mine, theirs = (np.log1p(np.exp(-scores - NEAR * random.normal(size=rows))) for _ in "ab")
    share = worse / (worst - 0.21)  # 0.21: the mean loss of the other rows
    return chances(np.where(random.random(rows) < share, worst, mine)), chances(theirs)


def absolute_errors(rows: int, worse: float, worst: float, random: Random) -> tuple[Answers, Answers]:
    mine, theirs = _errors(rows, math.sqrt(math.pi / 2), random)
    return _with_faults(mine, worse / (worst - 1), worst, random), numbers(theirs)


def squared_errors(rows: int, worse: float, worst: float, random: Random) -> tuple[Answers, Answers]:
    mine, theirs = _errors(rows, 1.0, random)
    return _with_faults(mine, ((1 + worse) ** 2 - 1) / (worst**2 - 1), worst, random), numbers(theirs)


def _errors(rows: int, scale: float, random: Random) -> tuple[np.ndarray, np.ndarray]:
    common = random.normal(size=rows)
    mine, theirs = (scale * (common + NEAR * random.normal(size=rows)) for _ in "ab")
    return mine, theirs


def _with_faults(errors: np.ndarray, share: float, worst: float, random: Random) -> Answers:
    return numbers(np.where(random.random(len(errors)) < share, worst, errors))


MEANS = (50, 100, 300, 1_000, 10_000)
SQUARES = (100, 300, 1_000)
CASES = [
    *(("log_loss", log_losses, worst, margin, MEANS) for worst in (7.0, 16.0, 36.0) for margin in (0.01, 0.05)),
    *(
        ("mean_absolute_error", absolute_errors, worst, margin, MEANS)
        for worst in (20.0, 30.0)
        for margin in (0.02, 0.1)
    ),
    *(("root_mean_squared_error", squared_errors, 20.0, margin, SQUARES) for margin in (0.02, 0.1)),
]


def rare(cells: Cells) -> None:
    title(f"Rare, large errors: {cells.trials} candidates that are worse by 1.1 margins, and as many equal ones")
    header("metric, loss of a fault", "margin", "rows", "without worst: false", "with worst: false", "equal, without",
           "equal, with")  # fmt: skip
    for metric, make, worst, margin, sizes in CASES:
        for rows in sizes:
            found = {}
            for size in (1.1, 0.0):
                once = partial(_judged, metric, make, rows, size * margin, worst, margin)
                found[size] = cells.of(f"{metric} {worst} {margin} {rows} {size}", once)
            rates = [rate(found[size][rule]) for size in found for rule in ("old", "gate")]
            line(f"{metric}, {worst:g}", margin, rows, *rates)


def _judged(
    metric: str, make: Make, rows: int, worse: float, worst: float, margin: float, random: Random
) -> dict[str, float]:
    one, other = make(rows, worse, worst, random)
    without, bounded = gain(metric, one, other), gain(metric, one, other, worst=worst)
    return {"old": old(without, margin), "gate": passes(bounded, margin)}
