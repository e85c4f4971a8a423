"""What drift finds is an event: it begins, is told once, and is over when two days show nothing."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, insert

from flows.monitoring.watch import watch
from flows.records import ledger
from flows.records.ledger import LINES, Line
from pipelines.sections.labels import Labels
from tests.flows.monitoring.drift.conftest import FIRST
from tests.support.served import watched


@pytest.fixture
def seen(pets):
    """What the watch of the morning after a day finds; pets have a champion, version 1."""
    project = watched.project(pets.state)
    project = replace(project, ledger=f"sqlite:///{pets.state}/ledger.db")
    (pets.state / "locks").mkdir(exist_ok=True)
    ledger.of(project).lines("pets")
    first = Line("pets", 1, "accepted", 1, None, 1, 1, "first", "{}", at="2026-01-01T00:00:00+00:00").sealed()
    with create_engine(project.ledger).begin() as connection:
        connection.execute(insert(LINES).values(**asdict(first)))
    declared = watched.declared()
    declared = replace(declared, sections=declared.sections | {"labels": Labels()})

    def look(step, past=False):
        at = datetime.combine(FIRST + timedelta(step + 1), datetime.min.time(), UTC) + timedelta(hours=6)
        found = watch(project, declared, at, past)
        assert found.problems == []
        json.dumps(found.content, allow_nan=False)
        return found

    return look


def told(found):
    return [(one["action"], one["kind"], one["subject"]) for one in found.new]


def test_a_column_that_moved_is_one_event_until_it_is_as_it_was(pets, seen):
    for step, heavier in enumerate((0, 2, 2, 2, 0, 0)):
        pets.log(step, watched.pets(400, seed=step, heavier=heavier))
    drift = ("noticed", "drift", "weight")
    assert [told(seen(step)) for step in range(6)] == [[], [], [drift], [], [], [("over", "drift", "weight")]]


def test_what_is_noticed_is_said_with_figures_and_without_a_word_of_a_row(pets, seen):
    for step in range(2):
        pets.log(step, watched.pets(400, seed=step, heavier=2))
    (event,) = seen(1).new
    assert event["said"].startswith("`weight` has changed: its median is")
    assert set(event["figures"]) == {"distance", "p", "rows", "broken"}
    assert event["day"] == str(FIRST + timedelta(1))


def test_a_broken_column_is_one_event_and_not_two(pets, seen):
    for step in range(2):
        pets.log(step, watched.pets(400, seed=step, weight=None))
    assert told(seen(0)) == [("noticed", "broken", "weight")]
    assert told(seen(1)) == []
    for step in (2, 3):
        pets.log(step, watched.pets(400, seed=step))
    assert told(seen(2)) == [("over", "broken", "weight")]


def test_a_day_without_rows_ends_nothing(pets, seen):
    for step in range(2):
        pets.log(step, watched.pets(400, seed=step, heavier=2))
    assert told(seen(1)) == [("noticed", "drift", "weight")]
    assert [told(seen(step)) for step in (2, 9)] == [[], []]
    assert len(seen(9).events) == 1


def test_a_past_day_is_seen_again_and_nothing_is_written(pets, seen):
    for step in range(3):
        pets.log(step, watched.pets(400, seed=step, heavier=2 if step < 2 else 0))
    first, content = seen(1), sorted((path, path.stat().st_mtime_ns) for path in pets.state.rglob("*"))
    again = seen(1, past=True)
    assert again.parts["drift"] == first.parts["drift"]
    assert again.parts["expected"]["metric"] == "accuracy"
    assert sorted((path, path.stat().st_mtime_ns) for path in pets.state.rglob("*")) == content
