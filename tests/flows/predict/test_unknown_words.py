"""Words that a model has never seen: answered as missing ones, counted, named, and refused if that is asked for."""

import dataclasses
import json

import pandas as pd
import pyarrow as pa
import pytest

from flows.cli.commands.predict import predict_text
from flows.predict import unknown_words, worker
from flows.predict.unknown_words import Unknown
from pipelines.config.data import Data
from pipelines.errors import DataError
from tests.flows.predict.test_predict import asked
from tests.support.world import World, pets

PETS = Data.model_validate(
    {"kind": "table", "task": "regression", "target": "y", "columns": {"colour": "category", "name": "category"}}
)


def look(unknown: Unknown, *columns: list) -> Unknown:
    unknown.look(pa.record_batch([pa.array(cells, pa.string()) for cells in columns], ["colour", "name"]))
    return unknown


def test_unknown_words_are_counted_over_all_rows_and_the_first_few_are_named():
    known = {"colour": pa.array(["red", "blue"]), "name": pa.array(["a"])}
    found = look(Unknown(PETS, known), ["red", None, "pink", "pink"], ["a", "a", None, "a"])
    look(found, [f"c{at}" for at in range(9)], ["a"] * 9)
    assert found.counts == {"colour": 11}
    assert found.words == {"colour": ["pink", "c0", "c1", "c2", "c3"]}


def test_the_words_of_a_sensitive_column_are_not_shown():
    known = {"colour": pa.array(["red"]), "name": pa.array(["a"])}
    data = PETS.model_copy(update={"sensitive": ["name"]})
    assert look(Unknown(data, known), ["red"], ["Bob"]).words == {}
    with pytest.raises(DataError) as caught:
        look(Unknown(data, known, strict=True), ["red"], ["Bob"])
    assert "Bob" not in str(caught.value)


def test_strict_names_row_column_and_word():
    unknown = Unknown(PETS, {"colour": pa.array(["red"]), "name": pa.array(["a"])}, strict=True)
    look(unknown, ["red", "red"], ["a", "a"])
    with pytest.raises(DataError, match="Row 4, column 'colour': 'pink' is no word that the model was trained on"):
        look(unknown, ["red", "pink"], ["a", "a"])


@pytest.mark.parametrize("lookup", ["one for each", "one for all"])
def test_the_words_of_a_model_are_those_of_its_training_rows(tmp_path, lookup):
    words = [["blue", "red"], ["a"]]
    layers = [_layer(f"category_{place}", known) for place, known in enumerate(words)]
    if lookup == "one for all":
        layers = [_layer("categories_lookup", ["a", "blue", "red"])]
    (tmp_path / "architecture.json").write_text(json.dumps({"config": {"layers": layers}}))
    (tmp_path / "model.json").write_text(json.dumps({"categories": ["colour", "name"]}))
    found = {name: known.to_pylist() for name, known in unknown_words.known(tmp_path).items()}
    each = ["a", "blue", "red"] if lookup == "one for all" else None
    assert found == {"colour": each or words[0], "name": each or words[1]}


def _layer(name: str, words: list[str]) -> dict:
    return {"class_name": "StringLookup", "config": {"name": name, "vocabulary": words}}


@pytest.mark.tensorflow
def test_a_real_model_knows_its_words_and_takes_others_for_missing(made: World, tmp_path):
    source, rows = tmp_path / "new.csv", pets(30, seed=3)
    colours = rows["colour"].mask(rows.index < 3, "pink").mask(rows.index == 3, " black ")
    rows.assign(colour=colours).to_csv(source, index=False)
    request = asked(made, "pets", source, tmp_path / "x.parquet")
    found = worker.predict(request)
    assert (found["unknown"], found["unknown_words"]) == ({"colour": 3}, {"colour": ["pink"]})
    rows.assign(colour=colours.mask(rows.index < 3)).to_csv(source, index=False)
    assert worker.predict(dataclasses.replace(request, output=str(tmp_path / "y.parquet")))["unknown"] == {}
    one, other = (pd.read_parquet(tmp_path / name).drop(columns="row_id") for name in ("x.parquet", "y.parquet"))
    pd.testing.assert_frame_equal(one, other, check_exact=True)
    about = {"model": "pets", "version": 1, "problem": "", "output": "x.parquet", "seconds": 1.0, "served_as": ""}
    assert "3 words in 'colour' that the model has never seen ('pink'), taken as missing" in predict_text(found | about)


@pytest.mark.tensorflow
def test_with_strict_nothing_is_answered(made: World, tmp_path):
    pets(20).assign(colour="pink").to_csv(tmp_path / "new.csv", index=False)
    request = asked(made, "pets", tmp_path / "new.csv", tmp_path / "x.parquet")
    with pytest.raises(DataError, match="Row 1, column 'colour': 'pink'"):
        worker.predict(dataclasses.replace(request, strict=True))
    assert not (tmp_path / "x.parquet").exists()
