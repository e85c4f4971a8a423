"""The section `promote`."""

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

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


UNITS = {"m": "minutes", "h": "hours", "d": "days"}
SPAN = re.compile(r"([1-9][0-9]{0,3})([mhd])")
PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def span(text: str) -> timedelta:
    """A length of time. Raises ValueError.

    >>> span("36h")
    datetime.timedelta(days=1, seconds=43200)
    """
    found = SPAN.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no length of time; write 90m, 12h or 3d")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def _is_span(text: str) -> str:
    span(text)
    return text


def _is_person(name: str) -> str:
    if not PERSON.fullmatch(name):
        raise ValueError(f"{name[:80]!r} is no name; use letters, digits and . _ @ -, at most 64 of them")
    return name


class Approval(Section):
    """Persons who must approve a candidate that the gate accepts, before it becomes champion."""

    by: list[Annotated[str, AfterValidator(_is_person)]] = Field(min_length=1)
    """Who may approve: names of tokens (`ratchet token`), or of Unix users."""
    of: int = Field(1, ge=1)
    """How many of them must."""
    within: Annotated[str, AfterValidator(_is_span)] = "7d"
    """How long a candidate waits before it expires: minutes, hours or days, such as `90m`, `12h`, `3d`."""
    not_own: bool = False
    """Whether somebody else than the person who started the run must be among those who approve."""

    @model_validator(mode="after")
    def _can_be_met(self) -> "Approval":
        if len(set(self.by)) < len(self.by):
            raise ValueError("a name stands twice in `by`")
        if self.of > len(self.by):
            raise ValueError(f"`of` asks for {self.of} persons, and `by` names {len(self.by)}")
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
    approval: Approval | None = None
    """Persons who must approve before a version becomes champion. Without it the gate decides alone."""
