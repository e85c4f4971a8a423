"""Answers of real models: the bits of their own predictor, also from the graph that takes words as numbers."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from flows.predict.answering import answers, coded
from flows.predict.answering.answers import Answerer
from pipelines import model_file
from pipelines.config.data import Data
from pipelines.table import rows
from tests.pipelines.test_evaluate import MODELS
from tests.support.world import World, pets

pytestmark = pytest.mark.tensorflow


@pytest.fixture(scope="module")
def loaded(made):
    """The predictors of all models, loaded once."""
    return {model: answers.loaded(made.root / "data" / model / "model") for model in MODELS}


@pytest.fixture
def of_model(made: World, loaded, monkeypatch):
    monkeypatch.setattr(answers, "loaded", lambda folder: loaded[folder.parent.name])

    def load(model: str, fast: bool = True, folder: Path | None = None) -> Answerer:
        with contextlib.chdir(made.root):
            data = model_file.check(model).raw["data"]
        where = folder or made.root / "data" / model / "model"
        return Answerer(where, Data.model_validate(data), None, fast)  # type: ignore[arg-type]

    return load


def stranger_pets(count: int) -> pa.Table:
    """Rows with missing numbers and words, and with words that nobody knows."""
    frame = pets(count, seed=4).reset_index(drop=True)
    frame.loc[frame.index % 5 == 0, "weight"] = None
    frame.loc[frame.index % 7 == 1, "colour"] = None
    frame.loc[frame.index % 11 == 2, "colour"] = "pink"
    schema = pa.schema([("weight", pa.float64()), ("age", pa.float64()), ("colour", pa.string())])
    return pa.Table.from_pandas(frame[schema.names], schema).append_column(
        rows.ROW_ID, pa.array([f"{number:032x}" for number in range(count)])
    )


@pytest.mark.parametrize("batches", [0.5, 1, coded.TOGETHER, coded.TOGETHER + 1.5, 2 * coded.TOGETHER])
def test_words_as_numbers_give_the_bits_of_the_predictor(loaded, batches):
    of_words = coded.of_predictor(loaded["pets"])
    assert of_words is not None
    table = stranger_pets(round(batches * loaded["pets"].about["batch_size"]))
    wanted = loaded["pets"].predict(table.to_pandas())
    found = of_words.computed(table)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, wanted[["probability_cat", "probability_dog"]].to_numpy())


@pytest.mark.parametrize("fast", [True, False])
def test_the_table_of_answers_is_the_one_of_the_predictor(of_model, loaded, fast):
    answerer, table = of_model("pets", fast), stranger_pets(3000)
    for piece in (table.slice(0, 1024), table.slice(1024)):
        wanted = loaded["pets"].predict(piece.to_pandas())
        pd.testing.assert_frame_equal(answerer.answer(piece).to_pandas(), wanted, check_exact=True)


def test_a_graph_with_other_bits_is_not_used(of_model, loaded, monkeypatch):
    computed = coded.Coded.computed
    monkeypatch.setattr(coded.Coded, "computed", lambda self, table: np.nextafter(computed(self, table), np.float32(1)))
    answerer, table = of_model("pets"), stranger_pets(500)
    wanted = loaded["pets"].predict(table.to_pandas())
    for _ in range(2):
        pd.testing.assert_frame_equal(answerer.answer(table).to_pandas(), wanted, check_exact=True)


def test_a_model_with_a_predictor_of_another_day_answers_by_it(of_model, made, tmp_path, monkeypatch):
    folder = shutil.copytree(made.root / "data" / "pets" / "model", tmp_path / "pets" / "model")
    (folder / "predictor.py").write_text((folder / "predictor.py").read_text() + "# of another day\n")
    monkeypatch.setattr(answers.arrays, "to_arrays", None)
    assert of_model("pets", folder=folder).answer(stranger_pets(10)).num_rows == 10


def test_a_model_without_words_of_a_table_has_no_such_graph(loaded):
    assert coded.of_predictor(loaded["tiles"]) is None
