"""All models in MLflow: versions, runs, and the data that each run recorded.

The names of data are hashes of their content, and models share some (an empty file is the same in all of them). So
deleting one model's data needs the records of all others.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import mlflow
from mlflow.entities import LifecycleStage, Run, ViewType
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from flows.records.earlier_runs import hashes, made
from pipelines.config import settings
from pipelines.errors import IntegrityError

PRUNED = "ratchet.pruned"  # tag of a run: when its version was pruned
RECORDS = ("definition/dvc.lock", "definition/source.dvc", "definition/serving.lock")  # artifacts that name data


@dataclass(frozen=True)
class Parted:
    """Runs by whether their data stay. required: runs whose records must be there before anything is deleted."""

    kept: list[Run]
    dropped: list[Run]
    required: set[str]


@dataclass(frozen=True)
class Inventory:
    versions: dict[str, dict[int, ModelVersion]]  # by model and number
    runs: dict[str, dict[str, Run]]  # by model and id

    def makers(self, model: str, number: int) -> list[str]:
        """The runs that made exactly this version's model: its own, and runs on other inputs with the same result."""
        version = self.versions[model][number]
        digest = version.tags.get("ratchet.model_hash")
        same = {run_id for run_id, run in self.runs[model].items() if digest and _model_hash(run) == digest}
        return sorted(same | {str(version.run_id)} & set(self.runs[model]))

    def unfinished(self, model: str) -> set[int]:
        """The versions with a run that is unpublished or still runs, and the versions without a run of ours."""
        found = set()
        for number, version in self.versions[model].items():
            makers = [self.runs[model][run_id] for run_id in self.makers(model, number)]
            if str(version.run_id) not in self.runs[model] or not all(map(_finished, makers)):
                found.add(number)
        return found

    def part(self, model: str, leaving: Collection[int], makers: Collection[str]) -> Parted:
        """Without some versions of a model. makers: the runs that made those. What another version needs stays."""
        remaining = [
            version
            for name, versions in self.versions.items()
            for number, version in versions.items()
            if name != model or number not in leaving
        ]
        digests = {version.tags.get("ratchet.model_hash") for version in remaining} - {None}
        own = {str(version.run_id) for version in remaining}
        kept, dropped = [], []
        for run_id, run in chain.from_iterable(runs.items() for runs in self.runs.values()):
            if run_id in own or _model_hash(run) in digests:
                kept.append(run)
            elif run_id in makers:
                dropped.append(run)
            elif PRUNED not in run.data.tags:
                kept.append(run)
        return Parted(kept, dropped, {run.info.run_id for run in kept if run.info.run_id in own and _finished(run)})


def read(store: MlflowClient, models: Iterable[str]) -> Inventory:
    """These models, and all other registered ones whose names our models could have."""
    registered = {found.name for found in _all(store.search_registered_models) if settings.is_name(found.name)}
    versions, runs = {}, {}
    for model in sorted({*models, *registered}):
        experiment = store.get_experiment_by_name(model)
        found = list(_all(_runs(store, experiment.experiment_id))) if experiment else []
        runs[model] = {run.info.run_id: run for run in found if "ratchet.published" in run.data.tags}
        versions[model] = {int(version.version): version for version in _all(_versions(store, model))}
    return Inventory(versions, runs)


def run(store: MlflowClient, run_id: str) -> Run | None:
    """A run that is there and not deleted, or None."""
    try:
        found = store.get_run(run_id)
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return found if found.info.lifecycle_stage == LifecycleStage.ACTIVE else None


def outputs(store: MlflowClient, runs: Iterable[Run]) -> set[str]:
    """DVC's hashes of all outputs and pinned files of these runs."""
    return set().union(*(made(text) for run in runs for text in _records(store, run).values()))


def needs(store: MlflowClient, parted: Parted) -> set[str]:
    """DVC's hashes in the records of the runs that stay.

    Raises IntegrityError if the record of a version that stays is missing: then nobody knows which data it needs.
    """
    found: set[str] = set()
    for run in parted.kept:
        records = _records(store, run)
        if run.info.run_id in parted.required and RECORDS[0] not in records:
            raise IntegrityError(
                f"The run {run.info.run_id} of a version that stays has no {RECORDS[0]} in MLflow, so nobody knows "
                "which data it needs. Nothing was deleted.",
                "Restore the artifact store from a backup, or run `ratchet doctor` if the folder was moved.",
            )
        found |= set().union(*map(hashes, records.values()))
    return found


def _records(store: MlflowClient, run: Run) -> dict[str, str]:
    """The artifacts of a run that name data, by their path; {} if it has none."""
    listed = {entry.path for entry in store.list_artifacts(run.info.run_id, "definition")}
    return {path: mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/{path}") for path in RECORDS if path in listed}


def _model_hash(run: Run) -> str | None:
    return run.data.tags.get("ratchet.model_hash")


def _finished(run: Run) -> bool:
    return run.data.tags.get("ratchet.published") == "true" and run.info.status != "RUNNING"


def _runs(store: MlflowClient, experiment_id: str) -> Callable[..., Any]:
    def page(page_token: str | None) -> Any:  # with runs that a person deleted: a version may need them
        return store.search_runs([experiment_id], run_view_type=ViewType.ALL, page_token=page_token)

    return page


def _versions(store: MlflowClient, model: str) -> Callable[..., Any]:
    return lambda page_token: store.search_model_versions(f"name = '{model}'", page_token=page_token)


def _all(search: Callable[..., Any]) -> Iterator[Any]:
    """Every entry of a search that answers page by page."""
    token = None
    while True:
        page = search(page_token=token)
        yield from page
        if not (token := page.token):
            return
