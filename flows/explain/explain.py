"""Explain: why a registered model gives its answers to the rows of a file, column by column, into a file.

The version is looked up, downloaded and compared with the hash that it was registered by, as for a prediction. Then a
process of its own explains (flows/explain/worker.py). The file appears when it is whole.
"""

import json
import os
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from flows.deployment import explanation_files, freshness, serving_files
from flows.explain import asked, background, worker
from flows.explain.asked import Wanted
from flows.explain.explained import Settings
from flows.predict import file_paths
from flows.predict import predict as predicting
from flows.project import lifeline, scratch, whole_files
from flows.project.environment import Project
from flows.project.locks import Notice
from flows.promotion import champion_alias
from flows.records import ledger
from flows.records.champion_state import stand
from flows.registry import model_registry
from flows.report.steps import Steps
from flows.tracking import mlflow_runs
from pipelines.config import settings
from pipelines.config.settings import FORMAT
from pipelines.hardware import device
from pipelines.model import predictor


def explain(project: Project, wanted: Wanted, notice: Notice) -> dict[str, Any]:
    """The object that `ratchet explain --json` prints. Raises RequestError, DataError, IntegrityError."""
    start, model = time.monotonic(), wanted.model
    settings.check_name(model)
    asked.check(project, wanted)
    with (
        scratch.folder("explain") as folder,
        lifeline.held(project),
        whole_files.partial(wanted.output, file_paths.ELSEWHERE) as output,
        Steps(notice) as at,
    ):
        at("fetches the version, and compares it with the registry")
        with mlflow_runs.reachable(project, predicting.AGAIN):
            store = mlflow_runs.client(project)
            version = predicting.which(store, model, wanted.version)
            lines, wrong = champion_alias.compare(store, ledger.of(project), model)
            recorded = stand(lines).artifacts.get(int(version.version))
            fetched = model_registry.fetch(store, version, folder, recorded)
            sections = predicting.declaration(store, version, folder)
            serving = serving_files.fetch(store, version, folder)
            kept = explanation_files.fetch(store, version, folder)
        files = fetched / "artifacts" / "model"
        predicting.check_same(version, files, sections["data"])
        compared = background.of_version(version, fetched, kept.folder if kept else None, _about(files))
        pq.write_table(compared.rows, folder / background.NAME)
        about: dict[str, Any] = {
            "model": model,
            "version": int(version.version),
            "model_hash": predictor.model_hash(files),
        }
        pictures = output.with_name(wanted.pictures.name)
        hidden = {*freshness.wishes(model, None).sensitive, *sections["data"].get("sensitive", [])}
        fixed = list(kept.content.get("fixed", [])) if kept else []
        request = worker.Request(
            **about,
            folder=str(files),
            serving=str(serving.folder or ""),
            background=str(folder / background.NAME),
            data=sections["data"],
            ingest=sections["ingest"],
            source=str(wanted.source),
            output=str(output),
            pictures=str(pictures),
            settings=vars(Settings(wanted.method, wanted.orders, wanted.seed, wanted.change, fixed)),
            sensitive=sorted(hidden),
            strict=wanted.strict,
        )
        device.of_model(files, "cpu")  # refuses what would end the process
        at("reads the rows, and loads the model")
        found = worker.run(request, folder, dict(os.environ), at)
        asked.put(output, pictures, wanted)
    where = {"champion": wanted.version is None, "input": str(wanted.source), "output": str(wanted.output)}
    where["pictures"] = str(wanted.pictures) if wanted.pictures.is_dir() else ""
    seconds = round(time.monotonic() - start, 3)
    problem = "" if wanted.version else wrong
    return {
        "format": FORMAT,
        **about,
        **where,
        **found,
        "background": compared.of,
        "seconds": seconds,
        "problem": problem,
    }


def _about(files: Path) -> dict[str, Any]:
    return dict(json.loads((files / "model.json").read_text(encoding="utf-8")))
