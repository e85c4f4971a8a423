"""The mean over classes of the share of their rows that is right."""

from pipelines.model.metric import CLASSIFY, Metric, of_labels

METRIC = Metric("balanced_accuracy", CLASSIFY, True, of_labels("balanced_accuracy_score"))
