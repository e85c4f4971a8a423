"""A model's schedule: what Prefect can follow is taken, everything else is refused in one paragraph."""

import asyncio
import re

import pytest

from flows.run import rhythm
from pipelines.errors import SettingsError
from pipelines.model_file import Schedule


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
