"""Load a registered model for a program of your own, checked before any of it is run.

    from flows.load import load_model

    model = load_model("digits")

It is the same object that `mlflow.pyfunc.load_model` gives. MLflow itself checks nothing: it runs what lies in the
artifact store, and the byte code beside it. Here all files are copied to a folder of this process, compared there with
the hash in registry and ledger, and loaded from there.
"""

import os
import shutil
import tempfile
import weakref
from pathlib import Path

import mlflow.pyfunc
from mlflow.pyfunc import PyFuncModel

from flows.project import environment
from flows.records import ledger
from flows.records.champion_state import stand
from flows.registry import model_registry
from flows.tracking import mlflow_runs
from pipelines.config import settings
from pipelines.errors import RequestError


def load_model(model: str, version: int | None = None) -> PyFuncModel:
    """The champion, or a version by its number, as a pyfunc model. Call it inside the project's folder.

    Raises RequestError if there is none, IntegrityError if its files have changed: then none of its code was run.
    """
    settings.check_name(model)
    project = environment.find()
    with mlflow_runs.reachable(project, "Load it again when it is back."):
        store = mlflow_runs.client(project)
        found = (
            model_registry.champion(store, model) if version is None else model_registry.version(store, model, version)
        )
        if found is None:
            raise RequestError(
                f"{model} has {'no champion' if version is None else f'no version {version}'} to load.",
                f"`ratchet history {model}` shows what there is.",
            )
        recorded = stand(ledger.of(project).lines(model)).artifacts.get(int(found.version))
        folder = Path(tempfile.mkdtemp(prefix=f"ratchet-loaded-{os.getpid()}-"))
        try:
            loaded = mlflow.pyfunc.load_model(str(model_registry.fetch(store, found, folder, recorded)))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    weakref.finalize(loaded, shutil.rmtree, folder, ignore_errors=True)  # at the end of the program at the latest
    return loaded
