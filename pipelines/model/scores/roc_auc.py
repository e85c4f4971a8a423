"""The area under the ROC curve; of several classes, the mean of each against the rest."""

from typing import Any

import numpy as np

from pipelines.model.metric import CLASSIFY, Metric, sure


def _roc_auc(actual: np.ndarray, predicted: object, probabilities: Any, classes: list) -> float:
    from sklearn.metrics import roc_auc_score

    if len(classes) == 2:
        return float(roc_auc_score(actual == classes[1], probabilities[:, 1]))
    return float(roc_auc_score(actual, sure(probabilities), multi_class="ovr", labels=classes))


METRIC = Metric("roc_auc", CLASSIFY, True, _roc_auc)
