"""Export: the stage, on models that the stages before it have made."""

import json

import numpy as np
import onnxruntime
import pyarrow.parquet as pq
import pytest

from pipelines import evaluate, export
from pipelines.errors import IntegrityError
from pipelines.model.predictor import Predictor, model_hash, to_arrays

MODELS = ["weights", *(pytest.param(name, marks=pytest.mark.long) for name in ("pets", "tiles"))]


@pytest.mark.parametrize("model", MODELS)
def test_the_file_alone_answers_the_test_rows_as_they_were_evaluated(made, tmp_path, monkeypatch, model):
    world = made.copy(tmp_path / "here")
    monkeypatch.chdir(world.root)
    folder = world.run("export", model=model)
    found = json.loads((folder / "serving/serving.json").read_text())
    assert (found["runtime"], found["model_hash"]) == ("onnx", model_hash(folder / "model"))
    predictor, table = Predictor(folder / "model"), pq.read_table(folder / "test.parquet").to_pandas()
    session = onnxruntime.InferenceSession(folder / "serving/model.onnx", providers=["CPUExecutionProvider"])
    (answers,) = session.run(["answer"], to_arrays(table, predictor.about))
    expected = evaluate.answers(folder / "predictions.parquet")
    if model == "weights":
        train = pq.read_table(folder / "train.parquet")[predictor.about["target"]].to_numpy()
        assert found["checked"]["scale"] == pytest.approx(np.std(train), rel=1e-12)
        np.testing.assert_allclose(answers[:, 0], expected["prediction"], atol=1e-5 * np.std(train))
        return
    assert found["checked"]["scale"] == 1.0
    assert np.array(predictor.about["classes"])[answers.argmax(axis=1)].tolist() == expected["prediction"].tolist()
    columns = [f"probability_{name}" for name in predictor.about["classes"]]
    np.testing.assert_allclose(answers, expected[columns], atol=1e-5)


@pytest.mark.tensorflow
def test_a_model_that_was_changed_by_hand_is_refused(made, tmp_path, monkeypatch):
    world = made.copy(tmp_path / "here")
    monkeypatch.chdir(world.root)
    path = world.root / "data/pets/model/model.json"
    path.write_text(path.read_text() + " ")
    with pytest.raises(IntegrityError, match=r"model\.json is not what the manifest says\. Restore it with"):
        world.run("export")
    assert not (world.root / "data/pets/serving").exists()


def test_rows_come_in_parts_that_are_all_rows_in_order(made, monkeypatch):
    path = made.root / "data/pets/test.parquet"
    monkeypatch.setattr(export, "PIECE_BYTES", 1000)
    parts = list(export.tables(path))
    assert len(parts) > 1
    assert [row for part in parts for row in part["row_id"]] == pq.read_table(path)["row_id"].to_pylist()
