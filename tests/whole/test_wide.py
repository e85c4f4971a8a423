"""Thousands of columns: the work on them is done in blocks and grows as they do, and what is found is the same."""

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from ruamel.yaml import YAML

from pipelines import check
from pipelines.config import settings
from pipelines.config.data import Data
from pipelines.config.rules import Rules
from pipelines.errors import ExpectationError
from pipelines.model import features
from pipelines.table import canonical, expectations, row_groups, rows
from tests.support.clone import answer, clone
from tests.support.world import PETS

WORDS = ["red", "green", "blue", None]


def table(count: int, columns: int, texts: int, seed: int = 0) -> pd.DataFrame:
    """Numbers `n0` and on and words `t0` and on, of which some are missing; `y` follows the first three numbers."""
    random = np.random.default_rng(seed)
    numbers = random.normal(size=(count, columns)).round(4)
    y = np.where(numbers[:, :3].sum(axis=1) > 0, "yes", "no")
    numbers[random.random(numbers.shape) < 0.01] = np.nan
    words = pd.DataFrame(random.choice(WORDS, (count, texts)), columns=[f"t{index}" for index in range(texts)])
    return pd.concat([pd.DataFrame(numbers).add_prefix("n"), words], axis=1).assign(y=y)


def described(frame: pd.DataFrame, task: str = "classification") -> Data:
    roles = {name: "category" if name.startswith("t") else "number" for name in frame if name != "y"}
    return Data(kind="table", task=task, target="y", columns=roles)


def stored(frame: pd.DataFrame) -> pa.Table:
    """As a stage reads it."""
    whole = pa.Table.from_pandas(frame).replace_schema_metadata(None)
    fields = [field.with_type(pa.string()) if pa.types.is_large_string(field.type) else field for field in whole.schema]
    return whole.cast(pa.schema(fields))


def test_numbers_side_by_side_have_the_bytes_of_each_alone():
    frame = table(50, 7, 3)
    frame.iloc[0, 0] = -0.0
    (batch,) = stored(frame).to_batches()
    names = ["n0", "n1", "t0", "n2", "y", "n3", "n4", "n5", "t1", "t2", "n6"]
    alone = [part for name in names for part in canonical._column(batch.column(name))]
    expected = canonical._beside(alone)
    (content, ends), *more = canonical.encode(batch, names)
    assert not more
    assert content == expected.flat.tobytes()
    assert ends.tolist() == np.cumsum(expected.lengths).tolist()
    assert rows.identify(batch.slice(20, 5), names).tolist() == rows.identify(batch, names)[20:25].tolist()


def leaking(task: str) -> pd.DataFrame:
    """A table with more features than trees are fitted for, among which four give the target away, each otherwise."""
    frame = table(400, 100, 10)
    random = np.random.default_rng(1)
    truth = (frame["y"] == "yes").to_numpy() if task == "classification" else random.normal(size=len(frame))
    frame["n17"] = truth * 2.0 + 3
    frame["n50"] = np.where(truth > 0, 1, -1) * random.random(len(frame)) if task == "classification" else truth**3
    frame["n99"] = -np.exp(truth * 1.0)
    if task == "classification":
        frame["t7"] = np.where(truth, "a", np.where(random.random(len(frame)) < 0.5, "b", "c"))
    return frame.assign(y=frame["y"] if task == "classification" else truth)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_among_thousands_of_columns_a_copy_of_the_target_has_its_tree(monkeypatch, task):
    monkeypatch.setattr(check, "MOST_TREES", 20)
    frame = leaking(task)
    data = described(frame, task)
    train = stored(frame)
    found = check.leakage(train, data)
    assert len(found) == check.MOST_TREES < len(data.columns)
    assert list(found) == [name for name in (*data.numbers, *data.categories) if name in found]
    monkeypatch.setattr(check, "MOST_TREES", len(data.columns))
    every = check.leakage(train, data)
    assert every.items() >= found.items()  # those that have a tree have the scores that all had
    most = sorted(every, key=every.__getitem__, reverse=True)[:3]
    assert set(most) <= set(found)
    assert {"n17", "n50", "n99"} | ({"t7"} if task == "classification" else set()) <= set(found)


def test_the_order_of_the_file_makes_no_column_look_like_a_copy():
    frame = table(300, 20, 5).sort_values("y", ignore_index=True)
    frame = frame.assign(n9=np.nan, n10=1.0, n11=(frame["y"] == "yes") * 1.0)
    alike = {name: check.neighbours(*check_order(frame, name), classify=True) for name in ("n9", "n10", "n11", "n12")}
    assert alike["n11"] > 0.98
    assert max(alike["n9"], alike["n10"], alike["n12"]) < 0.7


