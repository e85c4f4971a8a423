"""The files of a registered model: their size, and deleting them.

MLflow's own delete only marks a logged model. Its files stay until somebody runs `mlflow gc` on the machine of the
store. MLflow's artifact repositories can delete files: in a folder, through a server, in a bucket.
"""

import re

from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from flows.registry import model_registry
from flows.registry.model_registry import ModelVersion
from flows.tracking.mlflow_runs import MlflowClient

MODEL_ID = re.compile(r"m-[0-9a-f]{32}")


def files(store: MlflowClient, version: ModelVersion) -> tuple[str, str]:
    """The logged model of a version, and the location of its files; each "" if there is none."""
    model_id = model_registry.logged_model(version)
    if not MODEL_ID.fullmatch(model_id):
        return "", ""
    try:
        return model_id, str(store.get_logged_model(model_id).artifact_location)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return model_id, ""


def size(location: str) -> int:
    """Bytes of all files there; 0 if nothing can be read."""
    if not location:
        return 0
    try:
        return _size(location, None)
    except Exception:  # each kind of store has errors of its own
        return 0


def _size(location: str, folder: str | None) -> int:
    entries = get_artifact_repository(location).list_artifacts(folder)
    return sum(_size(location, entry.path) if entry.is_dir else entry.file_size or 0 for entry in entries)


def discard(store: MlflowClient, model_id: str, location: str) -> tuple[int, str]:
    """Delete a logged model and its files; returns the bytes that were freed, and in words what is left.

    Doing it again changes nothing. A model that another version still uses stays.
    """
    if not model_id:
        return 0, ""
    if others := store.search_model_versions(f"source_path = 'models:/{model_id}'"):
        return 0, f"its files stay, because {others[0].name} version {others[0].version} is the same model"
    there, told = size(location), ""
    if location and model_id not in location:  # never a folder that may hold more than this model
        told = f"its files stay in {location}, because that folder may hold other files too"
    elif location:
        told = _delete(location, store.tracking_uri)
    try:
        store.delete_logged_model(model_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
    return (0 if told else there), told


def _delete(location: str, tracking_uri: str) -> str:
    """Delete all files there; returns why some are left, or ""."""
    try:
        get_artifact_repository(location).delete_artifacts()
        unseen = location.startswith("file:") and tracking_uri.startswith("http")
        reason = "they may lie on the server's own disk" if unseen else "they are still there" if size(location) else ""
    except Exception as error:  # each kind of store has errors of its own
        reason = " ".join(str(error).split())[:300] or type(error).__name__
    repair = "`mlflow gc` where the store is deletes them"
    return f"its files in {location} could not be deleted: {reason}; {repair}" if reason else ""
