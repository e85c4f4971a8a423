"""Warm processes of a run: begun for what may have to run, in turn where cores are few."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flows.processes import fork_pool
from flows.project.environment import Project
from pipelines import model_file
from pipelines.config.stages import STAGES
from pipelines.hardware.device import Hardware
from pipelines.process.fork_server import VARIABLE
from tests.support.world import PATIENCE, ROOT, nothings, pets, until

FAKE = """
import os, time
place = os.open({place!r}, os.O_APPEND | os.O_CREAT | os.O_RDWR)
os.write(place, b"{kind} begins\\n")
end = time.monotonic() + {patience}
while os.pread(place, 1000, 0).count(b"begins") < 2 and time.monotonic() < end:
    time.sleep(0.02)
os.write(place, b"{kind} ends\\n")
raise ImportError("this is all that it does")
"""
MADE = 1_700_000_000.0  # when the last stage ended


@pytest.fixture
def project(world) -> Project:
    """With all files older than what the last stage has made."""
    world.pin(pets())
    arrivals = world.root / "data/incoming/pets/a.csv"
    for path in (arrivals, world.root / "pipelines/train.py", world.root / "data/pets/metrics.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for path in world.root.rglob("*"):
        os.utime(path, (MADE - 1, MADE - 1))
    os.utime(world.root / "data/pets/metrics.json", (MADE, MADE))
    (world.root / ".ratchet").mkdir()
    return Project(world.root, world.root / ".ratchet", "", "")


@pytest.mark.parametrize(
    ("younger", "stage"),
    [
        ("models/pets.yaml", "train"),
        ("data/incoming/pets/a.csv", "ingest"),
        ("data/incoming/pets/b.csv", "ingest"),
        ("pipelines/train.py", "ingest"),
        ("data/pets/pin.json", ""),
    ],
)
def test_what_is_younger_than_the_last_result_says_which_stage_may_run(project, younger, stage):
    declared = model_file.check("pets")
    assert fork_pool.first_stage(project, declared) == ""
    (project.root / younger).touch()
    assert fork_pool.first_stage(project, declared) == stage


def test_where_nothing_was_made_every_stage_may_run(project):
    (project.data("pets") / "metrics.json").unlink()
    assert fork_pool.first_stage(project, model_file.check("pets")) == "ingest"


@pytest.mark.parametrize(("cores", "in_turn"), [(1, True), (2, True), (4, False)])
def test_on_few_cores_one_imports_after_the_other(project, tmp_path, monkeypatch, cores, in_turn):
    """What is imported waits a while for the other, writes down when, and the processes end with its error."""
    told, patience = tmp_path / "told", 0.5 if in_turn else PATIENCE / 3
    (tmp_path / "fakes").mkdir()
    for kind, library in (("rules", "great_expectations"), ("networks", "tensorflow")):
        (tmp_path / f"fakes/{library}.py").write_text(FAKE.format(place=str(told), kind=kind, patience=patience))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'fakes'}:{ROOT}")
    monkeypatch.setattr(fork_pool, "_cores", lambda: cores)
    with fork_pool.opened(project) as shared:
        shared.begin("ingest", Hardware())
        until(lambda: told.exists() and told.read_text().count("ends") == 2)
    lines = told.read_text().splitlines()
    one_after_the_other = ["rules begins", "rules ends", "networks begins", "networks ends"]
    assert sorted(lines) == sorted(one_after_the_other)
    assert (lines == one_after_the_other) == in_turn


def test_a_later_stage_begins_only_what_is_asked_for_from_there_on(project, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with fork_pool.opened(project) as shared:
        shared.begin("train", Hardware())
        assert list(shared._processes) == ["networks"]
        process = shared._processes["networks"]
    assert process.poll() is not None


@pytest.mark.parametrize("stage", ["check", "evaluate"])
def test_a_stage_is_a_child_of_the_process_that_has_imported_for_it(project, tmp_path, monkeypatch, stage):
    nothings(tmp_path / "fakes")
    (tmp_path / "fakes/asked.py").write_text("import os; print(os.getppid())")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'fakes'}:{ROOT}")
    command = [sys.executable, "-m", "pipelines.process.fork_server", "run", stage, "asked"]
    with fork_pool.opened(project) as shared:
        shared.begin(stage, Hardware())
        process = shared._processes[STAGES[stage].preload]
        until(lambda: process.poll() is None and list(Path(os.environ[VARIABLE]).glob(STAGES[stage].preload)))
        assert int(subprocess.run(command, capture_output=True, text=True).stdout) == process.pid
