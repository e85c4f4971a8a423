"""The log of a worker: what is kept of an answered row, and what happens when it cannot be kept."""

import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from flows.serving.answer import Answer
from flows.serving.log import closing, reading, writer
from flows.serving.log.columns import text
from flows.serving.log.lines import share
from flows.serving.log.writer import Log
from tests.support import unprivileged
from tests.support.served.answered import EVER, KEY, NOON, ids, kept, version, write
from tests.support.world import ROOT

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53)
NESTED = st.lists(st.integers(0, 255), max_size=3)
VALUES = st.none() | NUMBERS | st.booleans() | st.text(max_size=5) | NESTED
ROWS = st.lists(st.dictionaries(st.sampled_from(["age", "id", "row", "x.y", "ø"]), VALUES), min_size=1, max_size=6)


@pytest.fixture
def log(tmp_path):
    log = Log(tmp_path / "answers", 0, KEY)
    yield log
    log.close()


def test_a_row_is_kept_with_its_answer(log, tmp_path):
    assert write(log, [{"age": 7, "city": "Oslo"}], answer=Answer("no", {"no": 0.875, "yes": 0.125}, ("city",)))
    assert kept(tmp_path / "answers") == [
        {
            "id": "row 0",
            "at": NOON,
            "version": 7,
            "model_hash": f"{7:064x}",
            "prediction": "no",
            "probability_no": 0.875,
            "probability_yes": 0.125,
            "unknown": ["city"],
            "row": {"age": 7.0, "city": "Oslo"},
        }
    ]


@given(rows=ROWS)
def test_every_value_comes_back_open_or_closed(tmp_path_factory, rows):
    """As it came; in a column that has other values than numbers, as text."""
    folder = tmp_path_factory.mktemp("log") / "answers"
    log = Log(folder, 0, KEY)
    assert write(log, rows)
    names = dict.fromkeys(name for row in rows for name in row)
    numbers = {name: all(row.get(name) is None or type(row[name]) in (int, float) for row in rows) for name in names}
    wanted = [
        {name: value if (value := row.get(name)) is None or numbers[name] else text(value) for name in names}
        for row in rows
    ]
    assert [row.get("row", {}) for row in kept(folder)] == wanted
    log.close()
    assert closing.close_all(folder, NOON.date()) == []
    assert [row.get("row", {}) for row in kept(folder)] == wanted


@pytest.mark.parametrize("value", [10**30, "half \ud800", float("nan")])
def test_a_value_that_json_cannot_hold_loses_no_row(log, tmp_path, value):
    assert write(log, [{"age": value}])
    assert ids(tmp_path / "answers") == ["row 0"]


def test_a_picture_that_came_as_bytes_is_kept_as_base64(log, tmp_path):
    assert write(log, [{"image": bytes(range(3))}])
    assert kept(tmp_path / "answers")[0]["row"] == {"image": "AAEC"}


def test_nothing_is_kept_of_a_model_that_wants_no_log(log, tmp_path):
    assert not write(log, [{"age": 7}], version(log=False))
    assert list(tmp_path.rglob("*.jsonl")) == []


def test_the_same_ids_are_drawn_into_the_sample_by_every_worker(tmp_path):
    names = [f"id {number}" for number in range(400)]
    for worker in (0, 1):
        with_all = Log(tmp_path / str(worker), worker, KEY)
        assert [write(with_all, [{"age": 1}], version(sample=0.25), names=[name]) for name in names] == [
            share(name) < 0.25 for name in names
        ]
        with_all.close()
    assert ids(tmp_path / "0") == ids(tmp_path / "1")
    assert 60 < len(ids(tmp_path / "0")) < 140  # 100 are expected, with a standard deviation of 9


def test_a_request_of_which_the_sample_takes_a_part_is_not_called_logged(log, tmp_path):
    names = ["in", "out"]
    between = version(sample=sum(share(name) for name in names) / 2)
    assert not write(log, [{"age": 1}, {"age": 2}], between, names=names)
    assert ids(tmp_path / "answers") == [min(names, key=share)]


