"""How much a model gives away of its training rows: a test of membership by a threshold on the loss.

Somebody who has a row and its true target guesses that the model was trained on it if its loss is at most the mean
loss of training rows (Yeom, Giacomelli, Fredrikson and Jha 2018, "Privacy risk in machine learning", adversary 1).
Advantage: how much more often that is guessed of training rows than of rows that the model has never seen. 0 is
nothing, 1 everything. It is a lower bound: other attacks may find more.
"""

import math
from dataclasses import dataclass

import numpy as np

from pipelines.model.metrics import Answers

Z = 1.959964  # of a two-sided interval of 95 %
LEAST = 20  # rows of each kind, below which nothing is said
MOST = 2_000  # rows of each kind that are looked at


@dataclass(frozen=True)
class Membership:
    """advantage: with its interval of 95 %. auc: how often a training row has the smaller loss of the two. rows: of
    each kind."""

    advantage: float
    low: float
    high: float
    auc: float
    rows: int

    @property
    def said(self) -> str:
        """For people: [-1, 1] in points of 100."""
        found = f"{100 * self.advantage:.1f} [{100 * self.low:.1f}, {100 * self.high:.1f}] points"
        told = "nothing that this test could see" if self.low <= 0 else f"{found} more often than of other rows"
        much = f" ({found})" if self.low <= 0 else ""
        return f"by its losses it gives away of its training rows {told}{much}, on {self.rows:,} rows of each kind"


def losses(answers: Answers) -> np.ndarray:
    """The loss of each row [rows]: minus the logarithm of the true class' probability, or the absolute error."""
    if answers.probabilities is None:
        return np.abs(answers.actual - answers.predicted)
    place = {name: number for number, name in enumerate(answers.classes)}
    columns = np.array([place[name] for name in answers.actual.tolist()])
    return -np.log(np.maximum(answers.probabilities[np.arange(len(columns)), columns], 1e-30))


def measured(seen: np.ndarray, unseen: np.ndarray) -> Membership | None:
    """seen, unseen: losses of rows that the model was trained on, and of others, each [rows] in random order. Half of
    the first set the threshold and are not guessed. None if there are too few."""
    half = len(seen) // 2
    rows = min(len(seen) - half, len(unseen))
    if rows < LEAST:
        return None
    threshold, seen, unseen = float(seen[:half].mean()), seen[half : half + rows], unseen[:rows]
    inside, outside = float((seen <= threshold).mean()), float((unseen <= threshold).mean())
    (least, most), (lower, upper) = (_wilson(share, rows) for share in (inside, outside))
    gain = inside - outside
    low = gain - math.hypot(inside - least, upper - outside)  # Newcombe 1998, method 10
    high = gain + math.hypot(most - inside, outside - lower)
    return Membership(gain, low, high, _auc(seen, unseen), rows)


def _wilson(share: float, rows: int) -> tuple[float, float]:
    """The score interval of a share."""
    middle = (share + Z * Z / (2 * rows)) / (1 + Z * Z / rows)
    width = Z / (1 + Z * Z / rows) * math.sqrt(share * (1 - share) / rows + Z * Z / (4 * rows * rows))
    return middle - width, middle + width


def _auc(seen: np.ndarray, unseen: np.ndarray) -> float:
    from scipy.stats import rankdata

    ranks = rankdata(np.concatenate([unseen, seen]))[: len(unseen)]
    return float((ranks.sum() - len(unseen) * (len(unseen) + 1) / 2) / (len(unseen) * len(seen)))
