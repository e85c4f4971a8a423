"""Due: when a tick retrains, and the reason that a person reads."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from flows.records.attempts import Tick
from flows.run.due import Case, due
from pipelines.sections.schedule import Schedule

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def tick(outcome="accepted", data="d1", rows=1000, definition="x", days=2, reason=""):
    at = (NOW - timedelta(days=days)).isoformat()
    return Tick("pets", outcome, reason, "schedule", "id", "/here", data, rows, definition, at=at)


def case(rules=None, champion_days=3, **changes):
    made = Case(
        rules=Schedule.model_validate(rules or {}),
        data="d1",
        rows=1000,
        definition="x",
        trained=tick(),
        before=tick(),
        champion_at=(NOW - timedelta(days=champion_days)).isoformat(),
        now=NOW,
    )
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("found", "expected", "words"),
    [
        (case(), False, "no new rows since 2026-11-22 12:00, champion 3 days old"),
        (case({"champion_days": 30}), False, "no new rows since 2026-11-22 12:00, champion 3 days old, limit 30"),
        (case(trained=None, before=None, champion_at=""), True, "it has not been trained here before"),
        (case(data=""), False, "no data are pinned"),
        (case(definition="y"), True, "code, settings or gate have changed since 2026-11-22 12:00"),
        (case(ripe="version 3 has been approved"), True, "version 3 has been approved"),
        (case(data="d2", rows=1001), True, "1 new row since 2026-11-22 12:00"),
        (case(data="d2", rows=1000), True, "the data have changed since 2026-11-22 12:00"),
        (case(data="d2", rows=900), True, "the data have changed since 2026-11-22 12:00"),
        (
            case({"new_rows": 50}, data="d2", rows=1049),
            False,
            "49 new rows since 2026-11-22 12:00, fewer than 50 rows, champion 3 days old",
        ),
        (case({"new_rows": 50}, data="d2", rows=1050), True, "50 new rows since 2026-11-22 12:00"),
        (case({"new_percent": 5}, data="d2", rows=1049), False, "fewer than 5 %"),
        (case({"new_percent": 5}, data="d2", rows=1050), True, "50 new rows since 2026-11-22 12:00, 5.0 %"),
        (case({"new_rows": 500, "new_percent": 5}, data="d2", rows=1050), True, "5.0 %"),
        (case({"new_rows": 500, "new_percent": 5}, data="d2", rows=1040), False, "fewer than 500 rows or 5 %"),
        (
            case({"new_rows": 50, "champion_days": 2}, data="d2", rows=1001),
            True,
            "1 new row since 2026-11-22 12:00, champion 3 days old, limit 2",
        ),
        (case({"new_rows": 50, "champion_days": 4}, data="d2", rows=1001), False, "champion 3 days old, limit 4"),
        (case({"champion_days": 2}), False, "no new rows since 2026-11-22 12:00, champion 3 days old, limit 2"),
        (case(trained=tick("waits"), before=tick("waits")), False, "no new rows since 2026-11-22 12:00"),
        (
            case(trained=tick("waits"), before=tick("waits"), released=True),
            True,
            "the version of 2026-11-22 12:00 waits, and its files are committed now",
        ),
        (
            case({"new_rows": 50}, data="d2", rows=1049, reasons=("live accuracy is worse",)),
            True,
            "live accuracy is worse; 49 new rows since 2026-11-22 12:00",
        ),
        (case(data="d2", rows=1001, reasons=("age has drifted",)), True, "age has drifted; 1 new row"),
        (
            case(reasons=("live accuracy is worse", "age has drifted")),
            False,
            "not retrained: nothing new to learn since 2026-11-22 12:00; live accuracy is worse; age has drifted",
        ),
        (
            case(before=tick("refused", reason="a rule failed"), reasons=("age has drifted",)),
            False,
            "nothing has changed since it failed on 2026-11-22 12:00: a rule failed",
        ),
        (case(before=tick("began")), True, "the last run died"),
        (case(before=tick("failed")), True, "the last run failed, and may work now"),
        (
            case(before=tick("refused", reason="a rule failed")),
            False,
            "nothing has changed since it failed on 2026-11-22 12:00: a rule failed",
        ),
        (case(before=tick("refused"), data="d2", rows=1010), True, "10 new rows"),
        (case(before=tick("refused"), definition="y"), True, "code, settings or gate have changed"),
    ],
)
def test_a_tick_retrains_when_there_is_reason_to(found, expected, words):
    wanted, reason = due(found)
    assert wanted is expected
    assert words in reason


def test_rows_are_counted_from_what_was_trained_on_not_from_the_last_look():
    """Many portions, each too small alone, add up."""
    rules = {"new_rows": 100}
    assert [due(case(rules, data=f"d{n}", rows=1000 + 40 * n))[0] for n in range(1, 4)] == [False, False, True]
