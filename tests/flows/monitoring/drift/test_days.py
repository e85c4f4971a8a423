"""Summaries of days: made once, again where the log has changed, by the model's own zone."""

from datetime import UTC, date, datetime, timedelta

import pytest

from flows.monitoring.drift import champion, days, kept
from flows.monitoring.drift.kept import Kept
from pipelines.table.summary import columns
from tests.flows.monitoring.drift.conftest import FIRST
from tests.support.served import watched

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def lines(pets, first=FIRST, last=FIRST + timedelta(30)):
    summaries = Kept(kept.folder(watched.project(pets.state), "pets"))
    found = (summaries.of(first + timedelta(step)) for step in range((last - first).days + 1))
    return [line for of_day in found for line in of_day]


def rows(pets, name="weight"):
    """By day."""
    found = {}
    for line in lines(pets):
        if line.name == name:
            found[line.group] = found.get(line.group, 0) + line.rows
    return found


def made(pets, zone="UTC", now=NOON):
    """The days of UTC that an update makes."""
    project = watched.project(pets.state)
    found = champion.of(project, "pets")
    return days.update(project, found, champion.reference_of(project, found, watched.PETS), zone, now)


def test_a_day_is_read_once_and_again_when_a_part_came_late(pets):
    pets.log(0, watched.pets(50, seed=0))
    pets.log(1, watched.pets(60, seed=1))
    assert made(pets) == [FIRST, FIRST + timedelta(1)]
    assert made(pets) == []
    pets.log(1, watched.pets(5, seed=2), hour=20)
    assert made(pets) == [FIRST + timedelta(1)]
    assert rows(pets) == {"2026-11-02": 50, "2026-11-03": 65}


def test_a_day_that_is_not_over_waits(pets):
    pets.log(0, watched.pets(50, seed=0))
    assert made(pets, now=datetime(2026, 11, 2, 23, 59, tzinfo=UTC)) == []
    assert made(pets, now=datetime(2026, 11, 3, 0, 1, tzinfo=UTC)) == [FIRST]


def test_lines_that_are_not_closed_count_and_their_closing_changes_nothing(pets):
    pets.log(0, watched.pets(50, seed=0), close=False)
    assert made(pets) == [FIRST]
    before = lines(pets)
    pets.log(1, watched.pets(10, seed=1))
    made(pets)
    assert [line for line in lines(pets) if line.group == "2026-11-02"] == before


def test_the_summary_of_a_day_that_the_log_has_deleted_stays(pets):
    pets.log(0, watched.pets(50, seed=0))
    made(pets)
    for path in (pets.state / "answers" / "pets" / "2026-11-02").iterdir():
        path.unlink()
    assert made(pets) == []
    assert rows(pets) == {"2026-11-02": 50}


def test_days_are_those_of_the_zone_of_the_model(pets):
    pets.log(0, watched.pets(30, seed=0), hour=1)
    pets.log(0, watched.pets(40, seed=1), hour=23)
    made(pets, zone="America/New_York")
    assert rows(pets) == {"2026-11-02": 40}  # one o'clock UTC is the evening before
    assert [line.rows for line in lines(pets, first=date(2026, 11, 1)) if line.name == "age"] == [30, 40]
    assert made(pets) == [FIRST]  # another zone: made again
    assert rows(pets) == {"2026-11-02": 70}


def test_values_mean_what_they_mean_to_the_server(pets):
    strange = [{"weight": "NA"}, {"weight": "1.5"}, {"weight": None}, {"weight": ""}, {"colour": "NA"}, {"colour": 5}]
    pets.log(0, [row | change for row, change in zip(watched.pets(6, seed=0), strange, strict=True)])
    made(pets)
    found = {line.name: line for line in lines(pets)}
    assert (found["weight"].rows, found["weight"].missing, found["weight"].unreadable) == (6, 3, 0)
    assert 1.5 in found["weight"].points
    assert found["colour"].unknown == 1
    assert found["colour"].missing >= 1


def test_rows_of_an_older_version_that_did_not_take_a_column_are_not_missing_there(pets):
    watched_rows = watched.pets(50, seed=0)
    pets.log(0, [{"weight": row["weight"]} for row in watched_rows], number=0)
    pets.log(0, watched_rows, hour=13)
    made(pets)
    assert rows(pets, "age") == {"2026-11-02": 50}
    assert rows(pets, "weight") == {"2026-11-02": 100}


def test_only_the_owner_can_read_a_summary_and_it_needs_few_bytes(pets):
    pets.log(0, watched.pets(2_000, seed=0))
    made(pets)
    (path,) = kept.folder(watched.project(pets.state), "pets").iterdir()
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0
    assert path.stat().st_size < 40_000
    assert columns.about(path)["parts"]


@pytest.mark.parametrize("content", [b"", b"PAR1 no"])
def test_a_damaged_summary_is_made_again(pets, content):
    pets.log(0, watched.pets(50, seed=0))
    made(pets)
    (path,) = kept.folder(watched.project(pets.state), "pets").iterdir()
    path.write_bytes(content)
    assert made(pets) == [FIRST]
    assert rows(pets) == {"2026-11-02": 50}
