"""Figures: a metric on some live rows, with an interval that holds at every look."""

from dataclasses import asdict, dataclass
from datetime import date, timedelta

FIRST = date(1970, 1, 1)


@dataclass(frozen=True)
class Figure:
    """The metric on the rows that were answered on the days first to last, in its unit. rows: of these, labelled.

    value is None where these rows have no such metric; low and high are None where nothing bounds them.
    """

    first: date
    last: date
    rows: int
    value: float | None
    low: float | None
    high: float | None

    def content(self) -> dict[str, object]:
        """As JSON."""
        return asdict(self) | {"first": self.first.isoformat(), "last": self.last.isoformat()}


@dataclass(frozen=True)
class Live:
    """whole: all rows since the promotion. days: each day with a label. harm: the days since which the rows show that
    the metric is worse than allowed, None where none do."""

    whole: Figure
    days: list[Figure]
    harm: Figure | None


def day(number: int) -> date:
    """number: of days since 1970."""
    return FIRST + timedelta(days=int(number))


def allowed(metric_grows: bool, low: float, high: float, margin: float) -> float:
    """The worst value that the promise and the margin allow."""
    return low - margin if metric_grows else high + margin
