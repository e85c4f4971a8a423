"""A run that is killed, one beside another, one whose files are edited: nothing is lost, mixed or left behind."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest
from mlflow.tracking import MlflowClient

from tests.pipelines.process.test_seal import swap
from tests.support import golden
from tests.support.clone import answer, clone, command, edit, environment, git
from tests.support.world import PATIENCE, until
from tests.whole.test_end_to_end import entries

RUN = ["flows.cli", "run", "diabetes", "--json"]
REPRO = ["dvc", "repro", "evaluate@diabetes"]
FINISHED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A clone whose training of diabetes takes some seconds, with early stopping and a falling learning rate."""
    folder = clone(tmp_path_factory.mktemp("crash"))
    rules = "early_stopping: {patience: 150}, reduce_on_plateau: {patience: 20, factor: 0.5}"
    edit(folder / "models" / "diabetes.yaml", "epochs: 25", f"epochs: 250, {rules}")
    edit(folder / "models" / "diabetes.yaml", "hidden: [64]", "hidden: [384, 384]")
    git(folder, "commit", "-qam", "a longer training")
    return folder


@pytest.fixture(scope="module")
def reference(project, tmp_path_factory):
    """The entries of dvc.lock after a run that nothing interrupts, in another clone."""
    folder = tmp_path_factory.mktemp("reference")
    git(project, "clone", "-q", str(project), str(folder))
    done = command(folder, *REPRO)
    assert done.returncode == 0, done.stderr
    return entries(folder, "diabetes")


@pytest.fixture(scope="module")
def killed(project, reference):
    """The clone, after a run that was killed when it had trained some epochs, of which MLflow had heard."""
    running = start(project, RUN)
    in_training(project, running, 60)
    assert until(lambda: mlflow_has_heard(project))
    assert running.poll() is None
    assert any("pipelines.process.fork_server" in command for command in working_in(project))
    os.kill(running.pid, signal.SIGKILL)
    running.communicate()
    return project


def start(project: Path, arguments: list[str]) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, "-m", *arguments], cwd=project, env=environment(), **pipes)


def in_training(project: Path, running: subprocess.Popen[str], epochs: int) -> None:
    """Wait until a run has trained some epochs that an earlier one had not."""
    path = project / "data" / "diabetes" / "history.csv"
    old = path.stat().st_mtime if path.exists() else 0.0

    def far_enough() -> bool:
        assert running.poll() is None, running.communicate()
        return path.exists() and path.stat().st_mtime > old and path.read_text().count("\n") > epochs

    assert until(far_enough)


def working_in(project: Path) -> list[list[str]]:
    """The commands of the processes whose folder is the project: of a run all are, warm ones and their children too."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.cwd() == str(project):
                found.append(process.cmdline())
    return found


def mlflow_has_heard(project: Path) -> bool:
    """Whether a run is on record. Only looked at: MLflow's own client would make the store while the run makes it."""
    with suppress(sqlite3.OperationalError):
        place = f"file:{project}/mlflow/mlflow.db?mode=ro"
        with closing(sqlite3.connect(place, uri=True)) as database:
            return database.execute("SELECT status FROM runs").fetchall() == [("RUNNING",)]
    return False


def store(project: Path) -> MlflowClient:
    uri = f"sqlite:///{project}/mlflow/mlflow.db"
    return MlflowClient(uri, uri)


def statuses(project: Path) -> list[str]:
    client = store(project)
    place = client.get_experiment_by_name("diabetes")
    return [run.info.status for run in client.search_runs([place.experiment_id])]


def unfinished(project: Path, table: str) -> list[str]:
    with closing(sqlite3.connect(project / ".ratchet" / "prefect" / "prefect.db")) as database:
        rows = database.execute(f"SELECT state_type FROM {table}").fetchall()
    assert rows
    return [state for (state,) in rows if state not in FINISHED]


@pytest.mark.long
def test_a_killed_run_leaves_no_process_and_the_next_one_repeats_no_finished_stage(tmp_path):
    """The short way; what follows says more about the same, after a longer training."""
    golden.three(tmp_path)
    edit(tmp_path / "models" / "diabetes.yaml", "epochs: 25", "epochs: 120")
    edit(tmp_path / "models" / "diabetes.yaml", "hidden: [64]", "hidden: [384, 384]")
    running = start(tmp_path, RUN)
    in_training(tmp_path, running, 3)
    running.kill()
    running.communicate()
    until(lambda: not working_in(tmp_path), lambda: working_in(tmp_path))
    assert unfinished(tmp_path, "flow_run") == ["RUNNING"]
    (tmp_path / ".dvc" / "tmp" / "rwlock").write_text("")  # DVC's table of locks, damaged
    found = answer(tmp_path, "run", "diabetes")
    done = [stage["name"] for stage in found["stages"] if stage["state"] != "Unchanged"]
    assert done == ["train", "evaluate", "export", "explain", "compress"]
    assert unfinished(tmp_path, "flow_run") == unfinished(tmp_path, "task_run") == []
    assert statuses(tmp_path) == ["FINISHED"] * 2


@pytest.mark.long
def test_the_children_of_a_killed_run_end_with_it(killed):
    until(lambda: not working_in(killed), lambda: working_in(killed))


