"""The whole way through, in a copy of the repository: stages, MLflow, Prefect, the gate, and running again."""

import hashlib
import json
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import filelock
import mlflow
import numpy as np
import pandas as pd
import psutil
import pytest
import requests
from mlflow.tracking import MlflowClient
from ruamel.yaml import YAML

from flows.graph.lockfile import numeric_only
from pipelines.hardware import fingerprint
from tests.support import golden
from tests.support.clone import ROOT, answer, called, command, edit, environment, git, ratchet
from tests.support.clone import prefect as ask_prefect
from tests.support.golden import MODELS

STAGES = ["ingest", "validate", "clean", "check", "train", "evaluate"]
LATER = ["export", "explain", "compress"]  # after the gate


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def first(folder) -> dict[str, dict[str, Any]]:
    """Each model's first run."""
    return golden.three(folder)


@pytest.fixture(scope="module")
def project(folder, first):
    """The clone after these runs, with both servers up."""
    assert ratchet(folder, "up", "--no-schedule").returncode == 0
    yield folder
    assert ratchet(folder, "down").returncode == 0


@pytest.fixture(scope="module")
def store(project, first) -> MlflowClient:
    uri = f"sqlite:///{project}/mlflow/mlflow.db"
    mlflow.set_tracking_uri(uri)
    return MlflowClient(uri, uri)


def prefect(project: Path, path: str, **content: Any) -> Any:
    return ask_prefect(project, path, content=content).json()


def entries(folder: Path, model: str) -> dict[str, Any]:
    stages = YAML(typ="safe").load((folder / "dvc.lock").read_text())["stages"]
    return {name: entry for name, entry in stages.items() if name.endswith(f"@{model}")}


@pytest.mark.parametrize("model", MODELS)
def test_first_run_is_accepted_and_tells_everything(first, model):
    found = first[model]
    assert found["model"] == model
    assert found["decision"] == "accepted"
    assert found["version"] == found["champion"] == 1
    assert [stage["name"] for stage in found["stages"]] == [*STAGES, *LATER]
    assert {stage["state"] for stage in found["stages"]} == {"Ran"}
    assert all(len(found[key]) == 64 for key in ("model_hash", "data_hash", "test_hash"))
    assert found["metrics"]
    assert found["seconds"] > 0


@pytest.mark.parametrize("model", MODELS)
def test_lock_is_the_committed_one_on_this_machine_or_differs_only_in_numbers(project, first, model):
    committed, found = entries(ROOT, model), entries(project, model)
    if fingerprint.present() == json.loads((ROOT / "data" / model / "fingerprint.json").read_text()):
        assert found == committed
    else:
        assert numeric_only(committed, found)
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.parametrize("model", [MODELS[0], *(pytest.param(m, marks=pytest.mark.long) for m in MODELS[1:])])
def test_running_again_changes_nothing(project, first, store, model):
    experiment = store.get_experiment_by_name(model).experiment_id

    def recorded() -> list[int]:
        return [len(store.search_runs([experiment])), len(store.search_model_versions(f"name = '{model}'"))]

    before = recorded()
    again = answer(project, "run", model)
    assert {stage["state"] for stage in again["stages"]} == {"Unchanged"}
    assert again["decision"] == "unchanged"
    for key in ("version", "run_id", "model_hash", "data_hash", "test_hash", "metrics", "champion"):
        assert again[key] == first[model][key]
    assert recorded() == before


@pytest.mark.parametrize("model", [MODELS[0], *(pytest.param(m, marks=pytest.mark.long) for m in MODELS[1:])])
def test_registered_model_predicts_raw_rows_as_it_was_evaluated(project, first, store, model):
    done = command(project, "tests.support.started.predict", store.tracking_uri, model)
    assert done.returncode == 0, done.stderr
    evaluated = pd.read_parquet(project / "data" / model / "predictions.parquet")
    found = pd.read_parquet(project / "data" / model / "served.parquet")
    pd.testing.assert_frame_equal(found, evaluated[found.columns.tolist()], check_dtype=False, check_exact=True)
    one_by_one = pd.read_parquet(project / "data" / model / "served_one_by_one.parquet")
    numbers = one_by_one.select_dtypes("number").columns
    np.testing.assert_allclose(one_by_one[numbers], found[numbers].head(len(one_by_one)), rtol=1e-4, atol=1e-5)
    probabilities = found[[name for name in numbers if name.startswith("probability_")]].head(len(one_by_one))
    if model != "diabetes":
        best = np.sort(probabilities, axis=1)
        clear = best[:, -1] - best[:, -2] > 1e-3  # where the last bits cannot turn the answer
        assert clear.mean() > 0.9
        assert (one_by_one["prediction"] == found["prediction"].head(len(one_by_one)))[clear].all()


