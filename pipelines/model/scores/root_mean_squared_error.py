"""The root of the mean squared distance from the actual number."""

from pipelines.model.metric import REGRESS, Metric, of_labels

METRIC = Metric("root_mean_squared_error", REGRESS, False, of_labels("root_mean_squared_error"), unbounded=True)
