"""Several at once: ten runs in one clone, and two clones with one registry and one ledger, of which one is killed."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient

from flows.records import ledger
from tests.faults.test_crash import unfinished
from tests.support import injected
from tests.support.clone import clone, environment, git

pytestmark = pytest.mark.long
MODEL = "diabetes"
POSTGRES = os.environ.get("RATCHET_TEST_POSTGRES", "")


def start(project: Path, model: str = MODEL, **variables: str) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-m", "flows.cli", "run", model, "--json"]
    return subprocess.Popen(command, cwd=project, env=environment(**variables), **pipes)


def test_ten_runs_at_once_of_one_and_of_other_models_end_as_one_of_each(tmp_path):
    project = clone(tmp_path)
    models = ["diabetes"] * 5 + ["breast_cancer"] * 3 + ["digits"] * 2
    running = [start(project, model) for model in models]
    ends = [(process.communicate(timeout=1500), process.returncode) for process in running]
    assert [code for _, code in ends] == [0] * 10, [error for (_, error), code in ends if code]
    found = [json.loads(out) for (out, _), _ in ends]
    for model in set(models):
        answers = [one for one in found if one["model"] == model]
        assert sorted(one["decision"] for one in answers) == ["accepted", *["unchanged"] * (len(answers) - 1)]
        assert {one["version"] for one in answers} == {1}
    assert unfinished(project, "flow_run") == unfinished(project, "task_run") == []


@pytest.fixture(scope="module")
def registry(tmp_path_factory) -> Iterator[str]:
    """MLflow's server of a team, on loopback."""
    folder = tmp_path_factory.mktemp("registry")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{folder}/m.db", "--artifacts-destination", f"file://{folder}/a"]
    with (folder / "log").open("w") as log:
        group = {"stdout": log, "stderr": log, "start_new_session": True}
        process = subprocess.Popen(command, cwd=folder, env=environment(), **group)
    url = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5)
                break
            except OSError:
                time.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


CLIENT = "mlflow.tracking.client:MlflowClient"


@pytest.mark.parametrize(
    ("name", "point", "when"),  # each has a model of its own in the registry
    [
        ("published", f"{CLIENT}.create_model_version", "after"),
        ("decided", "flows.records.ledger:Ledger.append", "before"),
        ("followed", f"{CLIENT}.set_registered_model_alias", "before"),
    ],
)
def test_of_two_clones_with_one_registry_one_is_killed_and_both_end_with_one_history(
    registry, tmp_path, name, point, when
):
    one = clone(tmp_path / "one")
    other = tmp_path / "other"
    git(one, "clone", "-q", str(one), str(other))
    for project in (one, other):
        for path in (project / "models").glob(f"{MODEL}.*"):
            path.rename(path.with_stem(name))
        listed = project / "dvc.yaml"
        listed.write_text(listed.read_text().replace(MODEL, name))
    other_yaml = other / "models" / f"{name}.yaml"
    other_yaml.write_text(other_yaml.read_text().replace("seed: 7}", "seed: 8}"))
    for project in (one, other):
        git(project, "add", "-A")
        git(project, "commit", "-qm", "another name")
    shared = {"RATCHET_TRACKING_URI": registry, "RATCHET_LEDGER_URL": POSTGRES or f"sqlite:///{tmp_path}/ledger.db"}
    fault = injected.variables(tmp_path / "mark", point, "kill", when, "mlflow_process")
    first = start(one, name, **shared, **fault)
    if name == "followed":  # only the first to be decided about is sure to become champion
        first.communicate(timeout=400)
    second = start(other, name, **shared)
    first.communicate(timeout=400)
    assert first.returncode == -signal.SIGKILL
    error = second.communicate(timeout=400)[1]
    assert second.returncode == 0, error
    again = start(one, name, **shared)
    error = again.communicate(timeout=400)[1]
    assert again.returncode == 0, error
    lines = ledger.Ledger(shared["RATCHET_LEDGER_URL"]).lines(name)
    assert ledger.broken(lines) == ""
    assert {line.version for line in lines} == {1, 2}
    assert len([line for line in lines if line.action in ("accepted", "rejected", "undecided")]) == 2
    client = MlflowClient(registry)
    champion = client.get_model_version_by_alias(name, "champion")
    assert int(champion.version) == lines[-1].to_version
    assert len(client.search_model_versions(f"name = '{name}'")) == 2
    experiment = client.get_experiment_by_name(name)
    assert {run.info.status for run in client.search_runs([experiment.experiment_id])} == {"FINISHED"}
    assert unfinished(one, "flow_run") == []
