"""When a model's ticks come: its `schedule:` as Prefect's own classes, which check it and compute the ticks.

Prefect's server computes the next ticks of every schedule all the time: one that it searches for ever stops every
model. So the next TICKS are computed here before. Those of a rule with many candidates, such as each second since 2020,
are computed in a process of its own, which the kernel ends: python -m flows.run.rhythm RULE TIMEZONE

Prefect is imported inside the functions, since it takes a second: a model without a schedule needs none of it.
"""

import re
import resource
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from pydantic import ValidationError

from pipelines.config import settings
from pipelines.errors import SettingsError
from pipelines.sections.schedule import Schedule

if TYPE_CHECKING:
    from prefect.client.schemas.schedules import SCHEDULE_TYPES

TICKS = 60  # that are computed
SECONDS = 3  # of processor time for them: one by the quarter of an hour, since 2020, takes one
PATIENCE = 300  # seconds until that process must have ended, on a busy machine
MANY = re.compile("SECONDLY|MINUTELY|HOURLY|BY(HOUR|MINUTE|SECOND)=[^;]*,", re.IGNORECASE)  # candidates in a day
ANCHOR = datetime(2026, 1, 1, tzinfo=UTC)  # of intervals: the same from one start of the scheduler to the next
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


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
        if rules.rrule is not None:
            _check_rule(rules.rrule, rules.timezone, found)
        else:
            _check_ticks(rules)
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        raise SettingsError(
            f"{settings.FOLDER / model}.yaml: schedule: {_reason(error)}.", "Correct the file and run again."
        ) from error


def _check_ticks(rules: Schedule) -> None:
    """Raises ValueError or OverflowError if a cron or an interval has no tick, as on February 31, or soon none."""
    from prefect.server.schemas.schedules import CronSchedule, IntervalSchedule
    from prefect.utilities.asyncutils import run_coro_as_sync  # also inside a loop: the scheduler's

    zone, found = rules.timezone, cast(Any, None)
    if rules.cron is not None:
        found, said = CronSchedule(cron=rules.cron, timezone=zone), f"cron: {rules.cron!r}"
    else:
        every = timedelta(seconds=rules.every_seconds or 0)
        found = IntervalSchedule(interval=every, anchor_date=ANCHOR, timezone=zone)
        said = f"every_seconds: {rules.every_seconds}"
    try:
        run_coro_as_sync(found.get_dates(n=TICKS))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{said} never comes") from error


def _check_rule(text: str, timezone: str, found: Any) -> None:
    """Raises ValueError for a rule that has no tick, or with which the search for its ticks would fail, or never end.

    found: the same as Prefect's schedule.
    """
    if any(int(number) < 1 for number in re.findall(r"INTERVAL=(-?\d+)", text, re.IGNORECASE)):
        raise ValueError(f"rrule: {text!r}: INTERVAL must be at least 1")
    try:
        found.to_rrule()
    except ValueError as error:
        raise ValueError(f"rrule: {text!r}: write UNTIL in the schedule's own timezone, without Z: {error}") from error
    if not (_apart if MANY.search(text) else compute)(text, timezone):
        raise ValueError(f"rrule: {text!r} never comes")


def _apart(text: str, timezone: str) -> int:
    """The same as `compute`, in a process that ends. Raises ValueError if it takes too long."""
    command = [sys.executable, "-m", "flows.run.rhythm", text, timezone]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        done = subprocess.CompletedProcess(command, -signal.SIGKILL)
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise ValueError(
            f"rrule: {text!r}: Prefect's server would search for its next ticks for more than {SECONDS} seconds: write "
            "`every_seconds`, or a rule by the day"
        )
    if done.returncode:
        raise ValueError(f"rrule: {text!r}: {(done.stderr.strip().splitlines() or ['it cannot be computed'])[-1]}")
    return int(done.stdout)


def compute(text: str, timezone: str) -> int:
    """How many of the next TICKS a rule has; of one that says when it begins or ends, and is over, how many it had."""
    from prefect.server.schemas.schedules import RRuleSchedule
    from prefect.utilities.asyncutils import run_coro_as_sync

    rule = RRuleSchedule(rrule=text, timezone=timezone)
    found = run_coro_as_sync(rule.get_dates(n=TICKS))
    if not found and re.search("UNTIL|DTSTART", text, re.IGNORECASE):
        found = run_coro_as_sync(rule.get_dates(n=1, start=LONG_AGO))
    return len(found or [])


def main(text: str, timezone: str) -> None:
    """Print how many. The process ends without an answer if that takes long."""
    import prefect.server.schemas.schedules  # noqa: F401 (its import does not count)

    used = int(time.process_time())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (used + 1 + SECONDS, used + 2 + SECONDS))
    print(compute(text, timezone))


def _reason(error: Exception) -> str:
    """The error in one line, in Prefect's own words if there are any."""
    if isinstance(error, ValidationError):
        return str(error.errors()[0]["msg"]).removeprefix("Value error, ")
    if isinstance(error, TypeError):  # dateutil's, for a rule without FREQ
        return "rrule: every rule needs a FREQ, such as FREQ=WEEKLY"
    if isinstance(error, OverflowError):
        return "every_seconds: it is longer than the calendar"
    return " ".join(str(error).split())


if __name__ == "__main__":
    main(*sys.argv[1:])
