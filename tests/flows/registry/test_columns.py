"""The columns of a version: what its model has learned, and the ranges of its data."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from flows.registry import columns
from pipelines.config.data import Data
from tests.support.sequences import SHOPS

TABLE = {
    "kind": "table",
    "task": "regression",
    "target": "price",
    "columns": {"rooms": "number", "city": "category", "built": "date", "note": "carried", "name": "category"},
    "sensitive": ["name"],
}
PROFILE: dict[str, Any] = {
    "columns": {
        "rooms": {"kind": "number", "missing": 0, "quantiles": [1.0, 2.0, 7.0]},
        "city": {"kind": "word", "missing": 3, "words": {"Rome": 9, "Oslo": 5, "Unlearned": 4}, "distinct": 5},
        "name": {"kind": "word", "missing": 0},
    }
}


def model(folder: Path, vocabularies: dict[str, list[str]], **about: Any) -> Path:
    """A model folder as far as its words go: layers as Keras writes them."""
    layers = [
        {"class_name": "StringLookup", "config": {"name": name, "vocabulary": words}}
        for name, words in vocabularies.items()
    ]
    (folder / "architecture.json").write_text(json.dumps({"config": {"layers": layers}}))
    (folder / "model.json").write_text(json.dumps({"classes": [], "numbers": [], "categories": []} | about))
    return folder


def described(folder: Path, data: dict[str, Any], found: Any = None, golden: Any = None) -> dict[str, dict[str, Any]]:
    made = columns.describe(Data.model_validate(data), folder, {}, found, golden)
    return {column["name"]: column for column in made["columns"]}


def test_a_column_has_its_range_and_the_words_that_the_model_has_learned_the_most_frequent_first(tmp_path):
    folder = model(
        tmp_path, {"category_0": ["Bergen", "Oslo", "Rome"], "category_1": ["Ada"]}, categories=["city", "name"]
    )
    found = described(folder, TABLE, PROFILE)
    assert list(found) == ["rooms", "city", "built", "name"]  # what is carried, no model sees
    assert found["rooms"] == {
        "name": "rooms",
        "role": "number",
        "least": 1.0,
        "most": 7.0,
        "words": [],
        "more_words": 0,
        "whole": True,
        "sensitive": False,
        "missing": False,
    }
    assert (found["city"]["words"], found["city"]["more_words"]) == (["Rome", "Oslo", "Bergen"], 0)
    assert found["city"]["missing"]
    assert (found["name"]["words"], found["name"]["sensitive"]) == ([], True)
    halves = {"columns": {"rooms": {"kind": "number", "missing": 0, "quantiles": [1.0, 2.5]}}}
    assert not described(folder, TABLE, halves)["rooms"]["whole"]


def test_many_words_are_cut_and_the_others_are_counted(tmp_path):
    words = [f"word {number}" for number in range(130)]
    folder = model(tmp_path, {"category_0": words, "category_1": []}, categories=["city", "name"])
    city = described(folder, TABLE)["city"]
    assert (len(city["words"]), city["more_words"]) == (columns.MOST_WORDS, 30)


def test_without_a_profile_golden_rows_tell_the_range(tmp_path):
    golden = pa.table({"rooms": [2.0, None, 4.5], "city": ["Rome", "Oslo", "Rome"]})
    found = described(model(tmp_path, {}, categories=["city", "name"]), TABLE, golden=golden)
    assert (found["rooms"]["least"], found["rooms"]["most"], found["rooms"]["missing"]) == (2.0, 4.5, True)
    assert found["city"]["words"] == ["Oslo", "Rome"]


def test_a_sequence_has_its_target_and_its_series_and_the_words_of_both_kinds_of_categories(tmp_path):
    past = {"window": 6, "numbers": ["warm", "past_sold"], "categories": ["sky"]}
    folder = model(tmp_path, {"category_0": ["clear"], "category_1": ["a", "b"]}, categories=["shop"], past=past)
    found = described(folder, SHOPS)
    assert {name: column["role"] for name, column in found.items()} == {
        "at": "date",
        "warm": "number",
        "sky": "category",
        "shop": "category",
        "sold": "number",
    }
    assert (found["sky"]["words"], found["shop"]["words"]) == (["clear"], ["a", "b"])


@pytest.mark.parametrize("name", ["rooms", "city"])
def test_a_column_that_is_marked_later_keeps_no_value(tmp_path, name):
    folder = model(tmp_path, {"category_0": ["Rome"], "category_1": []}, categories=["city", "name"])
    made = columns.describe(Data.model_validate(TABLE), folder, {}, PROFILE, None)
    bare = next(column for column in columns.without(made, [name])["columns"] if column["name"] == name)
    assert (bare["least"], bare["most"], bare["words"], bare["sensitive"]) == (None, None, [], True)