def test_mlflow_run_holds_what_a_comparison_needs(first, store):
    run = store.get_run(first["digits"]["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.params["train.learning_rate"] == "0.001"
    assert run.data.params["clean.split.seed"] == "1"
    assert run.data.metrics["test/accuracy"] == pytest.approx(first["digits"]["metrics"]["accuracy"])
    steps = [metric.step for metric in store.get_metric_history(run.info.run_id, "train/loss")]
    assert sorted(steps) == list(range(1, 31))
    datasets = {entry.dataset.name: entry.dataset.digest for entry in run.inputs.dataset_inputs}
    assert set(datasets) == {"train", "validation", "test"}
    assert all(len(digest) == 32 for digest in datasets.values())
    for tag in ("model_hash", "data_hash", "test_hash", "inputs_hash", "decision", "reason"):
        assert run.data.tags[f"ratchet.{tag}"]
    assert run.data.tags["mlflow.source.git.commit"]
    assert run.data.tags["prefect.flow_run_url"].endswith(run.data.tags["prefect.flow_run_id"])


@pytest.mark.parametrize("model", MODELS)
def test_mlflow_run_holds_how_fast_it_trained_on_what_machine_and_with_how_much_energy(project, first, store, model):
    run = store.get_run(first[model]["run_id"])
    epochs = len((project / "data" / model / "history.csv").read_text().splitlines()) - 1
    for name, most in {"rows_per_second": 1e9, "seconds_per_epoch": 600, "waiting_for_data": 1}.items():
        found = store.get_metric_history(run.info.run_id, f"pace/{name}")
        assert sorted(metric.step for metric in found) == list(range(1, epochs + 1))
        assert all(0 <= metric.value <= most for metric in found)
    load = store.get_metric_history(run.info.run_id, "system/cpu_utilization_percentage")
    assert sorted(metric.step for metric in load) == list(range(len(load)))
    assert load
    assert 0 < run.data.metrics["energy/watt_hours"] < 50
    assert 0 < run.data.metrics["energy/seconds"] <= first[model]["seconds"]
    assert "processor: " in run.data.tags["ratchet.energy_method"]
    assert run.data.metrics["energy/watt_hours_per_accepted"] == run.data.metrics["energy/watt_hours"]
    assert run.data.tags["ratchet.energy_runs"] == "1 of 1"


def test_every_run_has_the_same_artifact_names(first, store):
    def names(model: str) -> set[str]:
        run_id = first[model]["run_id"]
        folders = [entry.path for entry in store.list_artifacts(run_id)]
        files = {file.path for folder in folders for file in store.list_artifacts(run_id, folder)}
        return {path for path in files if not path.endswith(".png") or "explanations" not in path} | set(folders)

    assert names("digits") == names("breast_cancer") == names("diabetes")
    assert {"definition/dvc.lock", "definition/model.yaml", "figures/learning_curve.png"} <= names("digits")


def test_prefect_shows_a_completed_run_with_named_stages(project, first):
    runs = prefect(project, "flow_runs/filter", flow_runs={"name": {"any_": ["digits"]}}, sort="START_TIME_ASC")
    assert runs[0]["state"]["type"] == "COMPLETED"
    tasks = prefect(
        project, "task_runs/filter", flow_runs={"id": {"any_": [runs[0]["id"]]}}, sort="EXPECTED_START_TIME_ASC"
    )
    assert [task["name"] for task in tasks] == ["refresh", *STAGES, "publish", "decide", *LATER, "choose", "deploy"]
    assert {task["state"]["name"] for task in tasks if task["name"] != "choose"} <= {"Ran", "Unchanged"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["metrics", "show"], "test.accuracy"),
        pytest.param(["params", "diff", "--all"], "models/digits.yaml", marks=pytest.mark.long),
        pytest.param(["dag"], "evaluate@digits", marks=pytest.mark.long),
        pytest.param(["metrics", "diff", "--all"], "data/digits/metrics.json", marks=pytest.mark.long),
    ],
)
def test_dvc_commands_are_useful_after_one_run(project, first, arguments, expected):
    done = command(project, "dvc", *arguments)
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


def test_dvc_plots_hold_the_learning_curve_and_the_figure(project, first, tmp_path):
    done = command(project, "dvc", "plots", "show", "-o", str(tmp_path))
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "index.html").read_text()
    assert "validation/loss" in page
    assert "evaluation.png" in page


