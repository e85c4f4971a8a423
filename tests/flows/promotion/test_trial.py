"""The trial: a registered model in a fresh process predicts what was evaluated, or is found out."""

import contextlib
import json
from pathlib import Path

import pandas as pd
import pytest

from flows.project.environment import Project
from flows.promotion import trial
from flows.records.outputs import StageOutputs
from flows.registry import model_registry
from flows.tracking import evidence_files, mlflow_runs
from pipelines import model_file
from pipelines.errors import IntegrityError
from pipelines.model.predictor import model_hash
from tests.pipelines.test_evaluate import predictions
from tests.support import golden
from tests.support.world import World

MODELS = ["pets", "weights", "tiles"]


@pytest.fixture(scope="module")
def made(made, tmp_path_factory) -> World:
    """A copy, for the store and what it holds."""
    return made.copy(tmp_path_factory.mktemp("trial"))


@pytest.fixture(scope="module")
def project(made) -> Project:
    found = Project(root=made.root, state=made.root / ".ratchet", tracking="", prefect="")
    golden.store(found)
    return found


@pytest.fixture(scope="module")
def registered(made, project) -> dict[str, model_registry.ModelVersion]:
    """Each model as a version, with what is kept with it."""
    found = {}
    (project.state / "locks").mkdir(parents=True, exist_ok=True)
    store = mlflow_runs.client(project)
    for model in MODELS:
        folder = project.data(model)
        with contextlib.chdir(made.root):
            data = model_file.check(model).data
        what = StageOutputs(folder, {}, {}, "", "", "")
        place = mlflow_runs.experiment(project, store, model)
        run = mlflow_runs.take_up(store, place, "inputs", "a run", project.clone)
        tags = {"ratchet.model_hash": model_hash(folder / "model")}
        add = lambda target, what=what, data=data: evidence_files.write(what, data, target)  # noqa: E731
        found[model] = model_registry.register(store, model, folder / "model", add, run.info.run_id, place, None, tags)
    return found


def tried(made, folder: Path, request: trial.Request) -> dict:
    """What the process does, in this one: TensorFlow is loaded here already."""
    with contextlib.chdir(made.root):
        return trial_here(request, folder)


def trial_here(request: trial.Request, folder: Path) -> dict:
    """In place of trial.run."""
    (folder / "request.json").write_text(json.dumps(vars(request)))
    trial.main(folder / "request.json")
    return dict(json.loads((folder / "answer.json").read_text()))


@pytest.fixture
def artifact(project, registered, tmp_path):
    """The whole of a registered version, downloaded and checked."""
    return lambda model: model_registry.fetch(mlflow_runs.client(project), registered[model], tmp_path)


@pytest.mark.parametrize("model", MODELS)
def test_a_registered_model_predicts_its_golden_rows_as_they_were_evaluated(made, artifact, tmp_path, model):
    found = tried(made, tmp_path, trial.Request(model, str(artifact(model))))["golden"]
    expected = predictions(made, model)
    assert (found["rows"], found["changed"], found["same_rows"]) == (min(200, len(expected)), 0, True)
    assert found["largest"] <= trial.TOLERANCE


@pytest.mark.parametrize("model", MODELS)
def test_it_says_what_the_model_gives_away_of_its_training_rows(made, artifact, tmp_path, monkeypatch, model):
    found = tried(made, tmp_path, trial.Request(model, str(artifact(model))))["membership"]
    assert -1 <= found["low"] <= found["advantage"] <= found["high"] <= 1
    assert found["rows"] == len(predictions(made, model))
    monkeypatch.setattr(trial.membership, "MOST", 30)
    some = tried(made, tmp_path, trial.Request(model, str(artifact(model))))["membership"]
    assert some is None or 20 <= some["rows"] < found["rows"]


def test_in_a_process_of_its_own_it_says_the_same(made, artifact, tmp_path):
    request = trial.Request("pets", str(artifact("pets")))
    with contextlib.chdir(made.root):
        assert trial.run(request, tmp_path)["golden"] == trial_here(request, tmp_path)["golden"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("answers = np.concatenate(parts)", "answers = np.concatenate(parts) + 0.01", {"changed": 0}),
        ("answers.argmax(axis=1)", "answers.argmin(axis=1)", {"largest": 0.0}),
        ("self._batch(inputs, start, size)", "1 / 0", {"rows": 40}),
    ],
)
def test_preprocessing_that_serving_does_otherwise_is_found_out(made, artifact, tmp_path, old, new, told):
    """The code that serves differs from the code that was evaluated: what a copy for serving always ends in."""
    from pipelines.model.predictor import write_manifest

    folder = artifact("pets")
    code = folder / "artifacts" / "model" / "predictor.py"
    assert old in code.read_text()
    code.write_text(code.read_text().replace(old, new))
    write_manifest(code.parent)
    found = tried(made, tmp_path, trial.Request("pets", str(folder)))["golden"]
    assert told.items() <= {**found, "rows": 40}.items()
    assert found.get("failed") or found["changed"] or found["largest"] > trial.TOLERANCE


def test_an_older_model_is_scored_on_the_present_rows_and_one_that_cannot_be_is_told(made, artifact, tmp_path):
    folder = artifact("pets") / "artifacts" / "model"
    gone = tmp_path / "gone"
    gone.mkdir()
    request = trial.Request("pets", score={"champion": str(folder), "reference": str(gone)})
    found = tried(made, tmp_path, request)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "champion.parquet"), predictions(made, "pets"))
    assert "manifest.json is missing" in found["failed"]["reference"]
    assert not (tmp_path / "reference.parquet").exists()


def test_the_times_of_two_models_are_medians_of_single_and_batch_calls(made, artifact, tmp_path):
    folder = str(artifact("pets") / "artifacts" / "model")
    found = tried(made, tmp_path, trial.Request("pets", time={"candidate": folder, "champion": folder}))["seconds"]
    for kind in ("single", "batch"):
        assert found["candidate"][kind] > 0
        assert found["champion"][kind] > 0


def test_what_is_kept_with_a_version_comes_back(made, project, registered, tmp_path):
    found = evidence_files.read(mlflow_runs.client(project), registered["pets"], tmp_path)
    pd.testing.assert_frame_equal(found.predictions, predictions(made, "pets"))
    for split, count in found.rows.value_counts().items():
        assert count == len(pd.read_parquet(project.data("pets") / f"{split}.parquet"))
    golden = pd.read_parquet(tmp_path / "version-1" / "evidence" / "golden.parquet")
    assert set(golden) == {"row_id", "weight", "age", "colour"}


def test_evidence_that_was_changed_in_the_store_is_not_believed(project, registered, tmp_path):
    version = registered["tiles"]
    store = mlflow_runs.client(project)
    logged = store.get_logged_model(model_registry.logged_model(version))
    path = Path(logged.artifact_location.removeprefix("file://"), "evidence", "predictions.parquet")
    before = path.read_bytes()
    pd.read_parquet(path).assign(prediction=0).to_parquet(path, index=False)
    try:
        with pytest.raises(IntegrityError, match="Version 1 of tiles has changed since it was registered"):
            evidence_files.read(store, version, tmp_path)
    finally:
        path.write_bytes(before)
