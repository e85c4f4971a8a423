"""The MLflow registry: one version for each model_hash, and the alias `champion`."""

import json
import os
import shutil
from collections.abc import Callable
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import mlflow
import mlflow.pyfunc
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.tracking import MlflowClient
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import AnyType, Array
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.mlflow_tags import MLFLOW_MODEL_VERSIONS

from flows.project import scratch
from flows.registry import integrity, reading, served
from pipelines.errors import IntegrityError

CHAMPION = "champion"
REQUIREMENTS = ("keras", "mlflow", "numpy", "pandas", "tensorflow")  # what a served model imports


def find(store: MlflowClient, model: str, model_hash: str) -> ModelVersion | None:
    """The version of exactly this model."""
    query = f"name = '{model}' and tags.`ratchet.model_hash` = '{model_hash}'"
    found = [v for v in store.search_model_versions(query) if v.tags.get("ratchet.model_hash") == model_hash]
    return min(found, key=lambda entry: int(entry.version)) if found else None


def logged_model(version: ModelVersion) -> str:
    """The id of a version's logged model."""
    return str(version.source or "").removeprefix("models:/")


def champion(store: MlflowClient, model: str) -> ModelVersion | None:
    try:
        return store.get_model_version_by_alias(model, CHAMPION)
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def version(store: MlflowClient, model: str, number: int) -> ModelVersion | None:
    if not 0 < number < 1 << 31:  # no registry reaches it, and some databases refuse such a number
        return None
    try:
        return store.get_model_version(model, str(number))
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def tags(store: MlflowClient, model: str) -> dict[str, str]:
    """The tags of the registered model, {} if there is none yet."""
    try:
        return dict(store.get_registered_model(model).tags)
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return {}
        raise


def aliased(store: MlflowClient, model: str) -> set[int]:
    """The versions with any alias."""
    try:
        return {int(number) for number in store.get_registered_model(model).aliases.values()}
    except MlflowException as error:
        if error.error_code == "RESOURCE_DOES_NOT_EXIST":
            return set()
        raise


def register(
    store: MlflowClient,
    model: str,
    folder: Path,
    evidence: Callable[[Path], object],
    run_id: str,
    experiment_id: str,
    example: Any,
    tags: dict[str, str],
    read: dict[str, Any] | None = None,
) -> ModelVersion:
    """Log a model folder with its run and register it, with the tags, as the next version of `model`.

    read: how raw rows are read (reading.content); without it they have to be as in raw.parquet.
    evidence: adds the files to the registered folder that are kept with the model (flows/tracking/evidence_files.py).
    """
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    for left in store.search_logged_models([experiment_id], f"source_run_id = '{run_id}'"):  # by an attempt that died
        store.delete_logged_model(left.model_id)
    logged = store.create_logged_model(experiment_id, name=model, source_run_id=run_id, model_type=about["task"])
    with scratch.folder("model") as temporary:
        target, artifacts = temporary / "model", {"model": str(folder)}
        if read is not None:
            artifacts[reading.NAME] = str(reading.write(read, temporary / reading.NAME))
            tags |= {reading.TAG: str(read["rules"]["reader"])}
        mlflow.pyfunc.save_model(
            target,
            mlflow_model=Model(artifact_path=logged.artifact_location, run_id=run_id, model_id=logged.model_id),
            python_model=served.__file__,
            artifacts=artifacts,
            signature=signature(about, read),
            input_example=example,
            pip_requirements=[f"{name}=={installed(name)}" for name in REQUIREMENTS],
        )
        evidence(target)
        files = integrity.hashes(target)
        tags |= {"ratchet.artifact_hash": integrity.whole(files), "ratchet.artifact_files": integrity.short(files)}
        store.log_model_artifacts(logged.model_id, str(target))
    store.finalize_logged_model(logged.model_id, "READY")
    _ensure_registered(store, model, about)
    uri = f"models:/{logged.model_id}"
    version = store.create_model_version(model, uri, run_id=run_id, tags=tags, model_id=logged.model_id)
    link = [
        {"name": model, "version": version.version}
    ]  # MLflow's page of the logged model shows where it is registered
    store.set_logged_model_tags(logged.model_id, {MLFLOW_MODEL_VERSIONS: json.dumps(link)})
    return version


def _ensure_registered(store: MlflowClient, model: str, about: dict[str, Any]) -> None:
    try:
        store.get_registered_model(model)
    except MlflowException:
        store.create_registered_model(model, description=f"Predicts {about['target']} ({about['task']}) from raw rows.")


