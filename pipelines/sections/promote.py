"""The section `promote`."""

from typing import Literal

from pydantic import Field, model_validator

from pipelines.config.section import Section


class Slice(Section):
    """Some of the test rows, chosen by one column: by its values, or by a range of numbers."""

    column: str
    """A feature, a carried column, or the target."""
    values: list[str | int | float] = []
    """The values of the rows in this slice. Instead of it, a slice of numbers has `at_least` or `below`, or both."""
    at_least: float | None = None
    """The smallest number in this slice."""
    below: float | None = None
    """Numbers in this slice are smaller."""
    margin: float | None = Field(None, ge=0)
    """The margin of this slice, instead of `promote.margin`."""

    @model_validator(mode="after")
    def _chooses_rows(self) -> "Slice":
        edges = self.at_least is not None or self.below is not None
        if bool(self.values) == edges:
            raise ValueError("a slice has either `values`, or `at_least` and/or `below`")
        return self


class Promote(Section):
    """When a candidate becomes champion."""

    metric: str
    """The metric that decides. It is one of `evaluate.metrics`."""
    at_least: float | None = None
    """The floor of a metric where more is better."""
    at_most: float | None = None
    """The ceiling of a metric where less is better."""
    margin: float = Field(0.0, ge=0)
    """How much worse than the champion still counts as not worse, in the unit of the metric."""
    require: Literal["not_worse", "better"] = "not_worse"
    """What a candidate must show against the champion."""
    worst: float | None = Field(None, gt=0)
    """The largest loss or error of one row that the gate must allow for, though no test row shows it: of log loss,
    and of errors of a number in their unit."""
    slices: dict[str, Slice] = {}
    """Groups of test rows on which the candidate must not be worse either, by name."""
    largest_mb: float | None = Field(None, gt=0)
    """The largest size of the model folder in megabytes."""
    slowdown: float | None = Field(None, gt=0)
    """The largest time for a prediction, as a ratio to the champion's time."""
