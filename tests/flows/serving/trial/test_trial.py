"""What answers beside the champion, by a real server: unseen, or for some callers; and nobody loses an answer by it."""

import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

from flows.serving.log.lines import share
from flows.serving.log.reading import AnsweredRows
from tests.support.served import versions
from tests.support.served.running import Running, server, until

ROW = {"age": 3, "colour": None}  # of `weights`, whose version n answers 6 + (n - 1) / 10
ROWS = 'ratchet_trial_rows_total{{model="weights",outcome="{}",role="{}",version="2"}}'
EVER = (date(2000, 1, 1), date(2100, 1, 1))


def trial(state: Path, role: str, champion: int = 1, other: int = 2, **more: Any) -> None:
    """The live.json of a champion, with another version beside it."""
    aside, made = state / "aside", {}
    for number in (champion, other):  # made elsewhere, since a server may read those that are there
        source = versions.promote(aside, "weights", number)
        made[number] = state / source.relative_to(aside)
        if not made[number].exists():
            shutil.copytree(source, made[number])
    told = json.loads((aside / "serving" / "weights" / "live.json").read_text())
    beside = {name: told[name] for name in told if name not in ("format", "model", "serve", "problem", "previous")}
    beside |= {"role": role, "share": 1.0, "key": []} | more
    versions.point(state, "weights", champion, made[champion], beside=beside)


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


def test_no_request_is_lost_while_trials_begin_and_end_and_champions_change(tmp_path):
    trial(tmp_path, "shadow")
    moves = [("shadow", 1, 2), ("canary", 1, 3), ("before", 3, 1), ("shadow", 3, 2)] * 2
    asked: list[tuple[int, float]] = []
    ended = threading.Event()

    def ask(found: Running) -> None:
        with httpx.Client(timeout=60) as client:
            while not ended.is_set():
                one = client.post(f"{found.url}/models/weights/predict", json=ROW).raise_for_status().json()
                asked.append((one["version"], one["prediction"]))

    with server(tmp_path) as found, ThreadPoolExecutor(4) as pool:
        askers = [pool.submit(ask, found) for _ in range(4)]
        for role, champion, other in moves:
            trial(tmp_path, role, champion, other, share=0.5 if role == "canary" else 1.0)
            until(lambda role=role, other=other: (told(found).get("role"), told(found).get("version")) == (role, other))
            count = len(asked)
            until(lambda count=count: len(asked) > count + 20 or any(one.done() for one in askers))
        ended.set()
        for one in askers:
            one.result()
    assert {version for version, _ in asked} == {1, 3}
    for version, prediction in asked:
        assert prediction == pytest.approx(6 + (version - 1) / 10, abs=1e-5)


def test_metrics_have_the_rows_of_a_trial_and_nothing_without_one(tmp_path):
    trial(tmp_path, "shadow")
    with server(tmp_path) as found:
        until(lambda: ready(found))
        found.post("/models/weights/predict", [ROW] * 3)
        until(lambda: told(found)["answered"] == 3)
        text = found.get("/metrics").text
        assert 'ratchet_trial_problem{model="weights",role="shadow",version="2"} 0.0' in text
        assert f"{ROWS.format('answered', 'shadow')} 3.0" in text
        versions.promote(tmp_path, "weights", 1)
        until(lambda: not told(found))
        text = found.get("/metrics").text
        assert "ratchet_trial_problem" not in text
        assert f"{ROWS.format('answered', 'shadow')} 3.0" in text  # a count does not go back


@pytest.mark.parametrize("role", ["canary", "before"])
def test_rows_of_a_trial_are_added_up_over_the_processes_of_a_server(tmp_path, role):
    trial(tmp_path, role)

    def counted(found: Running, outcome: str) -> float:
        wanted = ROWS.format(outcome, role) + " "
        lines = found.get("/metrics").text.splitlines()
        return sum(float(line.removeprefix(wanted)) for line in lines if line.startswith(wanted))

    def ask(found: Running) -> str:
        """Three rows; returns what names the process that answered them."""
        said = found.post("/models/weights/predict", [ROW] * 3).json()
        if role == "before" or said["version"] == 2:  # a canary that is being loaded is not asked
            asked.append(3)
        return str(said["answers"][0]["id"][12:24])

    asked: list[int] = []
    processes: set[str] = set()
    with server(tmp_path, "--workers", "2") as found:
        until(lambda: processes.add(ask(found)) or len(processes) == 2)  # each connection goes to one of the two
        until(lambda: bool(ask(found)) and counted(found, "answered") > 0)
        for _ in range(20):
            ask(found)
        until(lambda: counted(found, "answered") + counted(found, "skipped") == sum(asked))
        assert counted(found, "answered") > 0
        for _ in range(5):  # whichever process says it
            assert counted(found, "answered") + counted(found, "skipped") == sum(asked)


def test_the_header_names_the_versions_that_answered(tmp_path):
    trial(tmp_path, "canary", share=0.5, key=["who"])
    chosen = [share(f"weights\0002\0{who}") < 0.5 for who in range(40)]
    mine, theirs = chosen.index(True), chosen.index(False)
    with server(tmp_path) as found:
        until(lambda: ready(found))
        asked = {"2": {"who": mine}, "1": {"who": theirs}}
        for version, who in asked.items():
            assert found.post("/models/weights/predict", ROW | who).headers["x-ratchet-version"] == version
            rows = {"dataframe_records": [ROW | who]}
            assert found.post("/models/weights/invocations", rows).headers["x-ratchet-version"] == version
        both = found.post("/models/weights/predict", [ROW | who for who in asked.values()])
        assert both.headers["x-ratchet-version"] == "1, 2"
        assert "x-ratchet-version" not in found.post("/models/weights/predict", {"age": "old"}).headers
