"""Kept: the smaller forms of a version, beside it in MLflow.

    compressed/compressed.json         with the run of the version
    compressed/<serving_hash>/         the files of one form; the name has the first letters of the hash

A folder is named after its content and never replaced, so that what was chosen once can be served again.
"""

import tempfile
from dataclasses import replace
from pathlib import Path

from flows.compression.chosen import Chosen
from flows.compression.variants import ABOUT, FOLDER, MODEL, Made, Variant
from flows.project import scratch
from flows.registry import serving_folder
from flows.registry.model_registry import MlflowException, ModelVersion
from flows.registry.serving_folder import Serving
from flows.tracking.mlflow_runs import MlflowClient
from pipelines.errors import IntegrityError
from pipelines.model import predictor

HASH, MADE = "ratchet.compressed_hash", "ratchet.compressed_made"
SERVED_AS, TOLD, LINE = "ratchet.served_as", "ratchet.compressed", "ratchet.compressed_line"
WITH_RUN, LATER = "with the run", "later"  # values of MADE: only the first can be made again from the run's commit
SHORT = 12  # letters of a hash in a name
ITSELF = "itself"  # the value of SERVED_AS for the version's own files


def place(serving_hash: str) -> str:
    """The artifact folder of one form."""
    return f"{FOLDER}/{serving_hash[:SHORT]}"


def keep(store: MlflowClient, version: ModelVersion, made: Made, folder: Path, fresh: bool) -> None:
    """Keep what the stage has made with the run of a version, and tag both. The tags come last, so that what was
    interrupted is done again.

    folder: of compressed.json. fresh: whether the version was registered by the run that made it.
    """
    run_id = str(version.run_id)
    lost = [variant for variant in made.variants if not _is_kept(store, version, variant)]
    if version.tags.get(HASH) == made.hash and not lost:
        return
    for variant in lost:
        _keep(store, run_id, variant)
    store.log_artifact(run_id, str(folder / ABOUT), FOLDER)
    for name, value in {MADE: WITH_RUN if fresh else LATER, HASH: made.hash}.items():
        store.set_tag(run_id, name, value)
        store.set_model_version_tag(version.name, str(version.version), name, value)


def _is_kept(store: MlflowClient, version: ModelVersion, variant: Variant) -> bool:
    with scratch.folder("compressed") as temporary:
        try:
            fetch(store, version, of(variant), temporary)
        except IntegrityError:
            return False
    return True


def of(variant: Variant) -> Chosen:
    """A variant as it would be chosen."""
    return Chosen(variant.name, str(variant.serving.hash), variant.model_hash)


def _keep(store: MlflowClient, run_id: str, variant: Variant) -> None:
    target = place(str(variant.serving.hash))
    for name in variant.serving.names:
        store.log_artifact(run_id, str(variant.folder / name), target)
    if variant.model:
        store.log_artifacts(run_id, str(variant.model), f"{target}/{MODEL}")


def fetch(store: MlflowClient, version: ModelVersion, chosen: Chosen, into: Path) -> Serving:
    """The files of a form, copied to `into` and checked there. Raises IntegrityError if they were lost or changed."""
    target = Path(tempfile.mkdtemp(prefix="fetched-", dir=into))
    try:
        folder = Path(store.download_artifacts(str(version.run_id), place(chosen.serving_hash), str(target)))
        found = serving_folder.check(folder, version.tags["ratchet.model_hash"])
        if found.hash != chosen.serving_hash:
            raise ValueError(f"{serving_folder.ABOUT} is not the recorded one")
        if chosen.model_hash:
            predictor.check_manifest(folder / MODEL, chosen.model_hash)
    except (IntegrityError, ValueError, OSError, MlflowException) as error:
        told = " ".join(str(error).split())[:300]
        raise IntegrityError(
            f"The {chosen.name} form of version {version.version} of {version.name} was lost or changed in the "
            f"artifact store: {told}",
            f"`ratchet run {version.name}` keeps it again, if its data are still there.",
        ) from error
    model = folder / MODEL if chosen.model_hash else None
    return replace(found, variant=chosen.name, model=model, model_hash=chosen.model_hash)
