"""When a model's ticks come: its `schedule:` as Prefect's own classes, which check it and compute the ticks.

Prefect is imported inside the functions, since it takes a second: a model without a schedule needs none of it.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from pipelines.config import settings
from pipelines.errors import SettingsError
from pipelines.model_file import Schedule

if TYPE_CHECKING:
    from prefect.client.schemas.schedules import SCHEDULE_TYPES

ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)  # of intervals: the same from one start of the scheduler to the next


def of(rules: Schedule) -> "SCHEDULE_TYPES | None":
    """When ticks come, as Prefect has it; None for never. Raises ValueError or TypeError if Prefect refuses it."""
    from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule

    if rules.cron is not None:
        return CronSchedule(cron=rules.cron, timezone=rules.timezone)
    if rules.every_seconds is not None:
        every = timedelta(seconds=rules.every_seconds)
        return IntervalSchedule(interval=every, anchor_date=ANCHOR, timezone=rules.timezone)
    return None if rules.rrule is None else RRuleSchedule(rrule=rules.rrule, timezone=rules.timezone)


def check(model: str, rules: Schedule) -> None:
    """Raises SettingsError for a schedule that Prefect cannot follow, or whose tick never comes."""
    if not rules.has_rhythm:
        return
    try:
        found = of(rules)
        if rules.cron is not None:
            _check_cron(rules)
        elif rules.rrule is not None:
            _check_rule(rules.rrule, found)
    except (ValueError, TypeError, AttributeError) as error:
        raise SettingsError(
            f"{settings.FOLDER / model}.yaml: schedule: {_reason(error)}.", "Correct the file and run again."
        ) from error


def _check_cron(rules: Schedule) -> None:
    """Raises ValueError if no tick ever comes, as on February 31."""
    from prefect.server.schemas.schedules import CronSchedule
    from prefect.utilities.asyncutils import run_coro_as_sync  # also inside a loop: the scheduler's

    found = CronSchedule(cron=str(rules.cron), timezone=rules.timezone)
    try:
        run_coro_as_sync(found.get_dates(n=1))
    except ValueError as error:
        raise ValueError(f"cron: {rules.cron!r} never comes") from error


def _check_rule(text: str, found: Any) -> None:
    """Raises ValueError for a rule with which the search for its next tick would fail or never end.

    found: the same as Prefect's schedule. No tick is computed: a rule by the second would be counted from 2020 on.
    """
    if any(int(number) < 1 for number in re.findall(r"INTERVAL=([^;\s]+)", text, re.IGNORECASE)):
        raise ValueError(f"rrule: {text!r}: INTERVAL must be at least 1")
    try:
        found.to_rrule()
    except ValueError as error:
        raise ValueError(f"rrule: {text!r}: write UNTIL in the schedule's own timezone, without Z: {error}") from error


def _reason(error: Exception) -> str:
    """The error in one line, in Prefect's own words if there are any."""
    if isinstance(error, ValidationError):
        return str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    if isinstance(error, TypeError):  # dateutil's, for a rule without FREQ
        return "rrule: every rule needs a FREQ, such as FREQ=WEEKLY"
    return " ".join(str(error).split())
