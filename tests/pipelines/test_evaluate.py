"""Evaluate: the metrics are scikit-learn's on the recorded predictions, one for each test row."""

import json
import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn import metrics

from pipelines import evaluate
from pipelines.config.data import Data
from pipelines.errors import DataError, IntegrityError, TrainingError
from pipelines.model.predictor import Predictor
from tests.support.world import PETS

DATA = Data.model_validate(PETS["data"])
MODELS = ["pets", "weights", "tiles"]


def predictions(made, model: str) -> pd.DataFrame:
    return pq.read_table(made.root / "data" / model / "predictions.parquet").to_pandas()


def recorded(made, model: str) -> dict[str, float]:
    return json.loads((made.root / "data" / model / "metrics.json").read_text())["test"]


@pytest.mark.parametrize("model", MODELS)
def test_there_is_one_prediction_for_each_test_row_in_its_order(made, model):
    test = pq.read_table(made.root / "data" / model / "test.parquet")
    found = pq.read_table(made.root / "data" / model / "predictions.parquet")
    assert found["row_id"].equals(test["row_id"])
    target = {"pets": "animal", "weights": "weight", "tiles": "tile"}[model]
    assert found["actual"].equals(test[target])
    assert found.schema.field("prediction").type == test.schema.field(target).type


@pytest.mark.parametrize("model", MODELS)
def test_what_is_scored_is_what_the_file_holds_however_it_is_cut(made, tmp_path, model):
    expected = predictions(made, model)
    table = pq.read_table(made.root / "data" / model / "predictions.parquet")
    pq.write_table(table, tmp_path / "cut.parquet", row_group_size=7)
    found = evaluate.answers(tmp_path / "cut.parquet")
    pd.testing.assert_frame_equal(found, expected.drop(columns="row_id"))


@pytest.mark.parametrize("model", MODELS)
def test_predictions_do_not_depend_on_how_the_file_is_cut(made, tmp_path, monkeypatch, model):
    copied = tmp_path / "data" / model
    shutil.copytree(made.root / "data" / model, copied)
    shutil.copytree(made.root / "models", tmp_path / "models")
    monkeypatch.chdir(tmp_path)
    expected = (copied / "predictions.parquet").read_bytes()
    test = pq.read_table(copied / "test.parquet")
    pq.write_table(test, copied / "test.parquet", row_group_size=7)
    evaluate.run(model)
    assert (copied / "predictions.parquet").read_bytes() == expected


def test_the_metrics_of_a_classification_are_scikit_learns(made):
    found = predictions(made, "pets")
    assert recorded(made, "pets") == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(found["actual"], found["prediction"]),
            "roc_auc": metrics.roc_auc_score(found["actual"] == "dog", found["probability_dog"]),
            "log_loss": metrics.log_loss(found["actual"] == "dog", found["probability_dog"].astype(float)),
        },
        rel=1e-6,
    )


def test_the_metrics_of_several_classes_are_scikit_learns(made):
    found = predictions(made, "tiles")
    probabilities = found[["probability_0", "probability_1", "probability_2"]].to_numpy(float)
    probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    assert recorded(made, "tiles") == pytest.approx(
        {
            "accuracy": metrics.accuracy_score(found["actual"], found["prediction"]),
            "roc_auc": metrics.roc_auc_score(found["actual"], probabilities, multi_class="ovr"),
            "log_loss": metrics.log_loss(found["actual"], probabilities),
        },
        rel=1e-6,
    )


def test_the_metrics_of_a_regression_are_scikit_learns(made):
    found = predictions(made, "weights")
    assert recorded(made, "weights") == pytest.approx(
        {
            "mean_absolute_error": metrics.mean_absolute_error(found["actual"], found["prediction"]),
            "root_mean_squared_error": metrics.root_mean_squared_error(found["actual"], found["prediction"]),
            "r2": metrics.r2_score(found["actual"], found["prediction"]),
        },
        rel=1e-6,
    )


@pytest.mark.parametrize("group", [1, 7, 100])
def test_predictions_do_not_depend_on_the_row_groups_of_the_file(made, tmp_path, group):
    table = pq.read_table(made.root / "data/pets/test.parquet")
    pq.write_table(table, tmp_path / "test.parquet", row_group_size=group)
    model = Predictor(made.root / "data/pets/model")
    model.about["batch_size"] = 16
    expected = evaluate.predict(model, made.root / "data/pets/test.parquet", DATA)
    found = evaluate.predict(model, tmp_path / "test.parquet", DATA)
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert len(found) == table.num_rows


def test_evaluating_again_writes_the_same_bytes(made, world):
    shutil.copytree(made.root / "data/pets", world.root / "data/pets")
    names = ("metrics.json", "predictions.parquet", "evaluation.png")
    folder = world.run("evaluate")
    for name in names:
        assert (folder / name).read_bytes() == (made.root / "data/pets" / name).read_bytes()


@pytest.mark.parametrize("model", MODELS)
def test_there_is_a_figure_without_a_version_in_it(made, model):
    data = (made.root / "data" / model / "evaluation.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert b"Matplotlib" not in data


def test_a_damaged_model_is_told_with_what_to_do(made, world):
    shutil.copytree(made.root / "data/pets", world.root / "data/pets")
    (world.root / "data/pets/model/architecture.json").write_text("{}")
    with pytest.raises(IntegrityError, match=r"architecture\.json is not what the manifest says\. Restore it"):
        world.run("evaluate")
    shutil.rmtree(world.root / "data/pets/model")
    with pytest.raises(IntegrityError, match=r"manifest\.json is missing\. Restore it"):
        world.run("evaluate")


def scored(actual, prediction, cat, names=("accuracy",)) -> dict[str, float]:
    frame = pd.DataFrame({"row_id": range(len(actual)), "actual": actual, "prediction": prediction})
    frame["probability_cat"] = cat
    frame["probability_dog"] = 1 - frame["probability_cat"]
    return evaluate.score(frame, DATA, list(names))


def test_what_cannot_be_scored_is_told():
    with pytest.raises(TrainingError, match="predictions are not finite numbers"):
        scored(["cat", "dog"], ["cat", "dog"], [np.nan, 0.0])
    with pytest.raises(DataError, match=r"classes that the model does not know: \['emu'\]"):
        scored(["cat", "emu"], ["cat", "dog"], [1.0, 0.0])


@pytest.mark.filterwarnings("ignore:R.2 score is not well-defined")
def test_a_metric_without_a_value_is_told():
    regression = Data(kind="table", task="regression", target="y", columns={"x": "number"})
    frame = pd.DataFrame({"row_id": ["a"], "actual": [1.0], "prediction": [2.0]})
    with pytest.raises(DataError, match="The metric r2 has no value on these 1 test rows"):
        evaluate.score(frame, regression, ["mean_absolute_error", "r2"])


def test_a_figure_of_one_value_can_be_drawn(tmp_path):
    regression = Data(kind="table", task="regression", target="y", columns={"x": "number"})
    evaluate.draw(pd.DataFrame({"actual": [1.0], "prediction": [1.0]}), regression, tmp_path / "x.png")
    assert (tmp_path / "x.png").exists()


def test_the_users_own_plot_style_changes_nothing(made, tmp_path, monkeypatch):
    import matplotlib

    frame = predictions(made, "pets")
    monkeypatch.setitem(matplotlib.rcParams, "font.size", 30)
    evaluate.draw(frame, DATA, tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes() == (made.root / "data/pets/evaluation.png").read_bytes()
