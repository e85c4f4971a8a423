"""No word to the outside; three runs at once in a clone that nobody has used; a tracking store that goes away."""

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from flows.project import locks
from flows.project.environment import Project
from tests.support import golden
from tests.support.clone import ROOT, answer, clone, edit, environment, ratchet

GUARD = str(ROOT / "tests" / "guard")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A fresh clone whose training takes two epochs."""
    folder = clone(tmp_path_factory.mktemp("fresh"))
    edit(folder / "models" / "digits.yaml", "epochs: 30", "epochs: 2")
    edit(folder / "models" / "digits.yaml", "at_least: 0.95", "at_least: 0.5")
    return folder


def guarded(folder: Path, count: int = 1) -> list[subprocess.CompletedProcess[str]]:
    """`ratchet run digits --json`, started so many times together, each process with the guard in it."""
    variables = environment(PYTHONPATH=GUARD, GUARD_LOG=str(folder / ".guard"))
    command = [sys.executable, "-m", "flows.cli", "run", "digits", "--json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [subprocess.Popen(command, cwd=folder, env=variables, **pipes) for _ in range(count)]
    return [subprocess.CompletedProcess(command, p.wait(), *p.communicate()) for p in started]


@pytest.fixture(scope="module")
def three(project) -> list[subprocess.CompletedProcess[str]]:
    return guarded(project, 3)


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Path:
    """A clone in which a parameter was changed after the first runs, and digits trained again with the guard."""
    folder = tmp_path_factory.mktemp("watched")
    golden.three(folder)
    edit(folder / "models" / "digits.yaml", "epochs: 30", "epochs: 2")
    (done,) = guarded(folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"] == 2
    return folder


def store(project: Path) -> MlflowClient:
    uri = f"sqlite:///{project}/mlflow/mlflow.db"
    return MlflowClient(uri, uri)


def notes(project: Path, kind: str) -> list[list[str]]:
    lines = (project / ".guard").read_text().splitlines()
    return [line.split(" ", 2) for line in lines if line.startswith(f"{kind} ")]


@pytest.mark.long
def test_three_runs_at_once_all_succeed_with_one_run_and_one_version(project, three):
    assert [done.returncode for done in three] == [0] * 3, [done.stderr for done in three]
    answers = [json.loads(done.stdout) for done in three]
    assert sorted(found["decision"] for found in answers) == ["accepted", "unchanged", "unchanged"]
    assert {found["version"] for found in answers} == {1}
    client = store(project)
    assert len(client.search_runs([client.get_experiment_by_name("digits").experiment_id])) == 1
    assert len(client.search_model_versions("name = 'digits'")) == 1


def test_no_process_talks_to_the_outside(watched):
    assert notes(watched, "outside") == []
    assert notes(watched, "loopback"), "the guard saw no process"


def test_only_known_programs_are_started(watched):
    started = {program for _, _, program in notes(watched, "program")}
    asked = {"lscpu", "nvidia-smi", "rocm-smi"}  # by codecarbon, what there is to be measured
    known = {"sh", "git", "uname", "file", "ldconfig"} | asked
    assert {name for name in started if not name.startswith("python")} <= known


def test_energy_was_measured_while_nothing_talked_to_the_outside(watched):
    client = store(watched)
    run, _ = client.search_runs([client.get_experiment_by_name("digits").experiment_id])  # the newest first
    assert run.data.metrics["energy/watt_hours"] > 0


def test_the_guard_catches_a_grandchild_that_dials_out(tmp_path):
    dial = "import socket; socket.create_connection(('192.0.2.1', 9))"
    child = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {dial!r}]).returncode)"
    variables = environment(PYTHONPATH=GUARD, GUARD_LOG=str(tmp_path / ".guard"))
    done = subprocess.run([sys.executable, "-c", child], env=variables, capture_output=True, text=True)
    assert done.returncode != 0
    assert [what for _, _, what in notes(tmp_path, "outside")] == ["192.0.2.1"]


def test_nothing_is_left_running_or_locked(watched):
    assert list((watched / ".ratchet").glob("*.pipe")) == []
    assert locks.held(Project(watched, watched / ".ratchet", "", "")) == []


@pytest.mark.long
def test_a_tracking_store_that_is_locked_costs_no_training(project, three):
    edit(project / "models" / "digits.yaml", "epochs: 2", "epochs: 3")
    running = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "run", "digits"],
        cwd=project,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with closing(sqlite3.connect(project / "mlflow" / "mlflow.db")) as database:
        database.execute("BEGIN EXCLUSIVE")
        _, told = running.communicate()
        database.rollback()
    assert running.returncode == 1
    assert "tracking store" in told
    assert "`ratchet run` publishes them" in told
    found = answer(project, "run", "digits")
    assert {stage["state"] for stage in found["stages"]} == {"Unchanged"}
    steps = store(project).get_metric_history(found["run_id"], "train/loss")
    assert sorted(metric.step for metric in steps) == [1, 2, 3]


@pytest.mark.long
def test_an_interrupted_first_start_leaves_no_broken_store(tmp_path):
    folder = clone(tmp_path)
    for seconds in (1.5, 3.0):
        first = subprocess.Popen(
            [sys.executable, "-m", "flows.cli", "status"], cwd=folder, env=environment(), stderr=subprocess.DEVNULL
        )
        time.sleep(seconds)
        first.kill()
        first.wait()
    done = ratchet(folder, "status")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (folder / "mlflow").glob("*.db*")) == ["ledger.db", "mlflow.db"]
