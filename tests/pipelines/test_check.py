"""Check: splits that share rows, leak the target or drift are told."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import check
from pipelines.config.data import Data
from pipelines.errors import ExpectationError
from pipelines.table import row_groups
from tests.support.world import PETS, pets

STAGES = ("ingest", "validate", "clean", "check")


def checked(world, frame: pd.DataFrame, **changes) -> dict:
    world.declare(**changes)
    world.pin(frame)
    return json.loads((world.run(*STAGES) / "check.json").read_text())


def plant(world, source: str, target: str, count: int) -> None:
    """Append rows of one split file to another, behind `clean`'s back."""
    folder = world.root / "data/pets"
    rows = pq.read_table(folder / f"{source}.parquet").slice(0, count)
    table = pa.concat_tables([pq.read_table(folder / f"{target}.parquet"), rows])
    pq.write_table(table, folder / f"{target}.parquet")


def test_sound_splits_pass_and_the_report_holds_what_was_measured(world):
    report = checked(world, pets(300))
    assert report["overlap"] == {"validation": 0.0, "test": 0.0}
    assert set(report["leakage"]) == {"weight", "age", "colour"}
    assert report["leakage"]["weight"] > 0.9 > report["leakage"]["age"]
    assert set(report["drift"]) == {"weight", "age"}
    assert all(0 <= value < 0.4 for value in report["drift"].values())
    assert report["sample_rows"]["train"] == report["sample_rows"]["of_train"]


@pytest.mark.parametrize(
    ("source", "target", "told"),
    [("train", "test", "train or validation"), ("train", "validation", "train"), ("validation", "test", "train or")],
)
def test_a_row_in_two_splits_is_told(world, source, target, told):
    checked(world, pets(300))
    plant(world, source, target, 1)
    with pytest.raises(ExpectationError, match=rf"of the {target} rows have the features of a row of {told}"):
        world.run("check")
    assert (world.root / "data/pets/failed/check.json").exists()
    world.declare(check={"overlap": 0.1})
    assert world.run("check")
    assert not (world.root / "data/pets/failed/check.json").exists()


def test_rows_of_equal_features_overlap_even_with_another_target(world):
    half = pets(150)
    other = half.assign(animal=np.where(half["animal"] == "cat", "dog", "cat"))
    with pytest.raises(ExpectationError, match="have the features of a row of"):
        checked(world, pd.concat([half, other]))


def test_a_copy_of_the_target_is_told(world):
    data = PETS["data"] | {"columns": PETS["data"]["columns"] | {"code": "category"}}
    frame = pets(300).assign(code=lambda f: f["animal"].str.upper())
    with pytest.raises(ExpectationError, match=r"the feature 'code' alone predicts the target \(score 1\.0000"):
        checked(world, frame, data_=data)
    assert checked(world, frame, data_=data, check={"leakage": 1.0})["leakage"]["code"] == 1.0


def test_a_copy_of_a_regressions_target_is_told(world):
    data = {"kind": "table", "task": "regression", "target": "weight", "columns": {"grams": "number", "age": "number"}}
    metric = {"evaluate": {"metrics": ["r2"]}, "promote_": {"metric": "r2", "at_least": 0.0}}
    frame = pets(2000)[["age", "weight"]].assign(grams=lambda f: f["weight"] * 1000)
    with pytest.raises(ExpectationError, match=r"the feature 'grams' alone predicts the target"):
        checked(world, frame, data_=data, **metric)


@pytest.mark.parametrize("labels", [["a", "b", "rare"], [0, 1, 7]])
def test_trees_are_fitted_on_as_many_rows_of_each_class_and_a_rare_one_keeps_its_rows(monkeypatch, labels):
    monkeypatch.setattr(check, "TREE_ROWS", 90)
    target = np.array(labels, object)[np.random.default_rng(0).choice(3, 1000, p=[0.7, 0.29, 0.01])]
    found = check.enough(target, classify=True)
    rare = (target == labels[2]).sum()
    assert 3 < rare < 30
    assert [(target[found] == label).sum() for label in labels] == [30, 30, rare]
    assert len(set(found.tolist())) == len(found)
    numbers = check.enough(np.arange(1000.0), classify=False)
    assert len(set(numbers.tolist())) == 90
    assert 300 < numbers.mean() < 700  # from all over the table


def test_of_more_classes_than_rows_are_looked_at_each_has_three(monkeypatch):
    monkeypatch.setattr(check, "TREE_ROWS", 20)
    target = np.repeat(np.arange(30), 8)
    assert np.bincount(target[check.enough(target, classify=True)]).tolist() == [3] * 30


