"""The metrics by name, and the answers that they score; scores/ has a module for each metric."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.config import plugins
from pipelines.model import scores
from pipelines.model.metric import Metric

if TYPE_CHECKING:  # half a second to import, and needed only where rows are at hand
    import pandas as pd

METRICS = plugins.found(scores, Metric)


@dataclass(frozen=True)
class Answers:
    """A model's answers to some rows, and the true values.

    row_ids, actual, predicted: [rows]. probabilities: [rows, classes], or None for a regression. classes: in order.
    """

    row_ids: np.ndarray
    actual: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray | None
    classes: list

    @classmethod
    def read(cls, predictions: pd.DataFrame, label: str) -> Answers:
        """From a table of predictions; label: integer or text, the type of a class. Without `row_id`, rows count up."""
        columns = [str(name) for name in predictions if str(name).startswith("probability_")]
        names = [name.removeprefix("probability_") for name in columns]
        return cls(
            row_ids=predictions["row_id"].to_numpy() if "row_id" in predictions else np.arange(len(predictions)),
            actual=predictions["actual"].to_numpy(),
            predicted=predictions["prediction"].to_numpy(),
            probabilities=predictions[columns].to_numpy() if columns else None,
            classes=sorted(int(name) if label == "integer" else name for name in names),
        )

    def take(self, rows: np.ndarray) -> Answers:
        """Some of the rows, by position or by a mask."""
        probabilities = None if self.probabilities is None else self.probabilities[rows]
        return Answers(self.row_ids[rows], self.actual[rows], self.predicted[rows], probabilities, self.classes)

    def score(self, name: str) -> float:
        """The score by one of METRICS. May be NaN or raise ValueError if it cannot score the rows."""
        return METRICS[name].score(self.actual, self.predicted, self.probabilities, self.classes)

    def losses(self, name: str) -> np.ndarray | None:
        """The loss of each row [rows] (less is better), or None for a metric that is not a mean over rows."""
        loss = METRICS[name].loss
        return None if loss is None else loss(self.actual, self.predicted, self.probabilities, self.classes)