@pytest.mark.long
@pytest.mark.random_order(disabled=True)
class TestChanges:
    """In order, on the same clone: a worse candidate, another gate, a failing stage, the way back."""

    def test_a_changed_parameter_runs_only_what_needs_it_and_a_missed_floor_is_a_rejection(self, project, first):
        edit(project / "models" / "digits.yaml", "epochs: 30", "epochs: 1")
        found = answer(project, "run", "digits")
        states = {stage["name"]: stage["state"] for stage in found["stages"]}
        assert [states[name] for name in STAGES] == ["Unchanged"] * 4 + ["Ran"] * 2
        assert found["decision"] == "rejected"
        assert "0.95" in found["reason"]
        assert (found["version"], found["champion"]) == (2, 1)

    def test_a_rejection_is_not_repeated(self, project, store):
        again = answer(project, "run", "digits")
        assert again["decision"] == "unchanged"
        assert "rejected" in again["reason"]
        assert len(store.search_model_versions("name = 'digits'")) == 2

    def test_an_edited_gate_decides_again_without_training_and_moves_no_champion(self, project, store):
        edit(project / "models" / "digits.yaml", "at_least: 0.95, margin: 0.02", "at_least: 0.5, margin: 0.5")
        done = ratchet(project, "run", "digits")
        assert done.returncode == 0, done.stderr
        assert (
            "digits: waits: version 2 waits, because models/digits.yaml differs from the last commit; " in done.stdout
        )
        advice = "commit and run again, or `ratchet promote digits 2 --reason WHY`"
        assert done.stdout.splitlines()[-1] == f"  next      {advice}"
        steps = [line.split() for line in done.stderr.splitlines() if line.strip()]
        assert [words[1] for words in steps if words[0] in STAGES] == ["Unchanged"] * len(STAGES)
        assert int(store.get_model_version_by_alias("digits", "champion").version) == 1
        run = store.get_run(store.get_model_version("digits", "2").run_id)
        assert run.data.tags["ratchet.decision"] == "waits"
        assert advice in run.data.tags["mlflow.note.content"]
        assert f"digits: version 2 waits: {advice}" in called(project, "status").stdout

    def test_a_commit_promotes_what_waits_without_training_but_not_a_run_that_is_not_to_promote(self, project):
        git(project, "commit", "-qm", "another gate", "--", "models/digits.yaml")
        edit(project / "models" / "diabetes.yaml", "seed: 7", "seed: 8")  # another model's file
        found = answer(project, "run", "digits", "--no-promote")
        assert (found["decision"], found["champion"], found["uncommitted"]) == ("waits", 1, [])
        found = answer(project, "run", "digits")
        git(project, "checkout", "--", "models/diabetes.yaml")
        assert {stage["state"] for stage in found["stages"]} == {"Unchanged"}
        assert (found["decision"], found["champion"]) == ("accepted", 2)
        git(project, "checkout", "HEAD~1", "--", "models/digits.yaml")
        git(project, "commit", "-qm", "the gate as it was", "--", "models/digits.yaml")

    def test_a_failing_stage_fails_the_run_stops_what_follows_and_keeps_the_champion(self, project, store):
        edit(project / "models" / "digits.yaml", "max_value: 16", "max_value: 10")
        done = ratchet(project, "run", "digits", "--json")
        assert done.returncode == 1
        told = json.loads(done.stdout)
        assert told["status"] == 1
        for part in ("pixel_max", "expect_column_values_to_be_between", "ratchet restore digits"):
            assert part in told["error"]
        assert "Traceback" not in done.stderr
        runs = prefect(project, "flow_runs/filter", flow_runs={"name": {"any_": ["digits"]}}, sort="START_TIME_DESC")
        assert runs[0]["state"]["type"] == "FAILED"
        tasks = prefect(project, "task_runs/filter", flow_runs={"id": {"any_": [runs[0]["id"]]}})
        assert {task["name"] for task in tasks} == {"refresh", "ingest", "validate"}
        assert int(store.get_model_version_by_alias("digits", "champion").version) == 2

    def test_restore_brings_the_workspace_back_to_the_champion(self, project, store):
        git(project, "checkout", "--", "models/digits.yaml")
        assert answer(project, "restore", "digits")["restored"]
        manifest = project / "data" / "digits" / "model" / "manifest.json"
        champion = store.get_model_version_by_alias("digits", "champion")
        assert hashlib.sha256(manifest.read_bytes()).hexdigest() == champion.tags["ratchet.model_hash"]

    def test_the_first_version_comes_back_from_the_run_cache_and_is_not_registered_twice(self, project, store, first):
        found = answer(project, "run", "digits")
        assert "Ran" not in {stage["state"] for stage in found["stages"]}
        assert found["model_hash"] == first["digits"]["model_hash"]
        assert found["decision"] == "accepted"
        assert (found["version"], found["champion"]) == (1, 1)
        assert len(store.search_model_versions("name = 'digits'")) == 2
        for name in ("energy/watt_hours", "energy/watt_hours_per_accepted"):
            assert len(store.get_metric_history(first["digits"]["run_id"], name)) == 1, "nothing was trained"

    def test_training_that_diverges_stops_at_once_and_is_not_left_running_in_mlflow(self, project, store):
        edit(project / "models" / "digits.yaml", "learning_rate: 0.001", "learning_rate: 1e30")
        done = ratchet(project, "run", "digits")
        git(project, "checkout", "--", "models/digits.yaml")
        assert done.returncode == 1
        assert "diverged" in done.stderr
        experiment = store.get_experiment_by_name("digits").experiment_id
        assert store.search_runs([experiment], "attributes.status = 'RUNNING'") == []
        assert answer(project, "run", "digits")["champion"] == 1