def secret_rows():
    return [{"age": 7, "name": "Ms Secret"}, {"rows": [{"name": "Ms Secret", "price": 1.5}]}]


def test_a_sensitive_value_is_left_out_of_forecasts_too(log, tmp_path):
    assert write(log, secret_rows(), version(private=["name"]))
    (path,) = (tmp_path / "answers").rglob("*.jsonl")
    assert b"Secret" not in path.read_bytes()
    assert [row["row"] for row in kept(tmp_path / "answers")] == [
        {"age": 7.0, "rows": None},
        {"age": None, "rows": '[{"price":1.5}]'},
    ]


def test_a_sensitive_value_is_hashed_with_the_key(log, tmp_path):
    hashed = version(private=["name"], sensitive="hash")
    other = Log(tmp_path / "other", 0, b"another key")
    for one in (log, other):
        assert write(one, [*secret_rows(), {"name": "Mr Other"}, {"name": None}], hashed)
    assert not any(b"Secret" in path.read_bytes() for path in tmp_path.rglob("*.jsonl"))
    first, inner, second, none = (row["row"] for row in kept(tmp_path / "answers"))
    assert len(first["name"]) == 64
    assert json.loads(inner["rows"])[0]["name"] == first["name"] != second["name"]
    assert none["name"] is None
    assert kept(tmp_path / "other")[0]["row"]["name"] != first["name"]
    other.close()


@pytest.mark.parametrize("value", [10**30, "half \ud800", float("nan"), b"bytes", [1, {"a": None}]])
def test_every_sensitive_value_has_a_hash(log, tmp_path, value):
    assert write(log, [{"name": value}] * 2, version(private=["name"], sensitive="hash"))
    first, second = (row["row"]["name"] for row in kept(tmp_path / "answers"))
    assert first == second
    assert len(first) == 64


def test_only_its_user_may_read_the_log(log, tmp_path):
    assert write(log, [{"age": 1}])
    log.close()
    closing.close_all(tmp_path / "answers", NOON.date())
    found = [path for path in (tmp_path / "answers").rglob("*") if path.name != "closing.lock"]
    assert {path.suffix: oct(path.stat().st_mode & 0o777) for path in found} == {"": "0o700", ".parquet": "0o600"}


def test_a_new_day_has_a_new_file_and_so_has_a_long_one(log, tmp_path, monkeypatch):
    for hours in (0, 13, 14):
        assert write(log, [{"age": hours}], at=NOON + timedelta(hours=hours))
    assert [path.name[:12] for path in sorted(tmp_path.rglob("*.jsonl"))] == ["2026-11-29.0", "2026-11-30.0"]
    monkeypatch.setattr(writer, "LARGEST_FILE", 1)
    assert write(log, [{"age": 15}], at=NOON + timedelta(hours=15))
    assert len(list(tmp_path.rglob("*.jsonl"))) == 3
    assert [row["row"]["age"] for row in kept(tmp_path / "answers")] == [0, 13, 14, 15]


def test_a_day_that_takes_too_much_stops_the_log_until_tomorrow(log, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "LOOK", 0)
    monkeypatch.setattr(writer, "RETRY", 0)
    small = version(largest_gb=1e-6)  # a thousand bytes
    done = [write(log, [{"text": "x" * 200}], small, names=[f"{number}"]) for number in range(10)]
    assert done == [True] * done.index(False) + [False] * (10 - done.index(False))
    assert "The rows of today take 1." in log.problem["shop"]
    assert "`serve: largest_gb` allows 1e-06. Raise it, or lower `serve: sample`." in log.problem["shop"]
    assert not write(log, [{"text": "y"}], version(log=False))
    assert log.problem == {}, "who wants no log misses none"
    assert write(log, [{"text": "y"}], small, at=NOON + timedelta(days=1))
    assert log.problem == {}
    with reading.AnsweredRows(tmp_path / "answers", "shop", *EVER) as found:
        (gap,) = found.gaps
    assert (gap["rows"], gap["from"]) == (done.count(False), NOON.isoformat())


