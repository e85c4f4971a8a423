"""A look: one thing that a watch finds out about a model."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from flows.monitoring.events import Found
from flows.project.environment import Project
from flows.records.champion_state import Standing, stand
from flows.records.ledger import Line
from pipelines.model_file import Declaration


@dataclass(frozen=True)
class Look:
    """What is looked at. now: the instant up to which things are known; past: whether it was asked for, so that nothing
    may be changed. lines: of the ledger, until then."""

    project: Project
    declared: Declaration
    now: datetime
    lines: list[Line]
    past: bool = False

    @property
    def model(self) -> str:
        return self.declared.model

    @property
    def today(self) -> date:
        """The day of `now` in the model's zone. It is not over."""
        return self.now.astimezone(ZoneInfo(self.declared.monitor.timezone)).date()

    @property
    def day(self) -> date:
        """The newest day that is over."""
        return self.today - timedelta(days=1)

    @cached_property
    def standing(self) -> Standing:
        return stand(self.lines)


@dataclass(frozen=True)
class Seen:
    """content: as `--json` has it; None where there is nothing to look at. moved: whether the look wrote a line of the
    ledger, so that the looks after it begin anew."""

    content: dict[str, Any] | None
    found: Found = field(default_factory=Found)
    moved: bool = False


Looker = Callable[[Look], Seen]
NOTHING = Seen(None)
