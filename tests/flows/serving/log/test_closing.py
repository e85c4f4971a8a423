"""Closing: lines become Parquet, and no row is lost or doubled, whenever it is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pyarrow.parquet as pq
import pytest

from flows.serving.answer import Answer
from flows.serving.log import closing, layout
from flows.serving.log.writer import Log
from tests.support.served.answered import EVER, KEY, NOON, answered, ids, kept, version
from tests.support.world import ROOT

TOMORROW = (NOON + timedelta(days=1)).date()


def filled(answers, rows: int = 3, worker: int = 0, at=NOON, **more) -> list[str]:
    """The ids of rows that a worker has written that ended."""
    log = Log(answers, worker, KEY)
    names = [f"{worker}.{number}" for number in range(rows)]
    assert log.write(answered([{"age": 1.5, "city": "Oslo"}] * rows, version(**more)), names, at)
    log.close()
    return names


def files(answers) -> list[str]:
    return sorted(path.suffix for path in answers.rglob("*") if path.is_file() and path.name != "closing.lock")


def test_lines_that_are_written_are_left_alone(tmp_path):
    log = Log(tmp_path, 0, KEY)
    assert log.write(answered([{"age": 1}], version()), ["a"], NOON)
    assert closing.close_all(tmp_path, TOMORROW) == []
    assert files(tmp_path) == [".jsonl"]
    log.close()
    assert closing.close_all(tmp_path, TOMORROW) == []
    assert files(tmp_path) == [".parquet"]
    assert ids(tmp_path) == ["a"]


def test_the_columns_have_the_types_of_their_values(tmp_path):
    log = Log(tmp_path, 0, KEY)
    rows = [{"age": 1, "zip": 8000, "old": True, "none": None}, {"age": 2.5, "zip": "08000", "tags": [1, "a"]}]
    assert log.write(answered(rows, version(), Answer(3, {"3": 1.0}, time="2026-12-01")), ["a", "b"], NOON)
    log.close()
    closing.close_all(tmp_path, TOMORROW)
    (path,) = tmp_path.rglob("*.parquet")
    assert (path.parent.name, path.name) == ("2026-11-29", "0-120000000000.parquet")
    schema = pq.read_schema(path)
    assert {one.name: str(one.type) for one in schema if one.name != "row"} == {
        "id": "string",
        "at": "timestamp[us, tz=UTC]",
        "version": "int64",
        "model_hash": "string",
        "prediction": "int64",
        "probability_3": "float",
        "unknown": "list<element: string>",
        "time": "string",
    }
    row = schema.field("row").type
    assert {one.name: str(one.type) for one in row} == {
        "age": "double",
        "zip": "string",
        "old": "string",
        "none": "null",
        "tags": "string",
    }
    assert [row["row"] for row in kept(tmp_path)] == [
        {"age": 1.0, "zip": "8000", "old": "true", "none": None, "tags": None},
        {"age": 2.5, "zip": "08000", "old": None, "none": None, "tags": '[1,"a"]'},
    ]
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"
    assert schema.metadata == {b"format": b"1", b"model": b"shop"}


def test_the_reference_lists_every_column(tmp_path):
    log = Log(tmp_path, 0, KEY)
    by = replace(version(), variant="int8")
    assert log.write(answered([{"age": 1}], by, Answer("yes", {"yes": 1.0}, time="2026")), ["a"], NOON)
    log.close()
    closing.close_all(tmp_path, TOMORROW)
    (path,) = tmp_path.rglob("*.parquet")
    text = (ROOT / "docs" / "reference" / "state.md").read_text(encoding="utf-8")
    table = text.split("\n| column | type |\n")[1].split("\n\n")[0]
    listed = [name.replace("<class>", "yes") for name in re.findall(r"^\| `(\S+)` \|", table, re.MULTILINE)]
    assert listed == pq.read_schema(path).names


@pytest.mark.parametrize(
    ("answer", "type_"), [(Answer(2.0), "double"), (Answer(2), "int64"), (Answer("two"), "string")]
)
def test_a_prediction_has_the_type_of_its_target(tmp_path, answer, type_):
    log = Log(tmp_path, 0, KEY)
    assert log.write(answered([{"age": 1}], version(), answer), ["a"], NOON)
    log.close()
    closing.close_all(tmp_path, TOMORROW)
    (path,) = tmp_path.rglob("*.parquet")
    assert str(pq.read_schema(path).field("prediction").type) == type_


@pytest.mark.parametrize("torn", [b'{"id":"torn","at":"2026-', b"\0" * 4096, b"\xff\n{}\n"])
def test_lines_that_a_power_failure_tore_are_passed_over_and_counted(tmp_path, torn):
    names = filled(tmp_path)
    (path,) = tmp_path.rglob("*.jsonl")
    path.write_bytes(path.read_bytes() + torn)
    assert ids(tmp_path) == names
    closing.close_all(tmp_path, TOMORROW)
    assert ids(tmp_path) == names
    (path,) = tmp_path.rglob("*.parquet")
    assert pq.read_schema(path).metadata[b"torn"] == str(max(1, torn.count(b"\n"))).encode()


def test_a_file_without_a_line_leaves_nothing(tmp_path):
    filled(tmp_path)
    (path,) = tmp_path.rglob("*.jsonl")
    path.write_bytes(b"")
    assert closing.close_all(tmp_path, TOMORROW) == []
    assert files(tmp_path) == []


def test_several_that_close_at_once_do_it_once(tmp_path):
    names = [name for worker in range(4) for name in filled(tmp_path, worker=worker)]
    threads = [threading.Thread(target=closing.close_all, args=(tmp_path, TOMORROW)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert files(tmp_path) == [".parquet"] * 4
    assert ids(tmp_path) == names


def test_what_cannot_be_closed_is_told_and_kept(tmp_path):
    names = filled(tmp_path, worker=0) + filled(tmp_path, worker=1, at=NOON + timedelta(days=1))
    (tmp_path / "shop" / "2026-11-29").write_text("in the way")
    (problem,) = closing.close_all(tmp_path, TOMORROW)
    assert "2026-11-29.0-120000000000.jsonl could not be closed" in problem
    assert files(tmp_path) == ["", ".jsonl", ".parquet"]
    (tmp_path / "shop" / "2026-11-29").unlink()
    assert closing.close_all(tmp_path, TOMORROW) == []
    assert ids(tmp_path) == names


KILLED = """
import itertools, os, shutil, signal, sys
from datetime import date
from pathlib import Path
import pyarrow
from flows.serving.log import closing

