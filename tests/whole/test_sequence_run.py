"""A time series from a file to a champion and back to forecasts, as a person would do it."""

import json

import mlflow.pyfunc
import numpy as np
import pandas as pd
import pytest
from mlflow.pyfunc import scoring_server
from ruamel.yaml import YAML

from flows.project.environment import Project
from flows.records import ledger
from flows.registry import model_registry
from flows.tracking import mlflow_runs
from tests.support.clone import answer, clone, edit, git
from tests.support.sequences import SECTIONS, shops
from tests.support.world import PETS

pytestmark = pytest.mark.usefixtures("hardware")  # a model is loaded in this process


@pytest.mark.long
def test_a_time_series_becomes_a_champion_that_forecasts_from_lists(tmp_path):
    folder = clone(tmp_path / "project")
    edit(folder / "dvc.yaml", "[digits, breast_cancer, diabetes]", "[digits, breast_cancer, diabetes, shops]")
    training = SECTIONS["train_"] | {"epochs": 40, "learning_rate": 0.01, "loss": "mean_absolute_error"}
    content = PETS | {name.removesuffix("_"): section for name, section in SECTIONS.items()} | {"train": training}
    content["evaluate"] = {"metrics": ["mean_absolute_error", "r2"]}
    YAML().dump(content, folder / "models" / "shops.yaml")
    (folder / "models" / "shops.py").write_text('"""No code of its own."""\n')
    source = folder / "data" / "incoming" / "shops" / "rows.csv"
    source.parent.mkdir(parents=True)
    shops().to_csv(source, index=False)

    found = answer(folder, "run", "shops")
    assert found["decision"] == "accepted"
    assert found["metrics"]["skill"] > 0.3
    assert answer(folder, "run", "shops")["decision"] == "unchanged"
    project = Project(root=folder, state=folder / ".ratchet", tracking="", prefect="")
    evidence = json.loads(ledger.of(project).lines("shops")[0].evidence)
    baseline = next(look["said"] for look in evidence["looks"] if look["what"] == "baseline")
    assert "better than the naive forecast" in baseline
    version = model_registry.champion(mlflow_runs.client(project), "shops")
    run = mlflow_runs.client(project).get_run(found["run_id"])
    assert run.info.run_name.startswith("v1 rnn 8 ")
    columns = (
        mlflow_runs.client(project).get_experiment(run.info.experiment_id).tags["mlflow.sharedViewState.decisions"]
    )
    assert "test/skill" in columns
    fetched = model_registry.fetch(mlflow_runs.client(project), version, tmp_path)
    expected = pd.read_parquet(fetched / "evidence" / "predictions.parquet")
    rows = pd.read_parquet(folder / "data" / "shops" / "test.parquet").head(30)
    lists = rows.assign(**{name: [list(cell) for cell in rows[name]] for name in ("warm", "sky", "past_sold")})
    served = mlflow.pyfunc.load_model(str(fetched))
    answers = served.predict(lists.drop(columns=["row_id", "sold"]))
    assert answers["prediction"].tolist() == pytest.approx(expected["prediction"].head(30).tolist(), rel=1e-5)
    by_json(served, lists.drop(columns=["row_id", "sold"]), answers["prediction"].tolist())

    new = tmp_path / "history.csv"
    shops().tail(60).to_csv(new, index=False)
    forecast = answer(folder, "predict", "shops", str(new), str(tmp_path / "forecasts.csv"))
    assert (forecast["version"], forecast["added"], forecast["ignored"]) == (1, 1, [])
    forecasts = pd.read_csv(tmp_path / "forecasts.csv")
    assert (list(forecasts), len(forecasts)) == (["row_id", "shop", "at", "prediction"], forecast["rows"])
    assert (forecasts["shop"].unique().tolist(), forecasts["at"].iloc[-1]) == (["b"], "2026-01-11T00:00:00+00:00")

    edit(folder / "models" / "shops.yaml", "epochs: 40", "epochs: 41")
    git(folder, "commit", "-qam", "an epoch more")
    assert answer(folder, "run", "shops")["version"] == 2
    compared = answer(folder, "compare", "shops", "1", "2")
    assert compared["rows"]["common"] == len(expected)
    recorded = {entry["metric"]: entry for entry in compared["recorded"]}
    assert all(not entry[side]["marks"] for entry in recorded.values() for side in ("a", "b"))
    assert recorded["skill"]["a"]["now"] == pytest.approx(found["metrics"]["skill"])
    assert answer(folder, "verify", "shops")["verdict"] == "identical"


