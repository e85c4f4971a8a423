"""A registered version as it is deployed: its files, checked, and what its rows are.

A version of an older Ratchet has no columns.json: then its columns are made from the YAML of its run, its model folder
and its golden rows.
"""

import json
from pathlib import Path
from typing import Any

from ruamel.yaml.error import YAMLError

from flows.deployment import explanation_files, serving_files, version_folder
from flows.deployment.live_file import Live
from flows.deployment.serving_files import Serving
from flows.deployment.version_folder import Made, Version
from flows.records.champion_state import Standing
from flows.registry import columns, definition, model_registry
from flows.registry.model_registry import MlflowException, ModelVersion
from flows.tracking.mlflow_runs import MlflowClient
from pipelines.config import settings, yaml_text
from pipelines.config.data import Data
from pipelines.errors import IntegrityError, RequestError
from pipelines.model import predictor

UNREADABLE = (OSError, MlflowException, YAMLError, RecursionError, ValueError, KeyError, TypeError, RequestError)


def champion(
    store: MlflowClient, model: str, standing: Standing, marked: list[str], temporary: Path
) -> tuple[Version, ModelVersion]:
    """The champion by the ledger. As `fetched`."""
    return fetched(store, model, int(standing.champion or 0), standing, marked, temporary)


def fetched(
    store: MlflowClient, model: str, number: int, standing: Standing, marked: list[str], temporary: Path
) -> tuple[Version, ModelVersion]:
    """A version that the ledger names. marked: the columns that are sensitive by today's YAML.

    Raises IntegrityError if its files are not the registered ones.
    """
    registered = model_registry.version(store, model, number)
    if registered is None:
        named = "as champion" if number == standing.champion else "beside the champion"
        raise IntegrityError(f"MLflow has no version {number} of {model}, which the ledger names {named}.")
    files = model_registry.fetch(store, registered, temporary, standing.artifacts.get(number))
    folder = files / "artifacts" / "model"
    try:
        predictor.check_manifest(folder, registered.tags.get("ratchet.model_hash"))
    except (ValueError, OSError) as error:
        raise IntegrityError(f"Version {number} of {model} is not served: {error}.") from error
    golden = version_folder.golden(files)
    data, about = _described(store, registered, files, temporary)
    sensitive = sorted({*marked, *data.sensitive})
    explanations = explanation_files.fetch(store, registered, temporary)
    return Version(number, files, data, about, golden, sensitive, explanations), registered


def live(registered: ModelVersion, version: Version, serving: Serving, made: Made) -> Live:
    """A version whose folder is made; without since when, and without what the YAML says of serving."""
    own = serving_files.recorded(registered) if serving.variant else None
    return Live(
        model=registered.name,
        version=version.number,
        model_hash=registered.tags["ratchet.model_hash"],
        artifact_hash=registered.tags["ratchet.artifact_hash"],
        serving_hash=serving.hash,
        runtime=serving.runtime,
        why=serving.why,
        folder=made.path,
        files_hash=made.files_hash,
        sensitive=version.sensitive,
        variant=serving.variant,
        variant_model=serving.model_hash,
        parent=own,
    )


def _described(
    store: MlflowClient, version: ModelVersion, fetched: Path, temporary: Path
) -> tuple[Data, dict[str, Any]]:
    """What the rows of a version are, and its columns. A version of an older Ratchet has no columns.json."""
    kept = fetched / "evidence" / columns.NAME
    data = _declared(store, version, fetched, temporary)
    if kept.is_file():
        return data, json.loads(kept.read_text(encoding="utf-8"))
    reading = fetched / "artifacts" / "reading" / "reading.json"
    instants = json.loads(reading.read_text(encoding="utf-8"))["instants"] if reading.is_file() else {}
    golden = version_folder.golden(fetched)
    return data, columns.describe(data, fetched / "artifacts" / "model", instants, None, golden)


def _declared(store: MlflowClient, version: ModelVersion, fetched: Path, temporary: Path) -> Data:
    """The section `data` that a version was trained with, as its run keeps it; else what its model.json says of it."""
    try:
        path = definition.fetch(store, store.get_run(str(version.run_id)), "model.yaml", temporary)
        content = yaml_text.plain(path.read_text(encoding="utf-8"))
        return settings.parse(version.name, "data", content["data"], Data)
    except UNREADABLE as error:
        found = _of_model(fetched / "artifacts" / "model")
        if found is None:
            raise IntegrityError(
                f"The YAML that version {version.version} of {version.name} was trained with cannot be read: "
                f"{' '.join(str(error).split())[:300]}"
            ) from error
        return found


def _of_model(folder: Path) -> Data | None:
    """None for a sequence: model.json does not say which steps it takes."""
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    if about["kind"] == "sequence":
        return None
    roles = {"number": about["numbers"], "category": about["categories"], "date": about.get("dates", [])}
    content = {name: about[name] for name in ("kind", "task", "target", "label", "shape") if name in about}
    if about["task"] == "regression":
        content.pop("label", None)
    return Data.model_validate(content | {"columns": {name: role for role, names in roles.items() for name in names}})