def regression(y: np.ndarray, x: np.ndarray) -> tuple[pa.Table, Data]:
    data = Data(kind="table", task="regression", target="y", columns={"x": "number"})
    return pa.table({"x": x, "y": y}), data


def test_a_sorted_target_hides_no_copy_and_makes_none_of_noise(monkeypatch):
    monkeypatch.setattr(check, "TREE_ROWS", 300)
    y = np.concatenate([np.zeros(600), np.sort(np.random.default_rng(0).random(400))])
    noise, copy = (regression(y, x) for x in (np.random.default_rng(1).random(1000), 3 * y + 1))
    assert check.leakage(*noise)["x"] < 0.5
    assert check.leakage(*copy)["x"] > 0.99


def test_a_large_sorted_table_is_looked_at_all_over(tmp_path, monkeypatch):
    """So that drift compares like with like, though only the training split is in the order of identities."""
    monkeypatch.setattr(check, "SAMPLE_ROWS", 400)
    monkeypatch.setattr(row_groups, "GROUP_ROWS", 50)
    values = np.arange(5000.0)
    schema = pa.schema([("x", pa.float64())])
    for name, some in (("train", np.random.default_rng(0).permutation(values)), ("test", values)):
        row_groups.write(tmp_path / f"{name}.parquet", schema, [pa.record_batch([some], schema=schema)])
    train, test = (check.sample(tmp_path / f"{name}.parquet", ["x"]) for name in ("train", "test"))
    assert 380 <= test.num_rows <= 420
    data = Data(kind="table", task="regression", target="y", columns={"x": "number"})
    assert check.drift(train, test, data)["x"] < 0.15


def test_a_copy_of_the_target_is_told_of_a_table_with_more_rows_than_trees_are_fitted_on(world, monkeypatch):
    monkeypatch.setattr(check, "TREE_ROWS", 40)
    data = PETS["data"] | {"columns": PETS["data"]["columns"] | {"code": "category"}}
    frame = pets(600).assign(code=lambda f: f["animal"].str.upper())
    with pytest.raises(ExpectationError, match=r"the feature 'code' alone predicts the target \(score 1\.0000"):
        checked(world, frame, data_=data)


def test_a_column_of_nothing_and_a_constant_leak_nothing(world):
    frame = pets(300).assign(age=None, colour="black")
    report = checked(world, frame, check={"overlap": 1.0})
    assert report["leakage"]["age"] == pytest.approx(0.5)
    assert report["leakage"]["colour"] == pytest.approx(0.5)
    assert set(report["drift"]) == {"weight"}


def test_a_distribution_that_moved_is_told(world):
    data = PETS["data"] | {"columns": {"weight": "number", "part": "carried"}}
    frame = pets(300)[["weight", "animal"]].assign(part=["train", "train", "test"] * 100)
    frame.loc[frame["part"] == "test", "weight"] += 100
    changes = {"data_": data, "clean": {"split": {"by": "given", "column": "part"}}}
    assert checked(world, frame, **changes)["drift"]["weight"] == 1.0
    with pytest.raises(ExpectationError, match=r"'weight' is distributed differently in test \(1\.000"):
        checked(world, frame, **changes, check={"drift": 0.5})


def test_rules_are_asked_of_the_training_split(world):
    rule = {"rule": "expect_table_row_count_to_be_between", "min_value": 250}
    with pytest.raises(ExpectationError, match="expect_table_row_count_to_be_between"):
        checked(world, pets(300), check={"rules": [rule]})
    report = checked(world, pets(300), check={"rules": [rule | {"level": "warn"}]})
    assert (report["rules"][0]["success"], report["rules"][0]["observed"]) == (False, report["sample_rows"]["train"])


def test_images_are_checked_for_overlap_alone(world):
    data = {"kind": "image", "task": "classification", "target": "animal", "shape": [2, 2, 1]}
    world.declare(data_=data)
    images = [number.to_bytes(4, "little") for number in range(200)]
    world.pin(pd.DataFrame({"image": images, "animal": ["cat", "dog"] * 100}), "rows.parquet")
    report = json.loads((world.run(*STAGES) / "check.json").read_text())
    assert (report["leakage"], report["drift"], report["overlap"]["test"]) == ({}, {}, 0.0)


def test_two_runs_write_the_same_bytes(world):
    checked(world, pets(300))
    path = world.root / "data/pets/check.json"
    before = path.read_bytes()
    world.run("check")
    assert path.read_bytes() == before
