"""The mean of F1 over classes."""

from pipelines.model.metric import CLASSIFY, Metric, of_labels

METRIC = Metric("f1_macro", CLASSIFY, True, of_labels("f1_score", average="macro"))
