"""Streams of labelled answers whose quality is known. Each day has as many rows; labels come `delay` days later."""

from dataclasses import dataclass

import numpy as np
from gate.cells import Random

from flows.monitoring.live import promise
from flows.monitoring.live.promise import Promise
from flows.monitoring.live.scored import Scored
from pipelines.config.data import Data
from pipelines.model.metrics import METRICS, Answers
from pipelines.model_file import Declaration
from pipelines.sections.promote import Promote

MARGIN = {"accuracy": 0.02, "log_loss": 0.03, "roc_auc": 0.02, "mean_absolute_error": 0.05}


def answers(metric: str, rows: int, harm: np.ndarray | float, random: Random) -> Answers:
    """harm: the share of rows that another world answers, whose labels are drawn anew [rows]; of errors of numbers, by
    how much they grow."""
    if METRICS[metric].task != "classification":
        errors = random.standard_t(4, rows) * (1 + harm)
        return Answers(np.arange(rows), np.zeros(rows), errors, None, [])
    chance = random.beta(0.35, 0.35, rows)  # of class 1: an accuracy of 0.84, an area of 0.92
    other = random.random(rows) < harm
    label = random.random(rows) < np.where(other, 1 - chance, chance)
    both = np.column_stack([1 - chance, chance])
    return Answers(np.arange(rows), label * 1, (chance > 0.5) * 1, both, [0, 1])


def tested(metric: str, rows: int, margin: float, random: Random) -> Promise:
    """What the gate promises after a test on so many rows of the world without harm."""
    found = promise.of(declared(metric, margin), answers(metric, rows, 0.0, random), judged=0)
    assert found is not None
    return found


def declared(metric: str, margin: float) -> Declaration:
    data = Data(kind="table", task="regression", target="y", columns={"x": "number"})
    return Declaration("simulated", {}, {"data": data, "promote": Promote(metric=metric, margin=margin)})


@dataclass(frozen=True)
class Stream:
    """A year, say: `days` days of so many rows each; the world changes at the beginning of day `changed`."""

    days: int
    rows: int
    changed: int = 10**9
    harm: float = 0.0

    def scored(self, metric: str, random: Random) -> Scored:
        """All of it, by day."""
        days = np.repeat(np.arange(self.days), self.rows)
        harm = np.where(days >= self.changed, self.harm, 0.0)
        nothing = np.zeros(len(days))
        return Scored(answers(metric, len(days), harm, random), days, nothing, nothing.astype(bool))
