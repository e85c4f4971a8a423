"""Every line that was written is read again, and half a line does no harm."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

import pytest

from flows.project.environment import Project
from flows.records import attempts
from flows.records.attempts import Tick

TICK = Tick("pets", "skipped", "no new rows", "schedule", "run", "/here")


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path, tmp_path, "", "")


def write(root, number):
    attempts.write(Project(root, root, "", ""), replace(TICK, rows=number, reason="x" * 2000))


def test_what_is_written_is_read_in_order_with_its_instant(project):
    written = [attempts.write(project, replace(TICK, rows=number)) for number in range(3)]
    assert attempts.read(project, "pets") == written
    assert [tick.at for tick in written] == sorted(tick.at for tick in written)
    assert all(tick.at.endswith("+00:00") for tick in written)
    assert attempts.read(project, "other") == []


def test_a_line_that_a_kill_cut_off_is_left_out(project):
    kept = attempts.write(project, TICK)
    path = project.state / "ticks" / "pets.jsonl"
    path.write_bytes(path.read_bytes() + path.read_bytes()[:50])
    assert attempts.read(project, "pets") == [kept]
    after = attempts.write(project, TICK)
    assert attempts.read(project, "pets") == [kept, after]


def test_lines_of_several_processes_do_not_mix(project):
    with ProcessPoolExecutor(2) as pool:
        list(pool.map(write, [project.root] * 60, range(60)))
    assert sorted(tick.rows for tick in attempts.read(project, "pets")) == list(range(60))


def test_last_is_the_newest_that_is_wanted():
    lines = [replace(TICK, outcome=outcome) for outcome in ("accepted", "failed", "skipped")]
    assert attempts.last(lines, lambda tick: tick.outcome != "skipped") is lines[1]
    assert attempts.last(lines, lambda tick: tick.outcome == "began") is None
