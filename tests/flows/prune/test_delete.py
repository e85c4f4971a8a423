"""The files of a registered model are deleted, in a folder and through a server, and nothing beside them."""

import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from flows.prune import delete
from flows.servers import lifecycle
from tests.support.clone import environment
from tests.support.world import until


def logged(store: MlflowClient, experiment: str, folder: Path) -> tuple[str, str]:
    """Two models of an experiment, each with two files; the id and location of the first one."""
    (folder / "deep").mkdir(parents=True)
    (folder / "weights").write_bytes(b"x" * 1000)
    (folder / "deep" / "more").write_bytes(b"y" * 24)
    models = [store.create_logged_model(experiment, name="pets") for _ in range(2)]
    for model in models:
        store.log_model_artifacts(model.model_id, str(folder))
    return models[0].model_id, models[0].artifact_location


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> MlflowClient:
    uri = f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    return MlflowClient(uri, uri)


def experiment(store: MlflowClient, name: str, folder: Path) -> str:
    return store.create_experiment(name, artifact_location=folder.as_uri())


def test_files_in_a_folder_are_deleted_and_those_of_another_model_stay(store, tmp_path):
    model_id, location = logged(store, experiment(store, "folder", tmp_path / "artifacts"), tmp_path / "made")
    assert len(files(tmp_path / "artifacts")) == 4
    assert delete.size(location) == 1024
    assert delete.discard(store, model_id, location) == (1024, "")
    assert len(files(tmp_path / "artifacts")) == 2
    with pytest.raises(MlflowException, match="not found"):
        store.get_logged_model(model_id)
    assert delete.discard(store, model_id, location) == (0, "")


def test_a_model_that_another_version_is_made_from_stays(store, tmp_path):
    model_id, location = logged(store, experiment(store, "shared", tmp_path / "artifacts"), tmp_path / "made")
    store.create_registered_model("other")
    version = store.create_model_version("other", f"models:/{model_id}", model_id=model_id)
    assert delete.files(store, version) == (model_id, location)
    freed, told = delete.discard(store, model_id, location)
    assert (freed, told) == (0, "its files stay, because other version 1 is the same model")
    assert len(files(tmp_path / "artifacts")) == 4
    store.delete_model_version("other", "1")
    assert delete.discard(store, model_id, location) == (1024, "")


def test_a_folder_that_is_not_the_models_own_is_never_deleted(store, tmp_path):
    model_id, _ = logged(store, experiment(store, "wide", tmp_path / "artifacts"), tmp_path / "made")
    freed, told = delete.discard(store, model_id, (tmp_path / "artifacts").as_uri())
    assert freed == 0
    assert told.endswith("because that folder may hold other files too")
    assert len(files(tmp_path / "artifacts")) == 4


def test_a_store_that_does_not_delete_is_told(store, tmp_path):
    model_id, _ = logged(store, experiment(store, "away", tmp_path / "artifacts"), tmp_path / "made")
    freed, told = delete.discard(store, model_id, f"nowhere://bucket/{model_id}/artifacts")
    assert freed == 0
    assert f"its files in nowhere://bucket/{model_id}/artifacts could not be deleted: " in told
    assert told.endswith("`mlflow gc` where the store is deletes them")


def test_a_version_of_other_origin_has_no_files_to_delete(store, tmp_path):
    store.create_registered_model("foreign")
    version = store.create_model_version("foreign", str(tmp_path))
    assert delete.files(store, version) == ("", "")
    assert delete.discard(store, "", "") == (0, "")


@pytest.mark.long
def test_a_server_deletes_the_files_that_it_serves(tmp_path):
    port = lifecycle._free_port()
    uri, kept = f"http://127.0.0.1:{port}", tmp_path / "kept"
    server = [
        sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
        "--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--artifacts-destination", kept.as_uri(),
    ]  # fmt: skip
    with subprocess.Popen(server, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: up(uri))
            mlflow.set_tracking_uri(uri)
            mlflow.set_registry_uri(uri)
            store = MlflowClient(uri, uri)
            model_id, location = logged(store, store.create_experiment("pets"), tmp_path / "made")
            assert location.startswith("mlflow-artifacts:")
            assert len(files(kept)) == 4
            assert delete.discard(store, model_id, location) == (1024, "")
            assert len(files(kept)) == 2
            freed, told = delete.discard(store, model_id, f"file:///nowhere/{model_id}")
            assert freed == 0
            assert "they may lie on the server's own disk" in told
        finally:
            lifecycle._stop(process.pid)


def up(uri: str) -> bool:
    try:
        with urllib.request.urlopen(f"{uri}/health", timeout=5) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