def test_status_shows_every_model(project, first):
    found = {entry["model"]: entry for entry in answer(project, "status")["models"]}
    assert set(found) == {*MODELS, "mnist", "mnist_cnn"}
    assert found["diabetes"]["champion"] == 1
    assert found["diabetes"]["metrics"].keys() == first["diabetes"]["metrics"].keys()


def test_doctor_finds_nothing_wrong(project, first):
    assert answer(project, "doctor")["ok"]


def test_down_refuses_while_a_run_is_active(project):
    with filelock.FileLock(project / ".ratchet" / "locks" / "model-digits.lock"):
        done = ratchet(project, "down")
    assert done.returncode == 1
    assert "active" in done.stderr
    assert (project / ".ratchet" / "servers.json").exists()


@pytest.mark.long
def test_two_models_at_once_both_succeed(project, first):
    for model in ("breast_cancer", "diabetes"):
        edit(project / "models" / f"{model}.yaml", "seed: 7", "seed: 8")
    run = [sys.executable, "-m", "flows.cli", "run", "--json"]
    running = [
        subprocess.Popen([*run, model], cwd=project, env=environment(), stdout=subprocess.PIPE, text=True)
        for model in ("breast_cancer", "diabetes")
    ]
    found = [json.loads(process.communicate()[0]) for process in running]
    assert [answer["version"] for answer in found] == [2, 2]
    assert {stage["state"] for one in found for stage in one["stages"][4:]} == {"Ran"}


@pytest.mark.long
def test_dvc_repro_by_hand_gives_the_same_lock_on_one_core(project, first):
    """Forced and without DVC's run cache, so that every stage really runs again."""
    before = (project / "dvc.lock").read_bytes()
    repro = ["dvc", "repro", "--force", "--no-run-cache", "evaluate@diabetes"]
    one_core = f"import os, runpy, sys; os.sched_setaffinity(0, {{0}}); sys.argv = {repro!r}; "
    script = one_core + "runpy.run_module('dvc', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=project, env=environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Running stage") == len([*STAGES, *LATER])
    assert (project / "dvc.lock").read_bytes() == before


def test_dvc_by_hand_keeps_its_state_inside_the_project(project, first):
    done = command(project, "dvc", "doctor")
    assert ".ratchet/dvc" in done.stdout


def test_prefects_server_is_closed_and_its_login_is_nowhere_but_in_its_file(project, first):
    servers = json.loads((project / ".ratchet" / "servers.json").read_text())["servers"]
    url, secret = f"{servers[0]['url']}/api", (project / ".ratchet" / "prefect-login").read_text()
    assert requests.post(f"{url}/flow_runs/count", json={}, timeout=30).status_code == 401
    assert requests.get(f"{url}/health", headers={"Host": "evil.example"}, timeout=30).status_code == 403
    steps = [{"prefect.deployments.steps.run_shell_script": {"script": "touch marker"}}]
    assert ask_prefect(project, "deployments/", content={"pull_steps": steps}).status_code == 403
    assert ask_prefect(project, "flow_runs/count", content={}).json() > 0
    seen = 0
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(project):
                seen += 1
                assert secret not in " ".join([*process.cmdline(), *process.environ().values()])
    assert seen > 2
    for log in (project / ".ratchet" / "logs").rglob("*"):
        assert log.is_dir() or secret not in log.read_text(errors="replace")
