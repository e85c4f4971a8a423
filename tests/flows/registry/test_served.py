"""Served: what MLflow's scoring server answers, on its own requests, and to rows that do not fit."""

import asyncio
import json
import math
from pathlib import Path

import httpx
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server

from flows.registry import model_registry, reading, served
from pipelines.ingest import Ingest
from tests.support import sequences
from tests.support.world import World, pets

PET = {"weight": 4.0, "age": 3, "colour": "black"}
DATED = PET | {"born": "2026-01-01T00:00:00+00:00"}
SHOP = {
    "at": "2026-01-09T00:00:00+00:00",
    "shop": "a",
    "warm": [1, 2.5, None, 4, 5, 6],
    "sky": ["clear", "cloud", None, "clear", "clear", "clear"],
    "past_sold": [12, 13, 14.5, 15, 16, 17],
}


def born(rows: int) -> pd.Series:
    return pd.Series(pd.date_range("2026-01-01", periods=rows, freq="h", tz="UTC").strftime("%Y-%m-%dT%H:%M:%S+00:00"))


@pytest.fixture(scope="module")
def models(tmp_path_factory, hardware):
    """Models with a number and a word, with a date, and of a series, each as MLflow has registered it.

    What they have learned does not matter, and to compile takes most of the time."""
    quick = {"epochs": 1, "xla": "off"}
    world = World(tmp_path_factory.mktemp("served"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(world.root)
        columns = {"weight": "number", "age": "number", "colour": "category", "born": "date"}
        world.declare(train=quick)
        world.declare("dated", data={"columns": columns}, ingest={"source": "data/incoming/dated/"}, train=quick)
        for model, table in (("pets", pets()), ("dated", pets().assign(born=born(200)))):
            world.pin(table, model=model)
            world.run("ingest", "validate", "clean", "train", model=model)
        train = sequences.SECTIONS["train_"] | quick
        sequences.prepared(world, sequences.shops(), "ingest", "validate", "clean", "train", train_=train)
        folders = {model: world.root / "data" / model / "model" for model in ("pets", "dated", "shops")}
        found = {model: registered(folder, world.root / "registered" / model) for model, folder in folders.items()}
        read = reading.content(Ingest(source="-", reader=2, timezone="UTC", missing=["", "NA", "-9"]))
        return found | {"shops, read": registered(folders["shops"], world.root / "registered" / "read", read)}


def registered(folder: Path, target: Path, read: dict | None = None) -> mlflow.pyfunc.PyFuncModel:
    """A model folder, saved by MLflow as it is for the registry, and loaded. read: how raw rows are read."""
    about = json.loads((folder / "model.json").read_text())
    kept = {"reading": str(reading.write(read, target.with_name("reading")))} if read else {}
    mlflow.pyfunc.save_model(
        target,
        python_model=served.__file__,
        artifacts={"model": str(folder), **kept},
        signature=model_registry.signature(about, read),
        pip_requirements=["mlflow"],
    )
    return mlflow.pyfunc.load_model(str(target))


def asked(model: mlflow.pyfunc.PyFuncModel, row: dict) -> tuple[int, dict]:
    """Status and body of what the server of `mlflow models serve` answers to one row."""
    body = {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}}
    found = asyncio.run(_post(scoring_server.init(model), json.dumps(body)))
    return found.status_code, found.json()


async def _post(server, body: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=server), base_url="http://served") as client:
        return await client.post("/invocations", content=body, headers={"content-type": "application/json"})


@pytest.mark.parametrize(("model", "row"), [("pets", PET), ("dated", DATED), ("shops", SHOP)])
def test_a_row_is_answered(models, model, row):
    status, answer = asked(models[model], row)
    assert status == 200
    assert len(answer["predictions"]) == 1


@pytest.mark.parametrize(
    ("model", "row", "message"),
    [
        ("pets", PET | {"age": math.inf}, "row 0, column 'age': inf is not a finite number"),
        ("pets", PET | {"age": "old"}, "could not convert string to float: 'old'"),  # MLflow's own
        ("pets", {"weight": 4.0, "colour": "black"}, "Model is missing inputs ['age']"),  # MLflow's own
        ("dated", DATED | {"born": "2026-01-01"}, "row 0, column 'born': '2026-01-01' has no offset"),
        ("dated", DATED | {"born": "yesterday"}, "row 0, column 'born': 'yesterday' is no date"),
        ("shops", SHOP | {"warm": [1, 2]}, "row 0, column 'warm': not a list of the last 6 values"),
        ("shops", SHOP | {"warm": [[1], [2], [3], [4], [5], [6]]}, "column 'warm': not a list of the last 6 values"),
        ("shops", SHOP | {"sky": ["clear"] * 7}, "row 0, column 'sky': not a list of the last 6 values"),
        ("shops", SHOP | {"past_sold": ["a"] * 6}, "column 'past_sold': a list holds what is no number"),
        ("shops", SHOP | {"past_sold": [math.inf] * 6}, "row 0, column 'past_sold': a value is not a finite number"),
    ],
)
def test_a_row_that_does_not_fit_is_told_in_a_sentence_with_status_400(models, model, row, message):
    status, answer = asked(models[model], row)
    assert status == 400
    assert message in answer["message"]
    assert "stack_trace" not in answer


@pytest.mark.parametrize(
    "change",
    [
        {"at": "2026-01-09"},
        {"warm": [1, 2.5, -9, 4, "5.0", 6]},
        {"warm": np.array([1, 2.5, np.nan, 4, 5, 6], np.float32)},
        {"sky": ["clear", "cloud", "NA", " clear", "clear", "clear"]},
        {"past_sold": ["12", 13, "14.5", 15.0, 16, 17]},
    ],
)
def test_a_window_of_raw_values_is_answered_as_one_of_plain_values(models, change):
    wanted, found = (models["shops, read"].predict([row]) for row in (SHOP, SHOP | change))
    assert found["prediction"].tolist() == wanted["prediction"].tolist()
    assert wanted["prediction"].tolist() == models["shops"].predict(pd.DataFrame([SHOP]))["prediction"].tolist()


def test_a_value_in_a_window_that_does_not_fit_is_told(models):
    for change, told in (
        ({"warm": [1, 2, "x", 4, 5, 6]}, "row 0, column 'warm': a list holds a value that is not a number"),
        ({"warm": [1, 2]}, "row 0, column 'warm': not a list of the last 6 values"),
        ({"warm": "1, 2"}, "warm"),
    ):
        with pytest.raises(MlflowException, match=told):
            models["shops, read"].predict([SHOP | change])


def test_in_a_program_it_is_an_error_of_mlflow_s(models):
    rows = pd.DataFrame([PET | {"age": math.inf}])
    with pytest.raises(MlflowException, match="row 0, column 'age': inf is not a finite number") as caught:
        models["pets"].predict(rows)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_folder_whose_code_was_changed_is_not_run(models, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"files": {"predictor.py": "0" * 64}}))
    (folder / "predictor.py").write_text("raise SystemExit")
    context = mlflow.pyfunc.PythonModelContext({"model": str(folder)}, {})
    with pytest.raises(ValueError, match="is not what the manifest says"):
        served.Served().load_context(context)
