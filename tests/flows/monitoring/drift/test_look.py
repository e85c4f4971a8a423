"""Drift: what has changed is named after two days, what is broken at once, and what only varies never."""

import json
from dataclasses import replace

import pytest

from flows.monitoring.drift import look
from flows.registry import reference
from pipelines.table.summary import columns
from tests.flows.monitoring.drift.conftest import FIRST, column, hide
from tests.support.served import watched
from tests.support.served.answered import Answer


def test_rows_like_those_of_training_are_no_drift(pets):
    for step in range(3):
        pets.log(step, watched.pets(400, seed=step))
    found = pets.look(2)
    assert found.alarms == []
    assert found.rows == 400
    assert found.why == ""
    assert {one.name for one in found.columns} == {"weight", "age", "colour", "born", "prediction", "confidence"}
    assert all(one.calm for one in found.columns)
    assert found.reference == "the training rows"
    assert "nothing has drifted" in found.said


def test_a_column_that_moved_is_an_alarm_on_the_second_day(pets):
    pets.log(0, watched.pets(400, seed=0))
    pets.log(1, watched.pets(400, seed=1, heavier=2))
    pets.log(2, watched.pets(400, seed=2, heavier=2))
    first, second = pets.look(1), pets.look(2)
    assert first.alarms == []
    assert not column(first, "weight").calm
    assert second.alarms == ["weight"]
    moved = column(second, "weight")
    assert moved.kind == "numbers"
    assert moved.distance > 0.2
    assert moved.p < 1e-6
    assert moved.broken == ""
    assert moved.now_["median"] > moved.then["median"] + 1
    assert second.columns[0] == moved
    assert "`weight` has changed: its median is" in second.said


def test_it_is_over_when_neither_of_two_days_shows_it(pets):
    for step, heavier in enumerate((2, 2, 0, 0)):
        pets.log(step, watched.pets(400, seed=step, heavier=heavier))
    assert [look.over(pets.look(step), "weight") for step in (1, 2, 3)] == [False, False, True]
    assert not look.over(pets.look(3), "a column that nobody knows")


def test_words_that_became_more_frequent_are_named_with_their_shares(pets):
    for step in range(2):
        rows = watched.pets(300, seed=step)
        pets.log(step, [row | ({"colour": "white"} if place % 3 == 0 else {}) for place, row in enumerate(rows)])
    found = pets.look(1)
    assert found.alarms == ["colour"]
    assert column(found, "colour").now_["shares"]["white"] == pytest.approx(0.43, abs=0.05)
    assert "`colour` has changed: 'white' is " in found.said


def test_a_change_below_the_least_effect_is_none_however_many_rows(pets):
    for step in range(2):
        pets.log(step, watched.pets(5_000, seed=step, heavier=0.4))
    found = column(pets.look(1), "weight")
    assert found.p < 0.001
    assert found.distance < 0.1
    assert not found.alarm
    assert pets.look(1, effect=0.03).alarms == ["weight"]


@pytest.mark.parametrize(
    ("changes", "broken", "told"),
    [
        ({"weight": None}, "missing", "`weight` looks broken: missing in 100 % of the rows, and was in 0 %"),
        ({"colour": "#000000"}, "unknown", "`colour` looks broken: 100 % of its words are ones that the model has"),
        ({"weight": 9.0}, "constant", "`weight` looks broken: it has one value in all rows"),
        ({"age": 7}, "constant", "`age` looks broken: it has one value in all rows"),
    ],
)
def test_a_broken_pipe_is_named_on_the_first_day(pets, changes, broken, told):
    pets.log(0, watched.pets(150, seed=0, **changes))
    found = pets.look(0)
    (name,) = changes
    assert found.alarms == [name]
    assert column(found, name).broken == broken
    assert told in found.said


def test_values_in_another_unit_are_named_as_such(pets):
    pets.log(0, [row | {"weight": row["weight"] * 1000} for row in watched.pets(300, seed=0)])
    found = pets.look(0)
    assert column(found, "weight").broken == "unit"
    assert "times those before, as if in another unit" in found.said


def test_answers_that_changed_are_an_alarm(pets):
    cats = Answer("cat", {"cat": 0.9, "dog": 0.1})
    for step in range(2):
        pets.log(step, watched.pets(150, seed=step), answer=cats)
    found = pets.look(1)
    assert {"prediction", "confidence"} <= set(found.alarms)
    assert column(found, "prediction").kind == "answers"
    assert "the answers have changed: 'cat' is 100 % of the rows, and was 0 %" in found.said


def test_answers_of_another_version_are_not_judged(pets):
    for step in range(2):
        pets.log(step, watched.pets(150, seed=step), number=2, answer=Answer("cat", {"cat": 0.9, "dog": 0.1}))
    found = pets.look(1)
    assert {one.kind for one in found.columns} == {"numbers", "words", "dates"}
    assert found.unwatched["prediction"] == "there are fewer than 100 answers of the champion"


