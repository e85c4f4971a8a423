"""What answers beside the champion, by a real server: unseen, or for some callers; and nobody loses an answer by it."""

import json
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from flows.serving.log.lines import share
from flows.serving.log.reading import AnsweredRows
from tests.support.served import versions
from tests.support.served.running import Running, server, until

ROW = {"age": 3, "colour": None}  # of `weights`, whose version n answers 6 + (n - 1) / 10
EVER = (date(2000, 1, 1), date(2100, 1, 1))


def trial(state: Path, role: str, champion: int = 1, other: int = 2, **more: Any) -> None:
    """The live.json of a champion, with another version beside it."""
    folder = versions.promote(state, "weights", other)
    path = state / "serving" / "weights" / "live.json"
    told = json.loads(path.read_text())
    beside = {name: told[name] for name in told if name not in ("format", "model", "serve", "problem", "previous")}
    beside |= {"role": role, "share": 1.0, "key": []} | more
    assert folder.is_dir()
    versions.promote(state, "weights", champion, beside=beside)


def kept(state: Path, folder: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows and the gaps of a log."""
    with ExitStack() as stack:
        found = stack.enter_context(AnsweredRows(state / folder, "weights", *EVER))
        return [row for batch in found.batches() for row in batch.to_pylist()], found.gaps


def told(found: Running) -> dict[str, Any]:
    return dict(found.get("/models/weights").json()["trial"] or {})


def ready(found: Running) -> bool:
    return bool(told(found)) and not told(found)["problem"]


def test_a_shadow_answers_the_same_rows_unseen_until_the_trial_ends(tmp_path):
    trial(tmp_path, "shadow")
    with server(tmp_path) as found:
        until(lambda: ready(found))
        answers = found.post("/models/weights/predict", [ROW | {"age": age} for age in range(40)]).json()["answers"]
        found.post("/models/weights/predict", {"age": "old", "colour": None})  # which the champion refuses
        until(lambda: told(found)["answered"] == 40)
        assert [one["prediction"] for one in answers] == [2.0 * age for age in range(40)]
        versions.promote(tmp_path, "weights", 1)
        until(lambda: not told(found))
        assert found.stop() == 0
    seen, unseen = kept(tmp_path, "answers")[0], kept(tmp_path, "shadow")[0]
    assert [row["id"] for row in unseen] == [row["id"] for row in seen] == [one["id"] for one in answers]
    assert [row["at"] for row in unseen] == [row["at"] for row in seen]
    assert {row["version"] for row in seen} == {1}
    assert {row["version"] for row in unseen} == {2}
    assert [row["prediction"] for row in unseen] == pytest.approx([2.0 * age + 0.1 for age in range(40)], abs=1e-5)
    assert "row" not in unseen[0]


def test_rows_that_a_shadow_cannot_answer_are_counted_and_are_gaps_and_the_caller_sees_nothing(tmp_path):
    folder = versions.promote_keras(tmp_path, "weights", 2)  # which fails at 13
    path = tmp_path / "serving" / "weights" / "live.json"
    content = json.loads(path.read_text())
    beside = content | {"role": "shadow", "share": 1.0, "key": []}
    assert folder.is_dir()
    versions.promote(tmp_path, "weights", 1, beside=beside)
    with server(tmp_path) as found:
        until(lambda: ready(found))
        said = found.post("/models/weights/predict", [ROW | {"age": age} for age in (12, 13, 14)])
        assert [one["prediction"] for one in said.json()["answers"]] == [24.0, 26.0, 28.0]
        until(lambda: told(found)["failed"] == 1)
        assert told(found)["answered"] == 2
        found.stop()
    rows, gaps = kept(tmp_path, "shadow")
    assert [row["prediction"] for row in rows] == pytest.approx([24.1, 28.1], abs=1e-5)
    assert [(gap["rows"], gap["why"]) for gap in gaps] == [(1, "no answer: model")]


def test_a_shadow_that_cannot_be_loaded_is_told_and_the_champion_answers(tmp_path):
    trial(tmp_path, "before", files_hash="0" * 64)
    with server(tmp_path) as found:
        until(lambda: "is not the recorded one" in told(found).get("problem", ""))
        assert found.post("/models/weights/predict", ROW).json()["version"] == 1
        assert told(found)["skipped"] == 1


def test_a_caller_has_the_answers_of_one_version_in_answer_and_log(tmp_path):
    trial(tmp_path, "canary", share=0.5, key=["who"])
    rows = [ROW | {"who": who} for who in range(40)]
    chosen = {who for who in range(40) if share(f"weights\0002\0{who}") < 0.5}
    assert 5 < len(chosen) < 35
    with server(tmp_path) as found:
        until(lambda: ready(found))
        for _ in range(2):
            said = found.post("/models/weights/predict", rows).json()
            by = [one.get("version", said["version"]) for one in said["answers"]]
            assert [number == 2 for number in by] == [who in chosen for who in range(40)]
            for number, one in zip(by, said["answers"], strict=True):
                assert one["prediction"] == pytest.approx(6 + (number - 1) / 10, abs=1e-5)
        for who in (0, 1, 2, 3):
            one = found.post("/models/weights/predict", ROW | {"who": str(who)}).json()
            assert one["version"] == (2 if who in chosen else 1)
        assert found.post("/models/weights/predict", ROW).json()["version"] == 1  # nobody knows whose row it is
        logged = {row["id"]: row["version"] for row in kept(tmp_path, "answers")[0]}
    for number, one in zip(by, said["answers"], strict=True):
        assert logged[one["id"]] == number


def test_where_a_canary_has_no_answer_the_champion_answers(tmp_path):
    versions.promote_keras(tmp_path, "weights", 2)
    content = json.loads((tmp_path / "serving" / "weights" / "live.json").read_text())
    versions.promote(tmp_path, "weights", 1, beside=content | {"role": "canary", "share": 1.0, "key": []})
    with server(tmp_path) as found:
        until(lambda: ready(found))
        assert found.post("/models/weights/predict", ROW).json()["version"] == 2
        said = found.post("/models/weights/predict", ROW | {"age": 13}).json()
        assert (said["version"], said["prediction"], told(found)["failed"]) == (1, 26.0, 1)
        wrong = found.post("/models/weights/predict", [ROW, ROW | {"age": "old"}])
        assert (wrong.status_code, wrong.json()["row"]) == (400, 2)
