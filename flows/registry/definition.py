"""The definition of a published run: files in its artifact folder `definition`, checked by hashes in its tags.

They decide how rows are read, and what is rebuilt or restored, so a changed file is refused before it is parsed. A run
of an older Ratchet has no such hashes: its files are trusted.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Run

from pipelines.errors import IntegrityError
from pipelines.model.predictor import file_hash

FOLDER = "definition"
TAG = "ratchet.definition_files"  # name -> SHA-256


def tag(files: Iterable[tuple[str, Path]]) -> dict[str, str]:
    """The tag of a run. files: (folder in the run, file) of all that are logged with it."""
    return {TAG: json.dumps({path.name: file_hash(path) for folder, path in files if folder == FOLDER})}


def names(store: MlflowClient, run: Run) -> set[str]:
    """The names of a run's definition files."""
    return {Path(entry.path).name for entry in store.list_artifacts(run.info.run_id, FOLDER)}


def fetch(store: MlflowClient, run: Run, name: str, into: Path) -> Path:
    """One file, copied to a folder of ours and checked there. Raises IntegrityError if it changed after publication."""
    known = json.loads(run.data.tags.get(TAG, "{}"))
    path = Path(store.download_artifacts(run.info.run_id, f"{FOLDER}/{name}", str(into)))
    if known and file_hash(path) != known.get(name):
        raise IntegrityError(
            f"{FOLDER}/{name} of the run {run.info.run_id} in MLflow was changed after it was published.",
            "Ratchet does not read it. Restore the artifact store from a backup.",
        )
    return path