@pytest.mark.long
def test_a_monthly_series_that_new_declares_is_better_than_last_year_and_forecasts_the_next_month(tmp_path):
    folder, months = clone(tmp_path / "project"), pd.date_range("1990-01-01", periods=160, freq="MS")
    noise = pd.Series(np.random.default_rng(0).normal(0, 8, 160)).ewm(span=5).mean().to_numpy()
    sold = 100 + 20 * np.sin(2 * np.pi * months.month.to_numpy() / 12) + np.arange(160) / 2 + noise
    history = tmp_path / "history.csv"
    pd.DataFrame({"year": months.year, "month": months.strftime("%b"), "sold": sold}).to_csv(history, index=False)
    written = answer(folder, "new", "shop", "--data", str(history), "--target", "sold")["yaml"]
    assert "step: month" in written
    floor = float(written.partition("at_most: ")[2].split()[0])
    found = answer(folder, "run", "shop")
    assert found["metrics"]["mean_absolute_error"] <= floor
    forecast = answer(folder, "predict", "shop", str(history), str(tmp_path / "forecasts.csv"), "--version", "1")
    assert forecast["added"] == 1
    last = pd.read_csv(tmp_path / "forecasts.csv").iloc[-1]
    assert last["time"] == "2003-05-01T00:00:00+00:00"
    expected = 100 + 20 * np.sin(2 * np.pi * 5 / 12) + 80
    assert last["prediction"] == pytest.approx(expected, abs=25)

    store = mlflow_runs.client(Project(root=folder, state=folder / ".ratchet", tracking="", prefect=""))
    fetched = model_registry.fetch(store, store.get_model_version("shop", "1"), tmp_path)
    rows = pd.read_parquet(folder / "data" / "shop" / "train.parquet").head(30)
    assert rows["sold_12_before"].isna().any()
    lists = rows.assign(past_sold=[list(cell) for cell in rows["past_sold"]]).drop(columns=["row_id", "sold"])
    assert np.isfinite(mlflow.pyfunc.load_model(str(fetched)).predict(lists)["prediction"]).all()


def by_json(served, rows: pd.DataFrame, expected: list[float]) -> None:
    """The body of a request, read and answered as `mlflow models serve` does: a missing value is null, 1.0 may be 1."""
    cells = [[plain(cell) for cell in row] for row in rows.to_numpy().tolist()]
    split = {"columns": list(rows), "data": cells}
    records = [dict(zip(rows, row, strict=True)) for row in cells]
    for body in ({"dataframe_split": split}, {"dataframe_records": records}):
        read = scoring_server.infer_and_parse_data(json.loads(json.dumps(body)), served.metadata.get_input_schema())
        assert served.predict(read)["prediction"].tolist() == pytest.approx(expected, rel=1e-5)
    for cell in ([1, 2, 3, 4, 5, 6], [1, 2.5, None, 4, 5, 6], [None] * 6):
        body = {
            "dataframe_split": split | {"data": [[cell if name == "warm" else v for name, v in records[0].items()]]}
        }
        read = scoring_server.infer_and_parse_data(json.loads(json.dumps(body)), served.metadata.get_input_schema())
        same = rows.head(1).assign(warm=[[float("nan") if value is None else float(value) for value in cell]])
        assert served.predict(read)["prediction"][0] == pytest.approx(served.predict(same)["prediction"][0], rel=1e-5)


def plain(cell):
    """As another language's JSON has it: whole numbers without a point, null where a value is missing."""
    if isinstance(cell, list):
        return [plain(value) for value in cell]
    if cell is None or cell != cell:
        return None
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell
