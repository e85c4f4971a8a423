"""Servers that are away, fail, hang, are slow or die, and databases that are locked or gone: told, and made good."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow.tracking import MlflowClient

from tests.faults.test_crash import in_training, unfinished, until, working_in
from tests.support.clone import answer, clone, environment, git, prefect, ratchet
from tests.support.failing_server import Front, front

pytestmark = pytest.mark.long
MODEL = "diabetes"
RUN = [sys.executable, "-m", "flows.cli", "run", MODEL, "--json"]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Iterator[Path]:
    """A clone with its servers up, and a training of some seconds."""
    folder = clone(tmp_path_factory.mktemp("servers"))
    path = folder / "models" / f"{MODEL}.yaml"
    path.write_text(path.read_text().replace("epochs: 25", "epochs: 200").replace("[64]", "[256, 256]"))
    answer(folder, "up", "--no-schedule", "--no-serve", "--no-warm")
    yield folder
    ratchet(folder, "down")


@pytest.fixture
def tracked(project) -> Iterator[Front]:
    """A server in front of the clone's MLflow, which runs take for a team's."""
    with front(server(project, "mlflow")["url"]) as found:
        another_seed(project)
        yield found


def server(project: Path, name: str) -> dict[str, Any]:
    servers = json.loads((project / ".ratchet" / "servers.json").read_text())["servers"]
    return next(found for found in servers if found["name"] == name)


def another_seed(project: Path) -> None:
    """So that the training, and nothing before it, runs again."""
    path = project / "models" / f"{MODEL}.yaml"
    path.write_text(re.sub(r"seed: (\d+)}", lambda found: f"seed: {int(found[1]) + 1}}}", path.read_text()))
    git(project, "commit", "-qm", "another seed", "--", str(path))


def start(project: Path, **variables: str) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(RUN, cwd=project, env=environment(**variables), **pipes)


def told(running: subprocess.Popen[str], seconds: float) -> str:
    """What a run that must fail says: one paragraph."""
    _, error = running.communicate(timeout=seconds)
    assert running.returncode == 1, error
    assert "Traceback" not in error
    assert error.count("\n") == 1
    return error


def every_epoch_once(project: Path, found: dict[str, Any]) -> None:
    client = MlflowClient(server(project, "mlflow")["url"])
    epochs = len((project / "data" / MODEL / "history.csv").read_text().splitlines()) - 1
    steps = sorted(metric.step for metric in client.get_metric_history(found["run_id"], "train/loss"))
    assert steps == list(range(1, epochs + 1))
    assert client.get_run(found["run_id"]).info.status == "FINISHED"


def test_a_store_that_is_away_at_the_start_costs_no_training(project):
    away = "http://127.0.0.1:9"
    begun = time.monotonic()
    error = told(start(project, RATCHET_TRACKING_URI=away), 300)
    assert f"The tracking store {away} cannot be used now" in error
    print(f"told after {time.monotonic() - begun:.0f} s")
    found = answer(project, "run", MODEL)
    assert {stage["state"] for stage in found["stages"]} == {"Unchanged"}
    every_epoch_once(project, found)


@pytest.mark.parametrize("status", [500, 429, 503])
def test_a_store_that_fails_for_a_while_loses_nothing_and_logs_nothing_twice(project, tracked, status):
    tracked.status, tracked.first, tracked.last = status, 6, 12
    running = start(project, RATCHET_TRACKING_URI=tracked.url)
    _, error = running.communicate(timeout=400)
    assert tracked.count > tracked.last
    assert running.returncode == 0, error
    every_epoch_once(project, answer(project, "run", MODEL, RATCHET_TRACKING_URI=tracked.url))


def test_a_slow_store_does_not_hold_the_training(project, tracked):
    tracked.delay = 1.0
    running = start(project, RATCHET_TRACKING_URI=tracked.url)
    _, error = running.communicate(timeout=500)
    assert running.returncode == 0, error
    every_epoch_once(project, answer(project, "run", MODEL))


def test_a_store_that_hangs_is_told_in_bounded_time(project):
    another_seed(project)
    group = [psutil.Process(server(project, "mlflow")["pid"])]
    group += group[0].children(recursive=True)
    running = start(project)
    in_training(project, running, 5)
    for process in group:
        process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    try:
        error = told(running, 400)
    finally:
        for process in group:
            process.send_signal(signal.SIGCONT)
    print(f"told after {time.monotonic() - begun:.0f} s")
    assert "cannot be used now" in error
    found = answer(project, "run", MODEL)
    assert {stage["state"] for stage in found["stages"]} == {"Unchanged"}
    every_epoch_once(project, found)


def test_a_store_that_another_writer_locks_for_a_while_is_waited_for(project):
    another_seed(project)
    running = start(project)
    in_training(project, running, 5)
    with closing(sqlite3.connect(project / "mlflow" / "mlflow.db", timeout=60)) as database:
        database.execute("BEGIN EXCLUSIVE")
        time.sleep(28)
        database.rollback()
    _, error = running.communicate(timeout=300)
    assert running.returncode == 0, error
    every_epoch_once(project, answer(project, "run", MODEL))


def test_prefects_server_that_dies_in_a_training_is_told_and_the_next_run_goes_on(project):
    another_seed(project)
    running = start(project)
    in_training(project, running, 5)
    os.kill(server(project, "prefect")["pid"], signal.SIGKILL)
    error = told(running, 400)
    assert "The server of prefect has ended since `ratchet up`" in error
    answer(project, "up", "--no-schedule", "--no-serve", "--no-warm")
    found = answer(project, "run", MODEL)
    assert found["decision"] in ("accepted", "undecided", "rejected", "unchanged")
    assert unfinished(project, "flow_run") == []
    every_epoch_once(project, found)


def test_prefects_database_that_is_deleted_while_its_server_is_up_is_told(project):
    for path in (project / ".ratchet" / "prefect").glob("prefect.db*"):
        path.unlink()
    error = told(start(project), 300)
    assert "was deleted while its server is up. Run `ratchet down`, then `ratchet up`: it makes a new one" in error
    assert ratchet(project, "down").returncode == 0
    answer(project, "up", "--no-schedule", "--no-serve", "--no-warm")
    assert {stage["state"] for stage in answer(project, "run", MODEL)["stages"]} == {"Unchanged"}


def test_a_run_that_is_cancelled_on_prefects_page_ends_and_the_next_one_goes_on(project):
    """The page sets the state Cancelling; the scheduler, which has started the run, ends its process."""
    answer(project, "up", "--no-serve", "--no-warm")
    another_seed(project)
    ratchet(project, "down")
    answer(project, "up", "--no-serve", "--no-warm")  # the scheduler takes the commit over
    tree = project / ".ratchet" / "schedule"
    (deployment,) = post(project, "deployments/filter", deployments={"name": {"any_": [MODEL]}})
    run = post(project, f"deployments/{deployment['id']}/create_flow_run", parameters={"model": MODEL, "force": True})
    log = project / ".ratchet" / "logs" / "runs" / run["id"] / "train"
    assert until(log.exists, 240)
    post(project, f"flow_runs/{run['id']}/set_state", state={"type": "CANCELLING", "name": "Cancelling"}, force=True)
    assert until(lambda: not [line for line in working_in(tree) if "pipelines" in " ".join(line)], 90), working_in(tree)
    wanted = {"id": {"any_": [run["id"]]}}
    assert until(lambda: post(project, "flow_runs/filter", flow_runs=wanted)[0]["state_type"] == "CANCELLED", 60)
    found = answer(project, "run", MODEL)
    assert found["decision"] in ("accepted", "rejected", "undecided")
    assert unfinished(project, "flow_run") == [] or set(unfinished(project, "flow_run")) == {"SCHEDULED"}


def post(project: Path, path: str, **content: Any) -> Any:
    answered = prefect(project, path, content=content)
    assert answered.ok, answered.text
    return answered.json()


def test_a_run_that_begins_while_down_works_is_refused_or_done(project):
    another_seed(project)
    running = start(project)
    in_training(project, running, 5)
    ends: list[int] = []
    thread = threading.Thread(target=lambda: ends.append(ratchet(project, "down").returncode))
    thread.start()
    thread.join(60)
    assert ends == [1]  # it is active
    _, error = running.communicate(timeout=300)
    assert running.returncode == 0, error
