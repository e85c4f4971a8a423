"""How much worse some answers are than others by one metric, with an interval.

The interval is of the rows and of the shuffles: a jackknife over blocks of rows (Efron & Stein 1981), in which each
block stands for what it alone would give. Rows in one block may depend on each other, as neighbours of a series do, if
they stand in order.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from pipelines.model.metric import Metric
from pipelines.model.metrics import Answers

BLOCKS = 20  # of rows; two of them at least are needed
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Worse:
    """mean: the loss of the metric, more is worse, in its own unit. low, high: its interval; None for too few rows."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Judge:
    """metric: of the gate. actual: [rows], the true values. classes: in the order of the outputs; [] for a number."""

    metric: Metric
    actual: np.ndarray
    classes: list

    def worse(self, before: np.ndarray, after: list[np.ndarray]) -> Worse:
        """before: float32 [rows, outputs]; after: the same of each shuffle, at least one."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn's, of a metric that has no value on some of the rows
            return self._worse(before, after)

    def _worse(self, before: np.ndarray, after: list[np.ndarray]) -> Worse:
        from scipy.stats import t

        blocks = min(BLOCKS, len(self.actual) // 2)
        ours = self._loss(before)
        lost = [self._loss(outputs) - ours for outputs in after]
        mean = float(np.mean(lost))
        if blocks < 2:
            return Worse(mean, None, None)
        alone = np.array([self._of_block(block, blocks, before, after, lost) for block in range(blocks)])
        if not np.isfinite(alone).all():  # a metric that has no value without some of the rows
            return Worse(mean, None, None)
        half = float(t.ppf((1 + CONFIDENCE) / 2, blocks - 1) * alone.std(ddof=1) / np.sqrt(blocks))
        return Worse(mean, mean - half, mean + half)

    def _of_block(
        self, block: int, blocks: int, before: np.ndarray, after: list[np.ndarray], lost: list[float]
    ) -> float:
        """The pseudo-value of a block: what it adds to the loss, as if all rows were such as its own."""
        edges = [len(self.actual) * place // blocks for place in (block, block + 1)]
        rest = np.delete(np.arange(len(self.actual)), slice(*edges))
        some = range(len(after)) if self.metric.loss else [block % len(after)]  # other metrics take their time
        whole, ours = float(np.mean([lost[shuffle] for shuffle in some])), self._loss(before, rest)
        without = float(np.mean([self._loss(after[shuffle], rest) - ours for shuffle in some]))
        return blocks * whole - (blocks - 1) * without

    def _loss(self, outputs: np.ndarray, rows: np.ndarray | None = None) -> float:
        """Less is better. NaN if the metric has no value on these rows."""
        actual = self.actual if rows is None else self.actual[rows]
        found = answered(outputs if rows is None else outputs[rows], actual, self.classes)
        try:
            if (losses := found.losses(self.metric.name)) is not None:
                return float(losses.mean())
            return found.score(self.metric.name) * (-1 if self.metric.greater_is_better else 1)
        except ValueError:
            return float("nan")


def answered(outputs: np.ndarray, actual: np.ndarray, classes: list) -> Answers:
    """Outputs [rows, outputs] as the answers that metrics score."""
    if not classes:
        return Answers(np.arange(len(outputs)), actual, outputs[:, 0].astype(np.float64), None, [])
    return Answers(np.arange(len(outputs)), actual, np.array(classes)[outputs.argmax(axis=1)], outputs, classes)
