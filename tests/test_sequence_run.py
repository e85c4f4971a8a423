"""A time series from a file to a champion and back to forecasts, as a person would do it."""

import json

import mlflow.pyfunc
import pandas as pd
import pytest
from ruamel.yaml import YAML

from flows import ledger, registry, tracking
from flows.environment import Project
from tests.clone import answer, clone, edit
from tests.sequences import SECTIONS, shops
from tests.world import PETS

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
    assert "better than the naive forecast (the last known value)" in baseline
    version = registry.champion(tracking.client(project), "shops")
    fetched = registry.fetch_all(tracking.client(project), version, tmp_path)
    expected = pd.read_parquet(fetched / "evidence" / "predictions.parquet")
    rows = pd.read_parquet(folder / "data" / "shops" / "test.parquet").head(30)
    lists = rows.assign(**{name: [list(cell) for cell in rows[name]] for name in ("warm", "sky", "past_sold")})
    answers = mlflow.pyfunc.load_model(str(fetched)).predict(lists.drop(columns=["row_id", "sold"]))
    assert answers["prediction"].tolist() == pytest.approx(expected["prediction"].head(30).tolist(), rel=1e-5)
