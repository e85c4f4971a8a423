"""Served: raw rows as people have them, in a program and over the network, mean what they mean in a file."""

import asyncio
import io
import json

import httpx
import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow.exceptions import MlflowException
from mlflow.pyfunc import scoring_server

from flows.registry import model_registry, reading, served
from pipelines import ingest
from pipelines.config.data import Data
from pipelines.ingest import Ingest
from pipelines.model.predictor import Predictor
from pipelines.readers import sources
from tests.support.world import World

READER = {
    "source": "data/incoming/churn/",
    "reader": 2,
    "timezone": "Europe/Berlin",
    "ambiguous": "later",
    "dates": {"left": "%d.%m.%Y"},
    "instants": {"born": ["year", "month", "day"]},
    "missing": ["", "NA", "-1"],
}
COLUMNS = {"age": "number", "spent": "number", "flag": "category", "code": "category"}
COLUMNS |= {"signup": "date", "left": "date", "born": "date"}
KEYS = {"kind": "table", "task": "classification", "target": "churned", "columns": COLUMNS}


def customers(rows: int = 240) -> pd.DataFrame:
    """As a file has them: whole numbers, booleans, a code that is sometimes missing, dates without an offset."""
    random = np.random.default_rng(1)
    age = random.integers(18, 90, rows)
    signup = pd.Timestamp("2025-08-01") + pd.to_timedelta(random.integers(0, 300, rows) * 24 + 12, "h")
    return pd.DataFrame(
        {
            "age": age,
            "spent": random.normal(50, 20, rows).round(2).astype(np.float32),
            "flag": random.random(rows) < 0.5,
            "code": np.where(random.random(rows) < 0.2, np.nan, random.integers(1, 4, rows)),
            "signup": signup.strftime("%Y-%m-%d %H:%M"),
            "left": (signup + pd.Timedelta("90D")).strftime("%d.%m.%Y"),
            "year": 2026 - age,
            "month": random.integers(1, 13, rows),
            "day": random.integers(1, 29, rows),
            "note": "only in the file",
            "churned": np.where(age + random.normal(0, 9, rows) > 50, "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def churn(tmp_path_factory, hardware):
    """(the registered model, its source file, the rows as `ratchet predict` reads them, its answers to these)."""
    world = World(tmp_path_factory.mktemp("churn"))
    keys = READER | {"ignore": ["note"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(world.root)
        world.declare("churn", data_=KEYS, ingest_=keys, train={"epochs": 2, "xla": "off"})
        source = world.pin(customers(), model="churn")
        folder = world.run("ingest", "validate", "clean", "train", model="churn") / "model"
    config, data = Ingest.model_validate(keys), Data.model_validate(KEYS)
    batches = ingest.ingest(sources.read(source, ",", "utf-8"), data, config, "rows.csv")
    typed = pd.concat([batch.to_pandas() for batch in batches], ignore_index=True)
    read, target = reading.content(config), world.root / "registered"
    mlflow.pyfunc.save_model(
        target,
        python_model=served.__file__,
        artifacts={"model": str(folder), "reading": str(reading.write(read, world.root / "reading"))},
        signature=model_registry.signature(json.loads((folder / "model.json").read_text()), read),
        pip_requirements=["mlflow"],
    )
    answers = Predictor(folder).predict(typed)
    return mlflow.pyfunc.load_model(str(target)), source, typed, answers.drop(columns="row_id")


def ways(source) -> dict:
    """The first rows of the source file, in the ways that a program has them."""
    frame = pd.read_csv(source)
    return {
        "pd.read_csv": frame.head(20),
        "as text": pd.read_csv(source, dtype=str).head(20),
        "with nulls of pandas": frame.head(20).convert_dtypes(),
        "with Arrow's types": pd.read_csv(source, dtype_backend="pyarrow").head(20),
        "parsed dates": pd.read_csv(source, parse_dates=["signup"]).head(20),
        "parsed dates of a zone": frame.head(20).assign(
            signup=pd.to_datetime(frame["signup"]).dt.tz_localize("Europe/Berlin").dt.tz_convert("Asia/Tokyo")
        ),
        "float32": frame.head(20).astype({"age": np.float32, "spent": np.float32}),
        "categories": frame.head(20).astype({"flag": "category", "code": "category"}),
        "dicts": frame.head(20).to_dict("records"),
        "one row in a dict": frame.iloc[0].to_dict(),
        "another index": frame.head(20).set_index(pd.Index(range(100, 120))),
    }


WAYS = [
    "pd.read_csv",
    "as text",
    "with nulls of pandas",
    "with Arrow's types",
    "parsed dates",
    "parsed dates of a zone",
]
WAYS += ["float32", "categories", "dicts", "one row in a dict", "another index"]


@pytest.mark.parametrize("way", WAYS)
def test_the_first_rows_of_the_source_file_are_answered_as_predict_answers_them(churn, way):
    model, source, _, wanted = churn
    found = model.predict(ways(source)[way])
    pd.testing.assert_frame_equal(found.reset_index(drop=True), wanted.head(len(found)))


def post(model, body: str, kind: str) -> tuple[int, dict]:
    async def send():
        transport = httpx.ASGITransport(app=scoring_server.init(model))
        async with httpx.AsyncClient(transport=transport, base_url="http://served") as client:
            return await client.post("/invocations", content=body, headers={"content-type": kind})

    found = asyncio.run(send())
    return found.status_code, found.json()


def bodies(source) -> list[tuple[str, str]]:
    frame = pd.read_csv(source).head(10)
    plain = json.loads(frame.to_json(orient="records"))
    text = io.StringIO()
    frame.to_csv(text, index=False)
    return [
        (json.dumps({"dataframe_records": plain}), "application/json"),
        (json.dumps({"dataframe_split": json.loads(frame.to_json(orient="split"))}), "application/json"),
        (json.dumps({"instances": plain}), "application/json"),
        (json.dumps({"inputs": frame.astype(object).where(frame.notna(), None).to_dict("list")}), "application/json"),
        (text.getvalue(), "text/csv"),
    ]


@pytest.mark.parametrize("body", range(5))
def test_the_server_answers_raw_rows_in_every_kind_of_request(churn, body):
    model, source, _, wanted = churn
    status, found = post(model, *bodies(source)[body])
    assert status == 200, found
    assert [row["prediction"] for row in found["predictions"]] == wanted["prediction"].head(10).tolist()
    assert np.allclose([row["probability_yes"] for row in found["predictions"]], wanted["probability_yes"].head(10))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"age": "old"}, "row 0, column 'age': 'old' is not a number"),
        ({"age": float("inf")}, "row 0, column 'age': inf is not a finite number"),
        ({"signup": "soon"}, "row 0, column 'signup': 'soon' is not a date of the form ISO"),
        ({"signup": "2026-03-29 02:30"}, "row 0, column 'signup': '2026-03-29 02:30' is a time that does not exist"),
        ({"left": "2026-01-31"}, "row 0, column 'left': '2026-01-31' is not a date of the form %d.%m.%Y"),
        ({"month": 13}, "row 0, column 'born'"),
        ({"flag": [1, 2]}, "row 0, column 'flag': [1, 2] is of type list, which is no single value"),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_row_and_column(churn, change, told):
    model, source, *_ = churn
    row = pd.read_csv(source).iloc[0].to_dict() | change
    with pytest.raises(MlflowException) as caught:
        model.predict([row])
    assert told in str(caught.value)
    assert caught.value.error_code == "INVALID_PARAMETER_VALUE"


def test_rows_of_raw_parquet_are_answered_as_they_are(churn):
    model, _, typed, wanted = churn
    pd.testing.assert_frame_equal(model.predict(typed.drop(columns=["row_id", "churned"])), wanted)


def test_a_column_that_stands_twice_or_is_absent_is_told(churn):
    model, source, *_ = churn
    frame = pd.read_csv(source).head(3)
    twice = pd.concat([frame, frame[["age"]]], axis=1)
    with pytest.raises(MlflowException, match="enforce schema"):
        model.predict(twice)
    with pytest.raises(MlflowException, match="missing inputs \\['code'\\]"):
        model.predict(frame.drop(columns="code"))
    with pytest.raises(MlflowException, match="lack the columns \\['born'\\]"):
        model.predict(frame.drop(columns="year"))
