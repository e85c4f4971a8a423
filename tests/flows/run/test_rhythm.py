"""A model's schedule: what Prefect can follow is taken, everything else is refused in one paragraph."""

import asyncio
import re
from contextlib import nullcontext

import pytest

from flows.run import rhythm
from pipelines.errors import SettingsError
from pipelines.sections.schedule import Schedule


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"cron": "*/90 0-23/2 1,15 jan-dec mon"},
        {"cron": "0 0 31 12 7"},
        {"cron": "59 23 * * sun", "timezone": "Europe/Berlin"},
        {"cron": "0 0 29 2 *"},
        {"every_seconds": 1},
        {"rrule": "FREQ=WEEKLY;BYDAY=MO;INTERVAL=2"},
        {"rrule": "FREQ=DAILY;UNTIL=20991231T030000", "timezone": "Europe/Berlin"},
        {"rrule": "FREQ=DAILY;UNTIL=20250101T030000"},  # it had its ticks: a run by hand goes on
        {"rrule": "FREQ=DAILY;BYHOUR=3;BYMINUTE=30"},
        {"cron": "0 3 * * 5#5"},
    ],
)
def test_a_schedule_that_prefect_follows_is_taken(rules):
    rhythm.check("pets", Schedule.model_validate(rules))


def test_the_scheduler_checks_inside_its_loop():
    async def checks(cron: str) -> None:
        rhythm.check("pets", Schedule(cron=cron))

    asyncio.run(checks("0 5 * * 1"))
    with pytest.raises(SettingsError, match="never comes"):
        asyncio.run(checks("0 0 31 2 *"))


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"cron": "*/0 * * * *"}, 'Invalid cron string: "*/0 * * * *"'),
        ({"cron": "? x y z w"}, "Invalid cron string"),
        ({"cron": "* * * * FOO"}, "Invalid cron string"),
        ({"cron": "0 25 * * *"}, "Invalid cron string"),
        ({"cron": "0 1-24 * * *"}, "Invalid cron string"),
        ({"cron": "0 0 31 2 *"}, "cron: '0 0 31 2 *' never comes"),
        ({"cron": "0 3 * * *", "timezone": "Mars/Olympus"}, 'Invalid timezone: "Mars/Olympus"'),
        ({"cron": "0 3 * * 1#6"}, "Invalid cron string"),
        ({"cron": "H * * * *"}, "Invalid cron string"),
        ({"cron": "R R * * *"}, "Random and Hashed expressions are unsupported"),
        ({"cron": "0,,3 * * * *"}, "Invalid cron string"),
        ({"cron": "0 3 * jan-zzz *"}, "Invalid cron string"),
        ({"cron": "0 5 * * abc"}, "Invalid cron string"),
        ({"cron": "0 3 * * *", "timezone": "posixrules"}, 'Invalid timezone: "posixrules"'),
        ({"every_seconds": 10**10}, "every_seconds: 10000000000 never comes"),
        ({"every_seconds": 10**16}, "longer than the calendar"),
        ({"rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31"}, "never comes"),
        ({"rrule": "DTSTART:20260101T000000\nRRULE:FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31"}, "never comes"),
        ({"rrule": "FREQ=DAILY;COUNT=3"}, "never comes"),  # Prefect counts from 2020 on
        ({"rrule": "FREQ=DAILY;INTERVAL=99999999999999999999"}, "never comes"),
        ({"rrule": "FREQ=DAILY;INTERVAL=abc"}, "Invalid RRule string"),
        ({"rrule": "FREQ=SOMETIMES"}, 'Invalid RRule string "FREQ=SOMETIMES"'),
        ({"rrule": ""}, "Invalid RRule string"),
        ({"rrule": "BYDAY=MO"}, "every rule needs a FREQ"),
        ({"rrule": "FREQ=DAILY;INTERVAL=0"}, "INTERVAL must be at least 1"),
        ({"rrule": "freq=daily;interval=-1"}, "INTERVAL must be at least 1"),
        ({"rrule": "FREQ=DAILY;UNTIL=20991231T030000Z"}, "write UNTIL in the schedule's own timezone, without Z"),
        ({"rrule": "FREQ=DAILY", "timezone": "Mars/Olympus"}, "Mars/Olympus"),
        ({"every_seconds": 5, "timezone": "Mars/Olympus"}, "Mars/Olympus"),
    ],
)
def test_any_other_is_refused_in_one_paragraph(rules, message):
    with pytest.raises(SettingsError, match=r"^models/pets\.yaml: schedule: .*" + re.escape(message)) as caught:
        rhythm.check("pets", Schedule.model_validate(rules))
    assert caught.value.status == 2
    assert "\n" not in caught.value.what


@pytest.mark.long  # each waits for seconds of processor time, in a process of its own
@pytest.mark.parametrize(
    ("rule", "fine"),
    [
        ("FREQ=SECONDLY", False),
        ("FREQ=MINUTELY", False),
        ("FREQ=HOURLY;BYMONTH=2;BYMONTHDAY=31", False),
        ("FREQ=DAILY;BYHOUR=0,12;BYMINUTE=0,1,2,3,4,5,6,7,8,9;BYSECOND=0,1,2,3,4,5,6,7,8,9;BYSETPOS=366", False),
        ("FREQ=MINUTELY;INTERVAL=15", True),
        ("FREQ=HOURLY", True),
    ],
)
def test_a_rule_that_prefect_would_search_for_long_is_ended_and_refused(rule, fine):
    refused = pytest.raises(SettingsError, match=r"(search for its next ticks for more than 3 seconds|never comes)")
    with nullcontext() if fine else refused:
        rhythm.check("pets", Schedule(rrule=rule))