def check_order(frame: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(0).permutation(len(frame))
    return frame[name].to_numpy(float)[order], (frame["y"] == "yes").to_numpy(int)[order]


def test_of_many_columns_fewer_rows_are_looked_at(tmp_path, monkeypatch):
    frame = table(500, 20, 0)
    row_groups.write(tmp_path / "rows.parquet", stored(frame).schema, stored(frame).to_batches())
    names = list(frame)
    assert check.sample(tmp_path / "rows.parquet", names).num_rows == 500
    monkeypatch.setattr(check, "SAMPLE_CELLS", 21 * 120)
    assert check.sample(tmp_path / "rows.parquet", names).num_rows == 120


def test_a_column_at_a_time_is_what_stands_in_the_table(tmp_path, monkeypatch):
    frame = table(500, 12, 3)
    whole = stored(frame)
    monkeypatch.setattr(row_groups, "GROUP_BYTES", 8 << 10)
    monkeypatch.setattr(row_groups, "CHUNK_BYTES", 0)
    row_groups.write(tmp_path / "rows.parquet", whole.schema, whole.to_batches())
    assert len(row_groups.group_rows(tmp_path / "rows.parquet")) > 3
    for size in (1, 8 << 10, 1 << 30):  # one column at a time, some, all
        monkeypatch.setattr(row_groups, "GROUP_BYTES", size)
        found = {
            name: pa.chunked_array(list(v)) for name, v in row_groups.by_column(tmp_path / "rows.parquet", list(frame))
        }
        assert pa.table(found).equals(whole)


@pytest.mark.parametrize(("columns", "groups"), [(100, 2), (3000, 1)])
def test_a_row_group_of_thousands_of_columns_may_be_larger(tmp_path, columns, groups):
    rows = 18 * (1 << 20) // (8 * columns)  # a little more than GROUP_BYTES
    whole = pa.table({f"n{index}": np.zeros(rows) for index in range(columns)})
    for name, batches in (("one", whole.to_batches()), ("many", whole.to_batches(max_chunksize=rows // 5))):
        row_groups.write(tmp_path / name, whole.schema, batches)
        assert len(row_groups.group_rows(tmp_path / name)) == groups
    assert len(list(row_groups.larger(whole.to_batches(max_chunksize=rows // 5)))) == groups


def test_rules_see_the_columns_that_they_name_in_fewer_batches(tmp_path, monkeypatch):
    frame = table(300, 40, 2).assign(row_id=[f"{row:032x}" for row in range(300)])
    whole = stored(frame)
    monkeypatch.setattr(row_groups, "GROUP_BYTES", 30_000)
    monkeypatch.setattr(row_groups, "CHUNK_BYTES", 0)
    row_groups.write(tmp_path / "rows.parquet", whole.schema, whole.to_batches())
    between = {"rule": "expect_column_values_to_be_between", "column": "n3", "min_value": -1, "max_value": 1}
    config = Rules.model_validate({"rules": [between]})
    found = list(expectations.read(tmp_path / "rows.parquet", config, described(frame[["n3", "y"]])))
    assert [list(part) for part in found] == [["n3", "row_id"]] * len(found)
    assert 1 <= len(found) < len(row_groups.group_rows(tmp_path / "rows.parquet"))
    assert pd.concat(found, ignore_index=True)["n3"].equals(frame["n3"])
    order = {"rule": "expect_table_columns_to_match_set", "column_set": list(frame)}
    conditional = between | {"row_condition": 'col("n4") > 0', "condition_parser": "great_expectations"}
    for rule in (order, conditional):  # these may look at any column
        assert expectations.named(Rules.model_validate({"rules": [between, rule]})) is None


def test_many_categories_share_a_lookup_that_gives_what_one_each_gives(hardware):
    import keras
    import tensorflow as tf

    random = np.random.default_rng(0)
    known = [sorted({f"w{i}" for i in random.integers(0, 9, random.integers(1, 6))}) for _ in range(30)]
    known[4] = [""]  # of a category that has no word
    words = np.array([[f"w{i}" if i < 9 else "" for i in random.integers(0, 11, 30)] for _ in range(200)], object)
    start = keras.Input((30,), dtype="string", name="categories")
    each = keras.layers.Concatenate()([features._one_hot(start, index, some) for index, some in enumerate(known)])
    together = keras.Model(start, features._all_one_hot(start, known))
    again = keras.models.model_from_json(together.to_json())
    expected = keras.Model(start, each)(tf.constant(words)).numpy()
    for model in (together, again):
        found = model(tf.constant(words))
        assert found.dtype == tf.float32
        assert (found.numpy() == expected).all()


def test_a_copy_of_the_target_among_many_columns_is_told(world, monkeypatch):
    monkeypatch.setattr(check, "MOST_TREES", 20)
    frame = leaking("classification")
    world.declare(data_=described(frame).model_dump(include={"kind", "task", "target", "columns"}))
    world.pin(frame)
    world.run("ingest", "validate", "clean")
    with pytest.raises(ExpectationError, match=r"the feature 'n17' alone predicts the target \(score 1\.0000"):
        world.run("check")
    report = json.loads((world.root / "data/pets/failed/check.json").read_text())
    assert len(report["leakage"]) == check.MOST_TREES
    assert len(report["drift"]) == len(settings.load("pets", "data", Data).numbers)


@pytest.mark.long
def test_a_table_of_thousands_of_columns_becomes_a_champion(tmp_path):
    folder = clone(tmp_path / "project")
    frame, telling = table(1500, 2500, 500), [f"n{index}" for index in range(100)]
    unseen = np.random.default_rng(2).normal(size=len(frame))
    frame[telling] = (frame[telling].to_numpy() + unseen[:, None]).round(4)
    frame.assign(y=np.where(unseen > 0, "yes", "no")).to_csv(tmp_path / "wide.csv", index=False)
    answer(folder, "new", "wide", "--data", str(tmp_path / "wide.csv"), "--target", "y")
    path = folder / "models" / "wide.yaml"
    content = YAML(typ="safe").load(path)
    assert len(content["data"]["columns"]) == 3000
    assert content["train"].keys() >= PETS["train"].keys() - {"seed"}
    found = answer(folder, "run", "wide")
    assert found["decision"] == "accepted"
    assert found["metrics"]["roc_auc"] > 0.9
    leakage = json.loads((folder / "data" / "wide" / "check.json").read_text())["leakage"]
    assert len(leakage) == check.MOST_TREES
    assert len(leakage.keys() & {*telling}) > 90
    assert answer(folder, "run", "wide")["decision"] == "unchanged"
