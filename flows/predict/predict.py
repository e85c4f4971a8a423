"""Predict: the answers of a registered model to rows that are not in its data, from a file into a file.

The version is looked up, downloaded and compared with the hash that it was registered by; its own YAML, which lies with
its run, says how rows are read. Then a process of its own predicts (flows/predict/worker.py). The file of answers
appears when it is whole.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

from ruamel.yaml.error import YAMLError

from flows.compression import chosen, kept
from flows.predict import file_paths, worker
from flows.predict.file_paths import Wanted
from flows.project import lifeline, scratch, whole_files
from flows.project.environment import Project
from flows.project.locks import Notice
from flows.promotion import champion_alias
from flows.records import ledger
from flows.records.champion_state import stand
from flows.registry import definition, model_registry
from flows.registry.model_registry import MlflowException, ModelVersion
from flows.report.steps import Steps
from flows.tracking import mlflow_runs
from flows.tracking.mlflow_runs import MlflowClient
from pipelines import evaluate
from pipelines.config import settings, yaml_text
from pipelines.config.data import Data
from pipelines.config.settings import FORMAT
from pipelines.errors import IntegrityError, RequestError, SettingsError
from pipelines.hardware import device, gpus
from pipelines.ingest import Ingest
from pipelines.model import predictor
from pipelines.training import data_loader

AGAIN = "Nothing was written: run again when it is back."
EXACT = "Leave out --device, or let the version itself answer with --exact."


def predict(project: Project, wanted: Wanted, notice: Notice) -> dict[str, Any]:
    """The object that `ratchet predict --json` prints. Raises RequestError, DataError, IntegrityError."""
    start, model = time.monotonic(), wanted.model
    declared = settings.load(model, "evaluate", evaluate.Evaluate).device
    file_paths.check(project, wanted)
    _require(wanted.device, declared)
    with (
        scratch.folder("predict") as folder,
        lifeline.held(project),
        whole_files.partial(wanted.output, file_paths.ELSEWHERE) as output,
        Steps(notice) as at,
    ):
        at("fetches the version, and compares it with the registry")
        with mlflow_runs.reachable(project, AGAIN):
            store = mlflow_runs.client(project)
            version = which(store, model, wanted.version)
            lines, wrong = champion_alias.compare(store, ledger.of(project), model)
            standing = stand(lines)
            recorded = standing.artifacts.get(int(version.version))
            files = model_registry.fetch(store, version, folder, recorded) / "artifacts" / "model"
            sections = declaration(store, version, folder)
            form = None if wanted.exact else chosen.of(standing, int(version.version))
            if form and not form.model_hash and wanted.device == "gpu":
                raise RequestError(f"{form.name} is served, and it is computed on the processor.", EXACT)
            small = kept.fetch(store, version, form, folder) if form else None
            problem = "" if wanted.version else wrong
        check_same(version, files, sections["data"])
        about: dict[str, Any] = {
            "model": model,
            "version": int(version.version),
            "model_hash": predictor.model_hash(files),
        }
        asked = {"folder": str(files), "source": str(wanted.source), "output": str(output)}
        how = {"keep": [*wanted.keep], "strict": wanted.strict, "workers": wanted.workers}
        if form and small:
            asked |= {"form": str(small.folder), "form_hash": form.serving_hash, "form_model": form.model_hash}
        request = worker.Request(**about | sections | asked | how, device=wanted.device or declared)
        device.of_model(files, request.device)  # refuses what would end the process
        at("reads the rows, and loads the model")
        found = worker.run(request, folder, dict(os.environ), at)
        file_paths.put(output, wanted)
    where = {"champion": wanted.version is None, "input": str(wanted.source), "output": str(wanted.output)}
    seconds = round(time.monotonic() - start, 3)
    about["served_as"] = form.name if form else ""
    return {"format": FORMAT, **about, **where, **found, "seconds": seconds, "problem": problem}


def _require(wanted: str, declared: str) -> None:
    """Raises RequestError if a GPU is asked for and none can be used. wanted: by --device, "" if it is not there."""
    try:
        gpus.require(wanted or declared, key="--device" if wanted else "evaluate.device")
    except RequestError as error:
        raise RequestError(error.what, error.do.replace(gpus.OR_AUTO, "or choose `--device auto`.")) from error


def which(store: MlflowClient, model: str, number: int | None) -> ModelVersion:
    """The champion, or the version of this number. Raises RequestError if there is none."""
    if number is None:
        if (champion := model_registry.champion(store, model)) is None:
            raise RequestError(
                f"{model} has no champion to ask.",
                f"`ratchet run {model}` makes one if it is good enough; --version names any version.",
            )
        return champion
    if (found := model_registry.version(store, model, number)) is None:
        raise RequestError(f"{model} has no version {number}.", f"`ratchet history {model}` shows what there is.")
    return found


def declaration(store: MlflowClient, version: ModelVersion, folder: Path) -> dict[str, dict[str, Any]]:
    """The sections `data` and `ingest` that a version was trained with, as its run keeps them, checked.

    Raises IntegrityError if they are not there, or cannot be read.
    """
    try:
        path = definition.fetch(store, store.get_run(str(version.run_id)), "model.yaml", folder)
        content = yaml_text.plain(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']}")
        found = {name: dict(content[name]) for name in ("data", "ingest")}
        settings.parse(version.name, "data", found["data"], Data)
        settings.parse(version.name, "ingest", found["ingest"], Ingest)
    except (
        *(OSError, MlflowException, YAMLError, RecursionError),
        *(ValueError, KeyError, TypeError, SettingsError),
    ) as error:
        raise IntegrityError(
            f"The YAML that version {version.version} of {version.name} was trained with cannot be read: "
            f"{' '.join(str(error).split())[:300]}",
            "It lies with its run in MLflow, as definition/model.yaml. Without it rows cannot be read.",
        ) from error
    return found


def check_same(version: ModelVersion, folder: Path, declared: dict[str, Any]) -> None:
    """Raises IntegrityError if the YAML that lies with the run is of other columns than the registered model."""
    about, data = json.loads((folder / "model.json").read_text(encoding="utf-8")), Data.model_validate(declared)
    wanted = data_loader.described(data) | {"task": data.task, "target": data.target, "label": data.label}
    if wrong := [name for name, value in wanted.items() if about.get(name) != value]:
        raise IntegrityError(
            f"Version {version.version} of {version.name} and the YAML of its run do not fit: {wrong[0]} is "
            f"{str(about.get(wrong[0]))[:100]} in the model and {str(wanted[wrong[0]])[:100]} in the YAML.",
            "Nothing is predicted. Bring MLflow's store back from a backup.",
        )
