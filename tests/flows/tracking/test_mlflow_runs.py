"""What a run is told of reaches MLflow, whatever a column is called."""

import mlflow
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.tracking import MlflowClient

from flows.tracking import mlflow_runs

NAMES = [
    "Farbe 🎨",
    'a/b "c"',
    "size (cm²)",
    "../up",
    "a//b",
    "/root",
    " lead ",
    "x" * 400,
    "x" * 399 + "y",
    "naïve",
    "%",
]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    uri = f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db"
    before = mlflow.get_tracking_uri()
    yield MlflowClient(uri, uri)
    mlflow.set_tracking_uri(before)


def test_parameters_of_every_column_are_kept_apart_and_logging_them_twice_changes_nothing(store):
    content = {"data": {"columns": {name: f"role {index}" for index, name in enumerate(NAMES)}}}
    run = store.create_run(store.create_experiment("pets")).info.run_id
    for _ in range(2):
        mlflow_runs.log_facts(store, run, content, {}, {}, "", ("", ""))
    found = store.get_run(run).data.params
    assert found == mlflow_runs.flat(content)
    assert sorted(found.values()) == sorted(content["data"]["columns"].values())
    assert found["data.columns.Farbe :1f3a8:"] == "role 0"
    assert found["data.columns.naïve"] == "role 9"


@given(st.text(min_size=1, max_size=300))
def test_any_name_becomes_one_that_mlflow_takes(name):
    from mlflow.utils.validation import _validate_param_name

    (key,) = mlflow_runs.flat({"columns": {name: "number"}})
    _validate_param_name(key)
    assert len(key) <= 250


def test_a_plain_name_stays_as_it_is():
    assert mlflow_runs.flat({"train": {"hidden": [3], "loss": "huber"}}) == {
        "train.hidden": "[3]",
        "train.loss": "huber",
    }
