"""Live: the version that live.json names answers, and another one takes its place without a lost request."""

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from flows.serving.engine import live
from flows.serving.engine.live import Served
from flows.serving.engine.loaded import PIECE
from flows.serving.problem import Problem
from tests.support.served import versions
from tests.support.served.versions import pets_row

PATIENCE = 60.0  # seconds
ROW = {"age": 3, "colour": None}  # of `weights`, whose version n answers 6 + (n - 1) / 10


@pytest.fixture(autouse=True)
def _often(monkeypatch):
    """Half a second is long for a test."""
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.01)


def served(state: Path, work: Callable[[Served], Awaitable[Any]], models: list[str] | None = None) -> Any:
    """What `work` returns of the models of a state folder."""

    async def run() -> Any:
        found = Served(state, models)
        await found.start()
        try:
            return await asyncio.wait_for(work(found), PATIENCE)
        finally:
            await found.close()

    return asyncio.run(run())


async def until(true: Callable[[], bool]) -> None:
    while not true():
        await asyncio.sleep(0.005)


async def number(found: Served, model: str = "weights") -> float:
    """The answer to ROW."""
    answered = await found.models[model].answer([ROW])
    return float(answered.answers[0].prediction)


def test_every_model_of_the_state_is_served_or_the_chosen_ones(tmp_path):
    for model in versions.MODELS:
        versions.promote(tmp_path, model)

    async def names(found: Served) -> list[str]:
        for name, one in found.models.items():
            answered = await one.answer(versions.MODELS[name].examples)
            assert len(answered.answers) == len(versions.MODELS[name].examples)
            assert answered.version.model == name
        return sorted(found.models)

    assert served(tmp_path, names) == sorted(versions.MODELS)
    assert served(tmp_path, names, ["pets", "none"]) == ["pets"]


def test_the_answers_to_a_class_have_its_probabilities_and_what_was_unknown(tmp_path):
    versions.promote(tmp_path)

    async def answers(found: Served) -> list[Any]:
        return (await found.models["pets"].answer([pets_row(), pets_row(weight=3.5, colour="blue")])).answers

    dog, cat = served(tmp_path, answers)
    assert (dog.prediction, cat.prediction) == ("dog", "cat")
    assert dog.probabilities["dog"] > 0.9 > 0.1 > cat.probabilities["dog"]
    assert sum(dog.probabilities.values()) == pytest.approx(1.0, abs=1e-6)
    assert (dog.unknown, cat.unknown) == ((), ("colour",))


@pytest.mark.parametrize("rows", [1, PIECE, PIECE + 1, 1000])
def test_a_large_request_has_its_answers_in_order(tmp_path, rows):
    versions.promote(tmp_path, "weights")

    async def answers(found: Served) -> list[Any]:
        return (await found.models["weights"].answer([ROW | {"age": age} for age in range(rows)])).answers

    assert [one.prediction for one in served(tmp_path, answers)] == [2.0 * age for age in range(rows)]


def test_a_large_request_lets_others_have_their_turn(tmp_path):
    versions.promote(tmp_path, "weights")

    async def answered_before(found: Served) -> bool:
        large = asyncio.create_task(found.models["weights"].answer([ROW] * 20_000))
        await asyncio.sleep(0)
        await number(found)
        before = not large.done()
        await large
        return before

    assert served(tmp_path, answered_before)


def test_a_row_that_does_not_fit_is_told_with_its_place_in_a_large_request(tmp_path):
    versions.promote(tmp_path, "weights")

    async def problem(found: Served) -> Problem:
        with pytest.raises(Problem) as caught:
            await found.models["weights"].answer([ROW] * 200 + [ROW | {"age": "old"}])
        with pytest.raises(Problem, match="no row"):
            await found.models["weights"].answer([])
        return caught.value

    assert served(tmp_path, problem).row == 201


def test_an_answer_that_is_no_number_is_a_problem_of_its_row(tmp_path):
    versions.promote(tmp_path, "weights")

    async def problem(found: Served) -> Problem:
        with pytest.raises(Problem, match="The answer to row 101 is not a finite number") as caught:
            await found.models["weights"].answer([ROW] * 100 + [ROW | {"age": 1e300}])
        return caught.value

    assert served(tmp_path, problem).status == 400