def signature(about: dict[str, Any], read: dict[str, Any] | None = None) -> ModelSignature:
    """Raw rows in; prediction, and for a classification the probability of each class, out.

    read: how raw rows are read. Then a column takes values of any type: MLflow refuses whole numbers where it expects
    doubles, and dates where it expects text.
    """
    if about["kind"] == "image":
        inputs: list[Any] = [ColSpec(DataType.binary, "image")]
    else:
        words = [*about["categories"], *about.get("dates", [])]
        typed = [(name, DataType.double) for name in about["numbers"]] + [(name, DataType.string) for name in words]
        made = read["instants"] if read else {}
        inputs = [ColSpec(AnyType() if read else kind, name, required=name not in made) for name, kind in typed]
        parts = dict.fromkeys(part for found in made.values() for part in found)
        inputs += [ColSpec(AnyType(), name, required=False) for name in parts if name not in dict(typed)]
        past = about.get("past", {"numbers": [], "categories": []})
        # not Array(double): MLflow refuses a list of whole numbers, and most languages write 1.0 as 1 in JSON; nor
        # Array(string): if a value is missing, it keeps only one letter of each word
        inputs += [ColSpec(Array(AnyType()), name) for name in (*past["numbers"], *past["categories"])]
    label = DataType.double if not about["classes"] else _label(about)
    outputs: list[Any] = [ColSpec(label, "prediction")]
    outputs += [ColSpec(DataType.float, f"probability_{name}") for name in about["classes"]]
    return ModelSignature(Schema(inputs), Schema(outputs))


def _label(about: dict[str, Any]) -> DataType:
    return DataType.long if about["label"] == "integer" else DataType.string


def fetch(store: MlflowClient, version: ModelVersion, into: Path, recorded: str | None = None) -> Path:
    """All registered files of a version, checked: what MLflow loads, the model folder, the evidence.

    They are copied to `into` first, so that the checked files are the ones that are loaded. recorded: their hash in the
    ledger (Standing.artifacts). Raises IntegrityError if they have changed since registration.
    """
    target = into / f"version-{version.version}"
    if target.exists():
        return target
    check_recorded(version, recorded)
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        _copy(store, version, partial)
        check_files(version, partial)
    except (ValueError, OSError, MlflowException) as error:
        raise _not_as_registered(version, " ".join(str(error).split())[:300]) from error
    os.replace(partial, target)
    return target


def _copy(store: MlflowClient, version: ModelVersion, target: Path) -> None:
    if (there := local(store, version)) is not None:
        integrity.copy(there, target)
        return
    with scratch.folder("fetched") as temporary:
        uri = f"models:/{version.name}/{version.version}"
        integrity.copy(Path(mlflow.artifacts.download_artifacts(uri, dst_path=str(temporary))), target)


def local(store: MlflowClient, version: ModelVersion) -> Path | None:
    """The folder of a version if it is on this machine. Never load from it."""
    return folder_of(str(store.get_logged_model(logged_model(version)).artifact_location))


def folder_of(location: str) -> Path | None:
    """The folder at a location of MLflow's, if it is on this machine."""
    if not location.startswith(("file:", "/")):
        return None
    path = Path(local_file_uri_to_path(location))
    return path if path.is_dir() else None


def check_recorded(version: ModelVersion, recorded: str | None) -> None:
    """Raises IntegrityError if the registry has no hash of a version's files, or another than the ledger."""
    known = version.tags.get("ratchet.artifact_hash")
    if known is None:
        raise _not_as_registered(version, "the registry has no hash of its files")
    if recorded is not None and recorded != known:
        raise _not_as_registered(
            version, f"the hash of its files is {known[:12]} in the registry, but {recorded[:12]} in the ledger"
        )


def check_files(version: ModelVersion, folder: Path) -> None:
    """Raises IntegrityError if the files in a folder are not the registered ones."""
    try:
        found = integrity.hashes(folder)
    except (ValueError, OSError) as error:
        raise _not_as_registered(version, str(error)) from error
    if integrity.whole(found) != version.tags.get("ratchet.artifact_hash"):
        raise _not_as_registered(version, integrity.differences(found, version.tags.get("ratchet.artifact_files", "")))


def _not_as_registered(version: ModelVersion, told: str) -> IntegrityError:
    return IntegrityError(
        f"Version {version.version} of {version.name} has changed since it was registered: {told}.",
        "Ratchet does not load it. Restore the artifact store from a backup.",
    )
