"""The share of the variance that is explained."""

from pipelines.model.metric import REGRESS, Metric, of_labels

METRIC = Metric("r2", REGRESS, True, of_labels("r2_score"), unbounded=True)
