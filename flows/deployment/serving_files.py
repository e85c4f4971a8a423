"""The serving files of a version: serving.json and what it names, in the artifact folder `serving` of its run.

They stand beside the model, not in it. Their name is the SHA-256 of serving.json, in a tag of run and version. The
first ones that are published for a version stay, unless they are lost or changed: whoever serves it gets the same
bytes. A later exporter reaches a model with its next version.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from ruamel.yaml import YAML

from flows.compression import chosen, kept
from flows.graph import lockfile
from flows.project import scratch
from flows.project.environment import Project
from flows.records.champion_state import Standing
from flows.records.outputs import Published
from flows.registry import definition
from flows.registry.model_registry import MlflowException, ModelVersion
from flows.registry.serving_folder import ABOUT, FOLDER, Serving, check, none
from flows.tracking import mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient
from pipelines import visible_text
from pipelines.errors import IntegrityError, RatchetError

LOCK = "serving.lock"  # in the artifact folder `definition`: the entries of dvc.lock
HASH, TOLD, MADE = "ratchet.serving_hash", "ratchet.serving", "ratchet.serving_made"
WITH_RUN, LATER = "with the run", "later"  # values of MADE: only the first can be made again from the run's commit
MOST_SECONDS = 1800  # of an export
NOT_MADE = "no serving files were made for this version yet"


def recorded(version: ModelVersion) -> str | None:
    """The serving_hash of a version, or None."""
    return version.tags.get(HASH)


def of_run(project: Project, model: str, published: Published) -> None:
    """Keep the serving files that the stages of a run have made, with the version of that run.

    The entries of dvc.lock go along, so that `ratchet prune` finds the files in DVC's cache.
    """
    store = mlflow_runs.client(project)
    version = store.get_model_version(model, str(published.version))
    made = WITH_RUN if published.fresh else LATER
    version = publish(store, version, project.data(model) / FOLDER, made)
    if str(version.run_id) == published.run_id:
        with scratch.folder("serving") as temporary:
            entries = lockfile.later(lockfile.effective(project, model))
            with (temporary / LOCK).open("w", encoding="utf-8") as file:
                YAML().dump({"schema": "2.0", "stages": entries}, file)
            store.log_artifact(published.run_id, str(temporary / LOCK), definition.FOLDER)
    elif HASH in version.tags:  # other inputs gave the same model
        for name in (TOLD, HASH):
            store.set_tag(published.run_id, name, version.tags[name])


def publish(store: MlflowClient, version: ModelVersion, folder: Path, made: str) -> ModelVersion:
    """Keep the serving files with the run of a version, and tag run and version; returns the version with its tags.

    made: WITH_RUN or LATER. Does nothing if the version has some that are whole. The tags come last, so an interrupted
    publication is done again.
    """
    found = check(folder, version.tags["ratchet.model_hash"])
    with scratch.folder("serving") as temporary:
        if not fetch(store, version, temporary).missing:
            return version
    run_id = str(version.run_id)
    for name in found.names:
        store.log_artifact(run_id, str(folder / name), FOLDER)
    told = found.runtime if not found.why else f"{found.runtime}: {found.why}"
    tags = {TOLD: visible_text.line(told)[:5000], MADE: made, HASH: str(found.hash)}
    for name, value in tags.items():
        store.set_tag(run_id, name, value)
    for name, value in tags.items():
        store.set_model_version_tag(version.name, str(version.version), name, value)
    return store.get_model_version(version.name, str(version.version))


def fetch(store: MlflowClient, version: ModelVersion, into: Path) -> Serving:
    """The recorded serving files of a version, copied to `into` and checked there.

    Files that were lost or changed are not used: then the model itself answers, and `why` says so.
    """
    wanted = recorded(version)
    if wanted is None:
        return none(NOT_MADE)
    try:
        folder = Path(store.download_artifacts(str(version.run_id), FOLDER, str(_new(into))))
        found = check(folder, version.tags["ratchet.model_hash"])
        if found.hash != wanted:
            raise IntegrityError(f"{ABOUT} is not the recorded one")
    except (IntegrityError, OSError, MlflowException) as error:
        told = " ".join(str(error).split())[:300]
        return none(f"the recorded serving files in the artifact store were lost or changed: {told}")
    return found


def answering(store: MlflowClient, version: ModelVersion, standing: Standing, into: Path) -> tuple[Serving, str]:
    """The files by which a version answers, and a problem: those of the smaller form that the ledger names, else its
    own. A form that was lost or changed is not used: the version itself answers, and the problem says so.
    """
    form = chosen.of(standing, int(version.version))
    if form is None:
        return fetch(store, version, into), ""
    try:
        return kept.fetch(store, version, form, into), ""
    except IntegrityError as error:
        return fetch(store, version, into), f"{error} The version itself answers."


def _new(into: Path) -> Path:
    """A folder that is not there yet."""
    return Path(tempfile.mkdtemp(prefix="fetched-", dir=into))


def export(version: ModelVersion, fetched: Path, rows: pa.Table, into: Path) -> Path:
    """Make the serving files of a registered version, in a process of its own: it imports TensorFlow.

    fetched: the checked files of the version; rows: raw rows for the check. Raises RatchetError if it fails.
    """
    out, table = into / "exported", into / "rows.parquet"
    pq.write_table(rows, table)
    command = [sys.executable, "-m", "pipelines.onnx", str(fetched / "artifacts" / "model"), str(table), str(out)]
    try:
        done = subprocess.run(command, env=_quiet(), capture_output=True, text=True, timeout=MOST_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise _failed(version, f"it took longer than {MOST_SECONDS} seconds") from error
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise _failed(version, said[0].removeprefix("error: ").rstrip("."))
    return out


def _quiet() -> dict[str, str]:
    return os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}  # serving files are for processors


def _failed(version: ModelVersion, why: str) -> RatchetError:
    return RatchetError(
        f"The serving files of version {version.version} of {version.name} could not be made: {why}.",
        "The model itself answers meanwhile, more slowly. `ratchet serve` tries again when it starts.",
    )


def with_every_column(golden: pa.Table, about: dict[str, Any]) -> pa.Table:
    """Golden rows with the sensitive columns that they were kept without, empty. about: the version's model.json."""
    past = about.get("past", {"window": 0, "numbers": [], "categories": []})
    kinds: dict[str, pa.DataType] = dict.fromkeys(about["numbers"], pa.float64())
    kinds |= dict.fromkeys([*about["categories"], *about.get("dates", [])], pa.string())
    kinds |= dict.fromkeys(past["numbers"], pa.list_(pa.float64(), past["window"]))
    kinds |= dict.fromkeys(past["categories"], pa.list_(pa.string(), past["window"]))
    for name, kind in kinds.items():
        if name not in golden.schema.names:
            golden = golden.append_column(name, _empty(len(golden), kind))
    return golden


def _empty(count: int, kind: pa.DataType) -> pa.Array:
    if not pa.types.is_fixed_size_list(kind):
        return pa.nulls(count, kind)
    return pa.FixedSizeListArray.from_arrays(pa.nulls(count * kind.list_size, kind.value_type), kind.list_size)