def test_requests_over_promotions_and_rollbacks_are_all_answered_by_the_version_that_they_name(tmp_path):
    versions.promote(tmp_path, "weights", 1)
    ended, seen = asyncio.Event(), set()

    async def ask(found: Served) -> None:
        while not ended.is_set():
            answered = await found.models["weights"].answer([ROW] * 3)
            named = answered.version.number
            seen.add(named)
            for one in answered.answers:
                assert one.prediction == pytest.approx(6 + (named - 1) / 10, abs=1e-5)
            await asyncio.sleep(0)

    async def promotions(found: Served) -> None:
        askers = [asyncio.create_task(ask(found)) for _ in range(8)]
        for version in (2, 3, 2, 1, 4, 3, 5, 1):
            versions.promote(tmp_path, "weights", version)
            await until(lambda version=version: found.models["weights"].version.number == version)
            await asyncio.sleep(0.01)
        ended.set()
        await asyncio.gather(*askers)

    served(tmp_path, promotions)
    assert seen == {1, 2, 3, 4, 5}


def test_what_cannot_be_loaded_keeps_the_old_version_and_says_so_until_it_is_repaired(tmp_path):
    versions.promote(tmp_path, "weights", 1)

    async def broken(found: Served) -> None:
        one = found.models["weights"]
        folder = versions.make(tmp_path, "weights", 2)
        (folder / "columns.json").write_text("{}")
        versions.point(tmp_path, "weights", 2, folder)
        await until(lambda: one.problem != "")
        assert "columns.json is not the recorded one" in one.problem
        assert one.version.number == 1
        assert await number(found) == 6.0
        versions.promote(tmp_path, "weights", 2)
        await until(lambda: one.version.number == 2)
        assert one.problem == ""

    served(tmp_path, broken)


def test_a_version_that_failed_is_tried_again_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "AGAIN_SECONDS", 0.05)
    folder = versions.promote(tmp_path, "weights", 1)
    shutil.move(folder / "reading", tmp_path / "away")

    async def again(found: Served) -> None:
        one = found.models["weights"]
        assert "is missing, but named in" in one.problem
        with pytest.raises(Problem) as caught:
            await one.answer([ROW])
        assert (caught.value.status, caught.value.detail) == (503, one.problem)
        shutil.move(tmp_path / "away", folder / "reading")
        await until(lambda: one.version is not None)
        assert one.problem == ""

    served(tmp_path, again)


def test_a_broken_live_json_keeps_the_old_version(tmp_path):
    versions.promote(tmp_path, "weights", 1)

    async def broken(found: Served) -> None:
        (tmp_path / "serving" / "weights" / "live.json").write_text("{")
        await until(lambda: found.models["weights"].problem != "")
        assert "live.json cannot be read" in found.models["weights"].problem
        assert await number(found) == 6.0

    served(tmp_path, broken)


def test_a_model_may_lose_its_champion_and_models_may_come_and_go(tmp_path):
    versions.promote(tmp_path, "weights", 1)

    async def changes(found: Served) -> None:
        versions.retire(tmp_path, "weights", "The ledger has no champion.")
        await until(lambda: found.models["weights"].version is None)
        with pytest.raises(Problem, match="The ledger has no champion") as caught:
            await number(found)
        assert caught.value.status == 503
        versions.promote(tmp_path, "pets")
        await until(lambda: "pets" in found.models and found.models["pets"].version is not None)
        shutil.rmtree(tmp_path / "serving" / "weights")
        await until(lambda: "weights" not in found.models)

    served(tmp_path, changes)


def test_the_problem_of_live_json_is_told_while_its_version_is_served(tmp_path):
    versions.promote(tmp_path, "weights", 1, problem="The alias names another version.")

    async def both(found: Served) -> tuple[str, float]:
        return found.models["weights"].problem, await number(found)

    assert served(tmp_path, both) == ("The alias names another version.", 6.0)


def test_a_change_of_the_section_serve_is_followed(tmp_path):
    folder = versions.promote(tmp_path, "weights", 1)

    async def followed(found: Served) -> None:
        versions.point(tmp_path, "weights", 1, folder, serve={"log": False}, sensitive=["age"])
        await until(lambda: found.models["weights"].version.serve == {"log": False})
        with pytest.raises(Problem) as caught:
            await found.models["weights"].answer([ROW | {"age": "a secret"}])
        assert "secret" not in json.dumps(caught.value.content())

    served(tmp_path, followed)


def test_a_state_folder_without_models_serves_none(tmp_path):
    async def names(found: Served) -> list[str]:
        return list(found.models)

    assert served(tmp_path / "none", names) == []


def test_who_starts_does_not_wait_for_a_model_that_takes_long_to_load(tmp_path, monkeypatch):
    monkeypatch.setattr(live, "START_SECONDS", 0.0)
    versions.promote(tmp_path, "weights")

    async def loading(found: Served) -> None:
        with pytest.raises(Problem, match="Version 1 of weights is being loaded") as caught:
            await number(found)
        assert caught.value.status == 503
        await until(lambda: found.models["weights"].version is not None)
        assert await number(found) == 6.0

    served(tmp_path, loading)