def test_a_file_that_somebody_deletes_is_begun_anew(log, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "LOOK", 0)
    assert write(log, [{"age": 1}])
    shutil.rmtree(tmp_path / "answers")
    assert write(log, [{"age": 2}])
    assert [row["row"] for row in kept(tmp_path / "answers")] == [{"age": 2.0}]


def test_a_folder_in_which_nobody_may_write_stops_the_log_and_not_the_answers(tmp_path):
    code = f"""
from pathlib import Path
from flows.serving.log import writer
from flows.serving.log.writer import Log
from tests.support.served.answered import *
writer.RETRY = 0
folder = Path({str(tmp_path)!r}) / "answers"
folder.mkdir(mode=0o500)
log = Log(folder, 0, KEY)
assert not write(log, [{{"age": 1}}, {{"age": 2}}])
print(log.problem["shop"])
folder.chmod(0o700)
assert write(log, [{{"age": 3}}])
assert log.problem == {{}} and [row["row"] for row in kept(folder)] == [{{"age": 3.0}}]
"""
    done = unprivileged.python(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert f"may not read or write {tmp_path}/answers/shop" in done.stdout
    assert "Rows are answered and not logged until that is mended." in done.stdout


FULL = """
import resource
from pathlib import Path
from flows.serving.log import reading, writer
from flows.serving.log.writer import Log
from tests.support.served.answered import *
writer.RETRY = 0
log = Log(Path("answers"), 0, KEY)
{before}
done = [write(log, [{{"text": "x" * 300}}], names=[f"{{number}}"]) for number in range(1000)]
cut = done.index(False)
assert 10 < cut and not any(done[cut:]), done
print(log.problem["shop"])
(path,) = Path("answers").rglob("*.jsonl")
content = path.read_bytes()
assert content.endswith(b"\\n") and content.count(b"\\n") == cut  # whole lines alone
{after}
assert write(log, [{{"text": "y"}}], names=["last"])
assert log.problem == {{}}
assert ids(Path("answers")) == [*map(str, range(cut)), "last"]
with reading.AnsweredRows(Path("answers"), "shop", *EVER) as found:
    (gap,) = found.gaps
assert gap["rows"] == 1000 - cut and found.torn == 0, gap
"""


def run(code: str, where: Path, *before: str) -> subprocess.CompletedProcess[str]:
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*before, sys.executable, "-c", code], cwd=where, env=variables, capture_output=True, text=True, timeout=120
    )


def test_a_limit_of_file_sizes_stops_the_log_and_its_end_starts_it_again(tmp_path):
    """The limit cuts a line in two, as a full disk does."""
    most = "resource.setrlimit(resource.RLIMIT_FSIZE, ({}, resource.RLIM_INFINITY))"
    code = FULL.format(before=most.format(20_000), after=most.format("resource.RLIM_INFINITY"))
    done = run(code, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "would exceed the largest size of a file here" in done.stdout


def test_a_full_disk_stops_the_log_and_room_starts_it_again(tmp_path):
    mounts = ["unshare", "-rm"]
    if shutil.which("unshare") is None or subprocess.run([*mounts, "true"], capture_output=True).returncode:
        pytest.skip("this user may not mount: `make faults-root`")
    (tmp_path / "answers").mkdir()
    filled = 'other = Path("answers/other"); other.write_bytes(bytes(1 << 17))'
    mount = f'mount -t tmpfs -o size=256k small {tmp_path}/answers && exec "$@"'
    done = run(FULL.format(before=filled, after="other.unlink()"), tmp_path, *mounts, "sh", "-c", mount, "sh")
    assert done.returncode == 0, done.stderr
    assert f"The disk at {tmp_path}/answers is full" in done.stdout
