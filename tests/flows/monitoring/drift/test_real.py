"""Pictures, a table and a regression, run as anybody runs them: their own test rows are no drift."""

import json
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import pytest

from flows.deployment import live_file
from flows.monitoring import expected
from flows.monitoring.drift import look
from flows.project.environment import Project
from flows.serving.answer import Answer
from pipelines import model_file
from tests.support import golden
from tests.support.served import watched

FIRST = date(2026, 11, 2)
COLUMNS = {"digits": {"pixel_mean", "prediction", "confidence"}, "breast_cancer": {"area_error"}, "diabetes": {"bmi"}}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    place = tmp_path_factory.mktemp("three")
    golden.three(place)
    return Project(place, place / ".ratchet", "", "")


def predicted(project, model):
    """The answers of the champion to its test rows."""
    (path,) = (project.root / "mlflow" / "artifacts" / model).glob("models/*/artifacts/evidence/predictions.parquet")
    table = pd.read_parquet(path)
    names = {name: name.removeprefix("probability_") for name in table if name.startswith("probability_")}
    return [
        Answer(row["prediction"], {short: float(row[name]) for name, short in names.items()})
        for row in table.to_dict("records")
    ]


@pytest.mark.parametrize("model", COLUMNS)
def test_the_test_rows_of_a_champion_are_no_drift(project, model, monkeypatch):
    monkeypatch.chdir(project.root)
    live = live_file.read(project, model)
    folder = live_file.place(project, model) / live.folder
    assert (folder / "reference.parquet").is_file()
    rows = json.loads((folder / "examples.json").read_text())["rows"]
    said = predicted(project, model)[: len(rows)]
    rows, said = rows * 4, said * 4  # of diabetes there are fewer than a hundred
    half = len(rows) // 2
    for step, part in enumerate((slice(half), slice(half, None))):
        day = FIRST + timedelta(step)
        watched.log(project.state, day, rows[part], number=live.version, answer=said[part], model=model)
    declared = model_file.check(model)
    look.update(project, declared, datetime(2026, 11, 20, tzinfo=UTC))
    found = look.look(project, declared, FIRST + timedelta(1))
    assert found.alarms == [], found.said
    assert COLUMNS[model] <= {one.name for one in found.columns}
    without = expected.expected(project, declared, FIRST + timedelta(1))
    if model != "diabetes":
        assert without.value == pytest.approx(without.then, abs=0.05)
    else:
        assert without.why == "the answers of a regression have no probabilities"
        assert found.unwatched["prediction"] == "there are fewer than 100 test rows"