@pytest.mark.long
def test_the_next_run_repeats_no_finished_stage_goes_on_training_and_ends_with_the_same_bytes(killed, reference):
    assert unfinished(killed, "flow_run") == ["RUNNING"]
    assert statuses(killed) == ["RUNNING"]
    found = answer(killed, "run", "diabetes")
    states = {stage["name"]: stage["state"] for stage in found["stages"]}
    assert [name for name, state in states.items() if state != "Unchanged"] == [
        "train",
        "evaluate",
        "export",
        "explain",
        "compress",
    ]
    assert entries(killed, "diabetes") == reference
    logs = sorted((killed / ".ratchet" / "logs" / "runs").glob("*/train"), key=lambda path: path.stat().st_mtime)
    assert "note: training goes on after epoch" in logs[-1].read_text()
    assert (found["version"], found["champion"]) == (1, 1)


@pytest.mark.long
def test_figures_of_both_parts_of_the_training_are_in_its_run_once(killed):
    (version,) = store(killed).search_model_versions("name = 'diabetes'")
    lines = (killed / "data" / "diabetes" / "history.csv").read_text().splitlines()
    for name, steps in {
        "pace/waiting_for_data": range(1, len(lines)),
        "system/cpu_utilization_percentage": None,
    }.items():
        found = sorted(metric.step for metric in store(killed).get_metric_history(version.run_id, name))
        assert found == list(steps or range(len(found)))
        assert found
    assert store(killed).get_run(version.run_id).data.metrics["energy/watt_hours"] > 0


@pytest.mark.long
def test_nothing_is_left_running_in_prefect_or_mlflow(killed):
    assert unfinished(killed, "flow_run") == unfinished(killed, "task_run") == []
    assert statuses(killed) == ["FINISHED"]
    client = store(killed)
    run = client.search_runs([client.get_experiment_by_name("diabetes").experiment_id])[0]
    steps = [metric.step for metric in client.get_metric_history(run.info.run_id, "train/loss")]
    assert sorted(steps) == list(range(1, len(steps) + 1))
    assert not (killed / "data" / "diabetes" / "checkpoint.npz").exists()


@pytest.mark.long
@pytest.mark.parametrize("table", ["", '{"write": {"data/diabetes/raw.parquet": {"pid": %d, "cmd": "another"}}}'])
def test_a_damaged_or_foreign_table_of_dvcs_locks_does_not_block(killed, table):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    path = killed / ".dvc" / "tmp" / "rwlock"
    path.write_text(table % child.pid if table else "")
    old = time.time() - 3600
    os.utime(path, (old, old))
    try:
        assert answer(killed, "run", "diabetes")["champion"] == 1  # just made, or before by another test
    finally:
        child.communicate(b"\n")


@pytest.mark.long
@pytest.mark.random_order(disabled=True)
class TestBesideOthers:
    """In order: each changes a setting, so that the training runs again."""

    def test_a_second_run_waits_or_is_refused_as_asked(self, killed):
        edit(killed / "models" / "diabetes.yaml", "seed: 7", "seed: 8")
        git(killed, "commit", "-qam", "another seed")
        first = start(killed, RUN)
        in_training(killed, first, 5)
        refused = start(killed, [*RUN, "--no-wait"])
        out, error = refused.communicate(timeout=PATIENCE)
        assert refused.returncode == 1
        assert "ratchet run diabetes" in error
        assert "is active" in json.loads(out)["error"]
        waiting = start(killed, RUN)
        answers = [json.loads(running.communicate(timeout=PATIENCE)[0]) for running in (first, waiting)]
        assert answers[0]["version"] == answers[1]["version"]
        assert answers[1]["decision"] == "unchanged"
        assert {stage["state"] for stage in answers[1]["stages"]} == {"Unchanged"}

    @pytest.mark.parametrize("arguments", [RUN, REPRO], ids=["ratchet run", "dvc repro"])
    def test_a_module_changed_and_changed_back_while_its_stage_runs_fails_the_stage(self, killed, arguments):
        edit(killed / "models" / "diabetes.yaml", "dropout: 0.5", "dropout: 0.4")
        before = entries(killed, "diabetes")
        running = start(killed, arguments)
        in_training(killed, running, 5)
        swap(killed / "pipelines" / "model" / "networks.py")
        out, error = running.communicate(timeout=PATIENCE)
        edit(killed / "models" / "diabetes.yaml", "dropout: 0.4", "dropout: 0.5")
        assert running.returncode != 0
        assert "pipelines/model/networks.py changed while the stage train was running" in error + out
        assert entries(killed, "diabetes") == before

    def test_a_file_of_a_later_stage_edited_meanwhile_fails_the_run_and_nothing_is_published(self, killed):
        edit(killed / "models" / "diabetes.yaml", "seed: 8", "seed: 9")
        versions = len(store(killed).search_model_versions("name = 'diabetes'"))
        code = killed / "pipelines" / "model" / "metrics.py"
        text = code.read_text()
        running = start(killed, RUN)
        in_training(killed, running, 5)
        code.write_text(text + "# edited\n")
        _, error = running.communicate(timeout=PATIENCE)
        code.write_text(text)
        assert running.returncode == 1
        assert "pipelines/model/metrics.py changed while diabetes was being made" in error
        assert "Traceback" not in error
        assert len(store(killed).search_model_versions("name = 'diabetes'")) == versions
        assert "RUNNING" not in statuses(killed)
        assert answer(killed, "run", "diabetes")["version"] == versions + 1

    def test_a_change_of_the_gate_while_a_model_trains_does_no_harm(self, killed):
        edit(killed / "models" / "diabetes.yaml", "seed: 9", "seed: 10")
        running = start(killed, RUN)
        in_training(killed, running, 5)
        edit(killed / "models" / "diabetes.yaml", "margin: 3", "margin: 4")
        _, error = running.communicate(timeout=PATIENCE)
        assert running.returncode == 0, error
