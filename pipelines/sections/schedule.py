"""The section `schedule`."""

from typing import Literal

from pydantic import Field, field_validator, model_validator

from pipelines.config.section import Section

CRON = "minute hour day month weekday"


class On(Section):
    """What happens to a model that is served, and retrains it at the next tick."""

    quality: Literal["worse"] | None = None
    """`worse`: its live quality is shown to be below what the gate promised, by more than the margin."""
    drift: Literal["alarm"] | None = None
    """`alarm`: a column or the answers have drifted."""
    labels: int | None = Field(None, ge=1)
    """So many labels are new since the last training."""


class Schedule(Section):
    """When a tick comes, and when a tick retrains.

    One of `cron`, `every_seconds` and `rrule` says when a tick comes. With none of them no tick comes.
    """  # only its form is checked here; whether Prefect can follow it, in flows/run/rhythm.py

    cron: str | None = None
    """Five fields: minute, hour, day, month, weekday."""
    every_seconds: int | None = Field(None, ge=1)
    """Seconds from one tick to the next."""
    rrule: str | None = None
    """A rule of RFC 5545, such as `FREQ=WEEKLY;BYDAY=MO`."""
    timezone: str = Field("UTC", min_length=1)
    """The time zone of `cron` and `rrule`."""
    new_rows: int | None = Field(None, ge=1)
    """A tick retrains when at least this many rows are new. With neither this nor `new_percent`, one new row is
    enough."""
    new_percent: float | None = Field(None, gt=0)
    """A tick retrains when at least this many per cent of the rows are new."""
    champion_days: float | None = Field(None, gt=0)
    """A tick retrains when anything is new and the champion is older than this many days."""

    on: On | None = None
    """Reasons that come from serving. Where nothing new can be learned, a tick says so and trains nothing."""

    @field_validator("cron")
    @classmethod
    def _five_fields(cls, text: str | None) -> str | None:
        if text is not None and len(text.split()) != len(CRON.split()):
            raise ValueError(f"{text!r} is not five fields: {CRON}")
        return text

    @model_validator(mode="after")
    def _one_rhythm(self) -> "Schedule":
        if sum(value is not None for value in (self.cron, self.every_seconds, self.rrule)) > 1:
            raise ValueError("a schedule has one of `cron`, `every_seconds` and `rrule`")
        return self

    @property
    def has_rhythm(self) -> bool:
        return any(value is not None for value in (self.cron, self.every_seconds, self.rrule))

    @property
    def words(self) -> str:
        """As people read it; "" for none."""
        every = f"every {self.every_seconds} s" if self.every_seconds else ""
        found = self.cron or every or self.rrule
        return f"{found} {self.timezone}" if found and not every else found or ""
