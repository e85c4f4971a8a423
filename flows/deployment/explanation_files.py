"""The explanations of a version: explanations.json and what it names, in the artifact folder `explanations` of its run.

They stand beside the model, not in it, as the files for serving do. Their name is the SHA-256 of explanations.json, in
a tag of run and version. The first ones that are published for a version stay, unless they are lost or changed.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.deployment.serving_files import LATER, WITH_RUN
from flows.project import scratch
from flows.project.environment import Project
from flows.records.outputs import Published
from flows.registry.model_registry import MlflowException, ModelVersion
from flows.registry.serving_folder import named
from flows.tracking import mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient
from pipelines.errors import IntegrityError
from pipelines.model.predictor import file_hash

FOLDER, ABOUT = "explanations", "explanations.json"
HASH, MADE = "ratchet.explanations_hash", "ratchet.explanations_made"


@dataclass(frozen=True)
class Explanations:
    """folder: with the checked files. names: of the files, nothing else of the folder is used. hash: of
    explanations.json. content: what it holds."""

    folder: Path
    names: tuple[str, ...]
    hash: str
    content: dict[str, Any]


def check(folder: Path, model_hash: str) -> Explanations:
    """The explanations in a folder. Raises IntegrityError if they are not what explanations.json names, or of another
    model. model_hash: of the version that they are of."""
    about = named(folder, ABOUT, model_hash, "The explanations")
    return Explanations(folder, (*about["files"], ABOUT), file_hash(folder / ABOUT), about)


def hash_of(folder: Path) -> str | None:
    """The explanations_hash of a folder; None if there is none."""
    path = folder / ABOUT
    return file_hash(path) if path.is_file() else None


def recorded(version: ModelVersion) -> str | None:
    """The explanations_hash of a version, or None."""
    return version.tags.get(HASH)


def of_run(project: Project, model: str, published: Published) -> bool:
    """Keep the explanations that the stage of a run has made with the version of that run.

    Returns whether the version had none, so that they are not live yet.
    """
    store = mlflow_runs.client(project)
    version = store.get_model_version(model, str(published.version))
    return publish(store, version, project.data(model) / FOLDER, WITH_RUN if published.fresh else LATER)


def publish(store: MlflowClient, version: ModelVersion, folder: Path, made: str) -> bool:
    """Keep explanations with the run of a version, and tag both; returns False if the version has whole ones.

    made: WITH_RUN or LATER. The tags come last, so an interrupted publication is done again.
    """
    found = check(folder, version.tags["ratchet.model_hash"])
    with scratch.folder("explanations") as temporary:
        there = fetch(store, version, temporary)
        if there is not None and (not there.content["off"] or found.content["off"]):
            return False
    run_id = str(version.run_id)
    for name in found.names:
        store.log_artifact(run_id, str(folder / name), FOLDER)
    for name, value in {MADE: made, HASH: found.hash}.items():
        store.set_tag(run_id, name, value)
        store.set_model_version_tag(version.name, str(version.version), name, value)
    return True


def fetch(store: MlflowClient, version: ModelVersion, into: Path) -> Explanations | None:
    """The recorded explanations of a version, copied to `into` and checked there; None if there are none, or they were
    lost or changed: nothing depends on them, and the next run makes them again."""
    wanted = recorded(version)
    if wanted is None:
        return None
    target = tempfile.mkdtemp(prefix="fetched-", dir=into)
    try:
        folder = Path(store.download_artifacts(str(version.run_id), FOLDER, target))
        found = check(folder, version.tags["ratchet.model_hash"])
    except (IntegrityError, OSError, MlflowException):
        return None
    return found if found.hash == wanted else None
