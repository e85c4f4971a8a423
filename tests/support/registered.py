"""A project with a real MLflow store and a real ledger, whose registered models are made up: quick to register, and
everything about champions can be tried on them but to predict."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import create_engine, delete
from sqlalchemy.pool import NullPool

from flows.project.environment import Project
from flows.promotion import champion_alias
from flows.records import ledger
from flows.records.champion_state import Standing, stand
from flows.records.ledger import Line
from flows.registry import model_registry
from flows.tracking import mlflow_runs
from pipelines.model import predictor
from tests.support import golden
from tests.support.clone import ROOT

MODEL = "diabetes"


def project(folder: Path) -> Project:
    """As `ratchet` would find it, with its folders."""
    shutil.copytree(ROOT / "models", folder / "models")
    shutil.copyfile(ROOT / "dvc.yaml", folder / "dvc.yaml")
    found = Project(root=folder, state=folder / ".ratchet", tracking="", prefect="")
    for path in (found.state / "locks", folder / "mlflow"):
        path.mkdir(parents=True)
    golden.store(found)
    return found


PREDICTOR = """
class Predictor:
    def __init__(self, folder):
        pass

    def predict(self, table):
        return table.assign(prediction=2 * table["x"])[["prediction"]]
"""


def model_folder(folder: Path, words: str, categories: tuple[str, ...] = ()) -> Path:
    """A model folder with a manifest, which another text makes another model. It answers with twice the number."""
    folder.mkdir(parents=True)
    about = {"task": "regression", "target": "progression", "kind": "table", "numbers": ["x"]}
    (folder / "model.json").write_text(json.dumps(about | {"categories": [*categories], "classes": [], "words": words}))
    for name in ("architecture.json", "model.weights.h5"):
        (folder / name).write_text("{}")
    (folder / "predictor.py").write_text(PREDICTOR)
    predictor.write_manifest(folder)
    return folder


def evidence(folder: Path, rows: pd.DataFrame, predictions: pd.DataFrame, kept: pd.DataFrame | None = None) -> None:
    """What flows/tracking/evidence_files.py keeps with a version.

    rows: row_id, split; predictions: row_id, actual, prediction. kept: the golden rows, if it has some.
    """
    place = folder / "evidence"
    place.mkdir()
    rows.to_parquet(place / "rows.parquet", index=False)
    predictions.to_parquet(place / "predictions.parquet", index=False)
    if kept is not None:
        kept.to_parquet(place / "golden.parquet", index=False)


def register(
    found: Project,
    temporary: Path,
    words: str,
    rows: pd.DataFrame | None = None,
    predictions: pd.DataFrame | None = None,
    example: pd.DataFrame | None = None,
    kept: pd.DataFrame | None = None,
    categories: tuple[str, ...] = (),
) -> int:
    """The number of a new version of MODEL. kept: its golden rows; categories: its columns beside the number `x`."""
    store = mlflow_runs.client(found)
    place = mlflow_runs.experiment(found, store, MODEL)
    run = mlflow_runs.take_up(store, place, f"inputs of {words}", words, found.clone)
    store.set_terminated(run.info.run_id)
    folder = model_folder(temporary / words / "model", words, categories)
    rows = pd.DataFrame({"row_id": ["a"], "split": ["train"]}) if rows is None else rows
    predictions = (
        pd.DataFrame({"row_id": ["b"], "actual": [1.0], "prediction": [1.0]}) if predictions is None else predictions
    )
    tags = {"ratchet.model_hash": predictor.model_hash(folder)}
    made = model_registry.register(
        store,
        MODEL,
        folder,
        lambda target: evidence(target, rows, predictions, kept),
        run.info.run_id,
        place,
        example,
        tags,
    )
    return int(made.version)


def versions(make_folder: pytest.TempPathFactory, *words: str) -> Project:
    """A project with a registered version for each of these words, which have no golden rows: nothing is exported."""
    found = project(make_folder.mktemp("project"))
    for one in words:
        register(found, make_folder.mktemp("model"), one)
    return found


def accept(found: Project, version: int, better: bool = True, **more: object) -> Line:
    """The line of an accepted version, as the gate writes it; the alias does not follow."""
    book = ledger.of(found)
    now = standing(found)
    reference = version if better or now.reference is None else now.reference
    facts = json.dumps({"better": better, "looks": [], "run_id": "", "compared_with": now.reference} | more)
    line = Line(MODEL, 0, "accepted", version, now.champion, version, reference, "good enough", facts)
    return book.append(now.last, line)


def forget(found: Project) -> None:
    """Take away all decisions about MODEL: its lines, its alias, and the tag that follows them."""
    store, book = mlflow_runs.client(found), ledger.of(found)
    book.lines(MODEL)  # makes the table
    with create_engine(book.url, poolclass=NullPool).begin() as connection:
        connection.execute(delete(ledger.LINES).where(ledger.LINES.c.model == MODEL))
    store.delete_registered_model_alias(MODEL, model_registry.CHAMPION)
    if champion_alias.FOLLOWED in model_registry.tags(store, MODEL):
        store.delete_registered_model_tag(MODEL, champion_alias.FOLLOWED)


def standing(found: Project) -> Standing:
    return stand(ledger.of(found).lines(MODEL))


def alias(found: Project) -> int | None:
    champion = model_registry.champion(mlflow_runs.client(found), MODEL)
    return int(champion.version) if champion else None
