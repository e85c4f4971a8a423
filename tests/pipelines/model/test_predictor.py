"""Predictor: the sealed folder, and raw rows in, answers out."""

import shutil

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipelines.model import predictor
from pipelines.model.predictor import Predictor
from tests.support.world import pets, tiles

MODELS = ["pets", "weights", "tiles"]


@pytest.fixture(scope="module")
def loaded(made):
    return {model: Predictor(made.root / "data" / model / "model") for model in MODELS}


def rows_of(made, model: str) -> pd.DataFrame:
    return pq.read_table(made.root / "data" / model / "test.parquet").to_pandas()


@pytest.mark.parametrize("model", MODELS)
def test_predictions_are_those_of_evaluate_bit_for_bit(made, loaded, model):
    recorded = pq.read_table(made.root / "data" / model / "predictions.parquet").to_pandas()
    found = loaded[model].predict(rows_of(made, model))
    pd.testing.assert_frame_equal(found, recorded.drop(columns="actual"), check_exact=True)


@pytest.mark.parametrize("model", MODELS)
def test_one_row_at_a_time_gives_the_same_labels_and_nearly_the_same_numbers(made, loaded, model):
    frame = rows_of(made, model)
    together = loaded[model].predict(frame)
    single = pd.concat([loaded[model].predict(frame[i : i + 1]) for i in range(len(frame))])
    numbers = together.select_dtypes("number").columns
    np.testing.assert_allclose(single[numbers], together[numbers], rtol=1e-5, atol=1e-5)
    if model != "weights":
        assert single["prediction"].tolist() == together["prediction"].tolist()


def test_rows_beyond_one_batch_are_answered_too(made):
    frame, model = rows_of(made, "pets"), Predictor(made.root / "data/pets/model")
    whole = model.predict(frame)
    model.about["batch_size"] = 7
    found = model.predict(frame)
    assert found["row_id"].tolist() == whole["row_id"].tolist()
    np.testing.assert_allclose(found["probability_cat"], whole["probability_cat"], atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_no_rows_give_no_answers_with_the_same_columns(made, loaded, model):
    frame = rows_of(made, model)
    assert list(loaded[model].predict(frame[:0])) == list(loaded[model].predict(frame))
    assert len(loaded[model].predict(frame[:0])) == 0


def test_probabilities_add_up_and_the_prediction_is_the_largest(made, loaded):
    found = loaded["tiles"].predict(rows_of(made, "tiles"))
    probabilities = found[["probability_0", "probability_1", "probability_2"]].to_numpy()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    assert found["prediction"].tolist() == probabilities.argmax(axis=1).tolist()


def test_columns_may_come_in_any_order_with_others_beside_them(loaded):
    frame = pets(30, seed=9)
    shuffled = frame.assign(extra=1)[["animal", "extra", "colour", "age", "weight"]]
    pd.testing.assert_frame_equal(loaded["pets"].predict(shuffled), loaded["pets"].predict(frame))


def test_missing_values_and_unknown_words_are_answered_alike(loaded):
    known = {"weight": 8.0, "age": 3.0, "colour": "black"}
    missing = [known | {"colour": value} for value in (None, np.nan, pd.NA, "", "purple")]
    found = loaded["pets"].predict(pd.DataFrame(missing))
    assert found["probability_cat"].nunique() == 1
    assert found["probability_cat"][0] != loaded["pets"].predict(pd.DataFrame([known]))["probability_cat"][0]
    empty = pd.DataFrame([{"weight": None, "age": None, "colour": None}, {"weight": np.nan, "age": pd.NA}])
    assert np.isfinite(loaded["pets"].predict(empty)["probability_cat"]).all()


def test_a_number_is_a_number_in_every_type(loaded):
    frame = pd.DataFrame({"weight": [4, 12], "age": [3, 5], "colour": ["black", "white"]})
    expected = loaded["pets"].predict(frame)
    for kind in ("float32", "float64", "int8", "object", "Int64", "string"):
        found = loaded["pets"].predict(frame.astype({"weight": kind, "age": kind}))
        pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize(
    ("value", "word"), [("a b", "a b"), (1, "1"), (1.0, "1"), (1.5, "1.5"), (True, "true"), (None, ""), (np.nan, "")]
)
def test_a_category_is_the_text_that_ingest_would_have_stored(value, word):
    about = {"kind": "table", "numbers": [], "categories": ["c", "d"]}
    found = predictor.to_arrays(pd.DataFrame({"c": [value, "x"], "d": ["y", "z"]}, dtype=object), about)
    assert found["categories"].tolist() == [[word, "y"], ["x", "z"]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="age"), r"the rows lack the columns \['age'\]"),
        (lambda f: f.assign(age=[1, np.inf]), "row 1, column 'age': inf is not a finite number"),
        (lambda f: f.assign(age=["1", "old"]), r"column 'age' holds what is no number \(could not .*: 'old'\)"),
    ],
)
def test_rows_that_do_not_fit_are_told(loaded, change, message):
    with pytest.raises(ValueError, match=message):
        loaded["pets"].predict(change(pets(2)))


@pytest.mark.parametrize("image", [None, b"", bytes(35), "x" * 36, 7])
def test_an_image_that_does_not_fit_is_told(loaded, image):
    frame = tiles(2).assign(image=[tiles(1)["image"][0], image])
    with pytest.raises(ValueError, match="row 1, column 'image': not the 36 bytes of an image"):
        loaded["tiles"].predict(frame)


@pytest.fixture
def copy(tmp_path, made):
    return shutil.copytree(made.root / "data/pets/model", tmp_path / "model")


@pytest.mark.parametrize("name", predictor.FILES)
def test_any_changed_or_removed_file_is_noticed(copy, name):
    original = (copy / name).read_bytes()
    (copy / name).write_bytes(original[:-1] + bytes([original[-1] ^ 1]))
    with pytest.raises(ValueError, match=rf"{name} is not what the manifest says"):
        Predictor(copy)
    (copy / name).unlink()
    with pytest.raises(ValueError, match="and its manifest names"):
        Predictor(copy)


def test_an_added_file_is_noticed_and_byte_code_is_not(copy):
    (copy / "__pycache__").mkdir()
    predictor.check_manifest(copy)
    (copy / "extra.py").write_text("")
    with pytest.raises(ValueError, match=r"holds .*'extra\.py'"):
        predictor.check_manifest(copy)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"files": 3}'])
def test_a_manifest_that_is_none_is_told(copy, text):
    (copy / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=r"manifest\.json is not a manifest"):
        predictor.check_manifest(copy)


def test_the_hash_names_the_content(copy, made):
    original = made.root / "data/pets/model"
    assert predictor.model_hash(copy) == predictor.model_hash(original) == predictor.write_manifest(copy)
    predictor.check_manifest(copy, predictor.model_hash(original))
    (copy / "predictor.py").write_text("# changed\n")
    assert predictor.write_manifest(copy) != predictor.model_hash(original)
    with pytest.raises(ValueError, match=r"manifest\.json is not that of model"):
        predictor.check_manifest(copy, predictor.model_hash(original))
    (copy / "manifest.json").unlink()
    with pytest.raises(ValueError, match=r"manifest\.json is missing"):
        predictor.check_manifest(copy)


def test_it_imports_nothing_of_the_project():
    text = predictor.__loader__.get_source("pipelines.model.predictor")
    assert "pipelines" not in text
    assert "flows" not in text