def test_few_rows_a_day_are_pooled_and_too_few_have_no_verdict(pets):
    for step in range(6):
        pets.log(step, watched.pets(40, seed=step, heavier=3))
    assert pets.look(1).columns == []
    assert pets.look(1).why == "80 rows in the 14 days up to it, and 100 are needed"
    assert pets.look(2).alarms == []
    assert column(pets.look(2), "weight").rows == 120
    assert pets.look(5).alarms == ["weight"]


def test_without_rows_a_log_or_a_version_there_is_no_verdict(tmp_path, pets):
    assert pets.look(0).why == "0 rows in the 14 days up to it, and 100 are needed"
    nobody = look.look(watched.project(tmp_path / "empty"), watched.declared(), FIRST)
    assert nobody.why == "no version is live here"
    assert nobody.columns == []


def test_a_sensitive_column_is_not_watched_and_its_values_appear_nowhere(pets):
    hide(pets, "colour")
    for step in range(2):
        pets.log(step, watched.pets(200, seed=step, colour="a secret"))
    found = pets.look(1)
    assert found.unwatched["colour"] == "sensitive"
    assert "Not watched, because sensitive: colour." in found.said
    assert "secret" not in json.dumps(found.content())
    for path in (pets.state / "watch").rglob("*.parquet"):
        assert b"secret" not in path.read_bytes()


def test_the_days_before_can_be_the_reference(pets):
    for step in range(8):
        pets.log(step, watched.pets(200, seed=step, heavier=2))
    assert pets.look(7).alarms == ["weight"]
    found = pets.look(7, reference=5)
    assert found.alarms == []
    assert found.reference == "the 5 days before"
    pets.log(8, watched.pets(200, seed=8))
    pets.log(9, watched.pets(200, seed=9))
    assert pets.look(9, reference=5).alarms == ["weight"]
    assert "fewer than 100 rows to compare with" in pets.look(0, reference=5).why


def test_a_look_has_only_what_json_knows(pets):
    for step in range(2):
        pets.log(step, watched.pets(150, seed=step, weight=None))
    content = json.loads(json.dumps(pets.look(1).content(), allow_nan=False))
    assert content["day"] == "2026-11-03"
    assert content["columns"][0]["now"]["missing"] == 1
    assert content["alarms"] == ["weight"]


def test_the_same_season_can_be_the_reference(pets):
    """In winter pets are heavier, as they were in the winter of training."""
    year = [
        row | {"born": f"2023-{month:02d}-01T00:00:00+00:00"}
        for month in range(1, 13)
        for row in watched.pets(200, seed=month, heavier=3 if month in (10, 11, 12) else 0)
    ]
    stages = watched.stages(pets.state / "stages", year, year[::5])
    reference.write(stages, watched.PETS, {"categories": ["colour"]}, pets.folder / reference.NAME)
    for step in range(2):
        pets.log(step, watched.pets(300, seed=20 + step, heavier=3))
    assert pets.look(1).alarms == ["weight"]
    found = pets.look(1, reference="season")
    assert found.alarms == []
    assert found.reference == "the same season of the training rows"


def test_without_enough_rows_of_a_season_all_are_the_reference_and_that_is_said(pets):
    for step in range(2):
        pets.log(step, watched.pets(300, seed=step))
    found = pets.look(1, reference="season")
    assert found.reference == "all training rows, because fewer than 100 are of this season"
    assert found.alarms == []


def test_a_private_column_is_compared_and_its_values_are_not_shown(pets):
    path = pets.folder / "reading" / "reading.json"
    content = json.loads(path.read_text())
    private = {"weight": {"bin": 0.001}, "colour": {"mask": {"first": 5}}}
    path.write_text(json.dumps(content | {"hash_key": "", "rules": content["rules"] | {"private": private}}))
    for step in range(2):
        pets.log(step, watched.pets(200, seed=step, heavier=4, colour="white"))
    found = pets.look(1)
    assert {"weight", "colour"} <= set(found.alarms)
    assert "`weight` has changed: its values are private" in found.said
    assert set(column(found, "weight").now_) == {"rows", "missing"}
    assert "white" not in json.dumps(found.content())


def test_a_summary_without_a_point_that_told_of_somebody_can_be_compared(pets):
    """As `ratchet forget` leaves it (flows/forget/summaries.py)."""
    for step in range(2):
        pets.log(step, watched.pets(150, seed=step, weight=9.0))
        pets.update(step + 1)
    for path in (pets.state / "watch" / "pets" / "days").iterdir():
        about, lines = columns.about(path), columns.read(path)
        forgotten = [
            replace(line, points=[], below=[], exact=False) if line.name == "weight" else line for line in lines
        ]
        columns.write(path, forgotten, about)
    found = pets.look(1)
    assert column(found, "weight").rows == 150
    assert found.alarms == []


def test_a_damaged_file_of_the_log_is_told_and_the_other_days_are_compared(pets):
    for step in range(3):
        pets.log(step, watched.pets(200, seed=step, heavier=3))
    (part,) = (pets.state / "answers" / "pets" / "2026-11-03").iterdir()
    part.write_bytes(part.read_bytes()[:-200])
    found = pets.look(2)
    assert found.alarms == ["weight"]
    assert found.unwatched["2026-11-03"].startswith("its log cannot be read: ")
    assert "Without 2026-11-03: its log cannot be read" in found.said
