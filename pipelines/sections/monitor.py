"""The section `monitor`."""

from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from pipelines.config.section import Section


class Monitor(Section):
    """How live rows and answers are watched (docs/guides/monitoring.md). The section may be absent."""

    timezone: str = "UTC"
    """The zone of a day."""
    reference: Literal["training", "season"] | int = "training"
    """What a day is compared with: the training rows, the same season of the training rows, or the last so many days
    before."""
    effect: float = Field(0.1, gt=0, le=1)
    """The least change of a column that can raise an alarm: the Kolmogorov-Smirnov distance of numbers, the largest
    change of a share of words."""
    looks: int = Field(365, ge=1)
    """How often live quality is looked at, for metrics that are no means over rows: their error is spent over so many
    looks."""

    @field_validator("reference")
    @classmethod
    def _days(cls, found: str | int) -> str | int:
        if isinstance(found, int) and found < 1:
            raise ValueError("write `training`, `season`, or a number of days from 1")
        return found

    @field_validator("timezone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, OSError, ValueError) as error:
            raise ValueError(f"{name!r} is no time zone, such as UTC or Europe/Berlin") from error
        return name
