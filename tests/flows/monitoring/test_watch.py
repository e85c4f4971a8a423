"""A watch says what it sees, writes down what begins and what is over, and goes on where a look fails."""

import json

import pytest

from flows.monitoring import last
from flows.monitoring.events import words
from flows.monitoring.watch import watch
from flows.records import ledger
from flows.records.ledger import Line
from tests.support.served import labelled
from tests.support.served.labelled import days


def answers(project, day, rows=60):
    """So many rows, answered on a day."""
    labelled.log(project.state, {f"{day}-{place}": {"age": place} for place in range(rows)}, days(day), said="cat")


def labels(project, declared, day, taken, rows=60):
    """The labels of the rows of a day."""
    given = [{"id": f"{day}-{place}", "label": "cat"} for place in range(rows)]
    labelled.label(project.state, declared, given, days(taken))


def test_without_answers_there_is_nothing_to_look_at(project, declared):
    found = watch(project, declared, days(1))
    assert set(found.parts.values()) == {None}
    assert (found.champion, found.events, found.new, found.problems) == (7, [], [], [])
    assert words(found.content) == "nothing new"


def test_answers_are_counted_by_day_and_labels_by_their_delay(project, declared, promise):
    promise()
    answers(project, 0, 40)
    answers(project, 1, 60)
    labels(project, declared, 0, taken=2, rows=40)
    found = watch(project, declared, days(2)).content
    assert (found["model"], found["champion"], found["day"]) == ("shop", 7, "2026-11-03")
    assert found["answers"] == {
        "days": [{"day": "2026-11-02", "rows": 40}, {"day": "2026-11-03", "rows": 60}],
        "a_day": 50,
    }
    counted = found["labels"]
    assert (counted["answered"], counted["labelled"], counted["share"]) == (100, 40, 0.4)
    assert counted["delay"]["median"] == pytest.approx(2 * 86_400, rel=1e-6)
    json.dumps(found, allow_nan=False)


def test_labels_that_have_stopped_are_noticed_once_and_over_once(project, declared, promise):
    promise()
    answers(project, 0)
    labels(project, declared, 0, taken=1)
    answers(project, 2)
    assert watch(project, declared, days(3)).new == []
    (begun,) = watch(project, declared, days(9)).new
    assert (begun["kind"], begun["subject"], begun["action"]) == ("labels", "delay", "noticed")
    assert begun["said"] == "no label has come for 8 days; 9 of 10 used to come within 1.0 days"
    again = watch(project, declared, days(10))
    assert (again.new, [one["line"] for one in again.events]) == ([], [begun["line"]])
    assert words(again.content) == "still unlabelled, as before"
    labels(project, declared, 2, taken=10)
    over = watch(project, declared, days(11))
    assert ([one["action"] for one in over.new], over.events) == (["over"], [])
    assert words(over.content) == "over: labels come again"


def test_a_look_back_changes_nothing_and_tells_nobody(project, declared, promise, monkeypatch, tmp_path):
    promise()
    monkeypatch.setenv("RATCHET_HOOK", f"touch {tmp_path}/told")
    answers(project, 0)
    labels(project, declared, 0, taken=1)
    answers(project, 2)
    labels(project, declared, 2, taken=20)
    after = sorted(project.state.rglob("*"))
    found = watch(project, declared, days(9), past=True)
    assert (found.parts["labels"]["labelled"], found.new) == (60, [])
    assert len(ledger.of(project).lines("shop")) == 1
    assert sorted(project.state.rglob("*")) == after
    assert not (tmp_path / "told").exists()


def test_a_look_that_fails_is_told_and_the_others_go_on(project, declared, promise):
    promise()
    answers(project, 0)
    labels(project, declared, 0, taken=1)
    (part,) = (project.state / "labels" / "shop").glob("*.parquet")
    part.write_bytes(b"no labels")
    found = watch(project, declared, days(2))
    (problem,) = found.problems
    assert problem.startswith(f"labels: {part} cannot be read as labels of shop")
    assert found.parts["answers"]["days"][0]["rows"] == 60
    assert last.of(project, "shop").problems == [problem]


def test_a_tick_soon_after_looks_again_only_if_something_came(project, declared, promise):
    promise()
    answers(project, 0)
    watch(project, declared, days(1))
    lines = ledger.of(project).lines("shop")
    assert last.soon(project, "shop", days(1.005), lines)
    assert not last.soon(project, "shop", days(1.02), lines)
    assert not last.soon(project, "shop", days(1.005), [*lines, Line("shop", 2, "x", 1, 1, 1, 1, "")])
    labels(project, declared, 0, taken=1.001)
    assert not last.soon(project, "shop", days(1.005), lines)