def killed(answers, at):
    # Close in a process that is killed before its line number `at` of closing.py; whether it came so far.
    process = os.fork()
    if process:
        return os.WIFSIGNALED(os.waitpid(process, 0)[1])
    left = [at]
    def step(frame, event, _):
        if frame.f_code.co_filename == closing.__file__:
            left[0] -= event == "line"
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return step
    sys.settrace(step)
    closing.close_all(answers, date(2026, 11, 30))
    os._exit(0)

pyarrow.array(["once, before the processes begin"])
folder = Path(sys.argv[1])
for number in itertools.count(1):
    shutil.copytree(folder / "whole", folder / str(number))
    if not killed(folder / str(number), number):
        break
"""


def test_a_kill_at_any_line_loses_and_doubles_no_row(tmp_path):
    """The process that closes log number n is killed before the n-th line that it runs; the last one ends by itself."""
    names = filled(tmp_path / "whole")
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    states = Counter()
    for log in tmp_path.iterdir():
        states[tuple(files(log))] += 1
        assert ids(log) == names
        assert closing.close_all(log, TOMORROW) == []
        assert files(log) == [".parquet"]
        assert ids(log) == names
    assert set(states) == {(".jsonl",), (".jsonl", ".partial"), (".jsonl", ".parquet"), (".parquet",)}
    assert states.total() > 50


WRITES = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from flows.serving.log.writer import Log
from tests.support.served.answered import KEY, answered, version

log = Log(Path(sys.argv[1]), int(sys.argv[2]), KEY)
for number in range(10 ** 9):
    name = f"{sys.argv[2]}.{number}"
    assert log.write(answered([{"text": "x" * 500}], version()), [name], datetime.now(UTC))
    print(name, flush=True)
"""


def test_what_was_acknowledged_outlives_a_kill_of_the_process(tmp_path):
    workers = [
        subprocess.Popen([sys.executable, "-c", WRITES, str(tmp_path), str(worker)], cwd=ROOT, stdout=subprocess.PIPE)
        for worker in range(2)
    ]
    told = []
    for worker in workers:
        told += [worker.stdout.readline().decode().strip() for _ in range(500)]
        os.kill(worker.pid, signal.SIGKILL)
        told += worker.stdout.read().decode().split("\n")[:-1]
        worker.wait()
        worker.stdout.close()
    found = ids(tmp_path)
    assert len(found) == len(set(found))
    assert set(told) <= set(found)
    assert len(found) <= len(told) + 2  # one of each worker may have been written and not told
    assert closing.close_all(tmp_path, TOMORROW) == []
    assert files(tmp_path) == [".parquet", ".parquet"]
    assert ids(tmp_path) == found


def live(answers, **serve) -> None:
    """What the log may take, in <state>/serving/shop/live.json."""
    path = answers.parent / "serving" / "shop" / "live.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"serve": serve}))


def days(answers) -> list[str]:
    return sorted(row["id"] for row in kept(answers, *EVER))


def old(answers) -> None:
    """One row on each of five days, the last of them today; its id is how many days ago."""
    for ago in range(5):
        log = Log(answers, 0, KEY)
        assert log.write(answered([{"text": "x" * 100}], version()), [f"{ago}"], NOON - timedelta(days=ago))
        log.close()


def test_days_that_are_too_old_are_deleted(tmp_path):
    answers = tmp_path / "answers"
    old(answers)
    closing.close_all(answers, NOON.date())
    assert days(answers) == ["0", "1", "2", "3", "4"]  # no limit is known
    live(answers, keep_days=2, largest_gb=5)
    closing.close_all(answers, NOON.date())
    assert days(answers) == ["0", "1", "2"]


def test_the_oldest_days_are_deleted_until_the_rest_is_small_enough_and_never_today(tmp_path):
    answers = tmp_path / "answers"
    old(answers)
    closing.close_all(answers, NOON.date())
    one = layout.bytes_of(answers / "shop", NOON.date())
    live(answers, keep_days=180, largest_gb=3.5 * one / 1e9)
    closing.close_all(answers, NOON.date())
    assert days(answers) == ["0", "1", "2"]
    live(answers, keep_days=180, largest_gb=1e-9)
    closing.close_all(answers, NOON.date())
    assert days(answers) == ["0"]


def test_limits_that_cannot_be_read_are_told(tmp_path):
    answers = tmp_path / "answers"
    filled(answers)
    live(answers)
    (tmp_path / "serving" / "shop" / "live.json").write_text("{")
    (problem,) = closing.close_all(answers, TOMORROW)
    assert "could not be held to the limits of `serve:`" in problem
