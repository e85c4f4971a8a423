"""Clean: every usable row in exactly one split, and in the same one for ever."""

import json
import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import clean
from pipelines.clean import Clean
from pipelines.config.data import Data
from pipelines.errors import DataError
from pipelines.table import row_groups, rows, splits
from pipelines.table.splits import SPLITS
from tests.support.world import PETS, pets

WAYS = {
    "hash": {"by": "hash", "seed": 3, "validation": 0.3, "test": 0.2},
    "key": {"by": "hash", "seed": 3, "validation": 0.3, "test": 0.2, "key": ["owner"]},
    "time": {
        "by": "time",
        "column": "born",
        "validation_from": "2026-01-04T12:00:00+02:00",
        "test_from": "2026-01-07T00:00:00Z",
    },
    "given": {"by": "given", "column": "part", "validation": 0.3},
}
COLUMNS = {"weight": "number", "owner": "category", "born": "carried", "part": "carried"}
DATA = Data.model_validate(PETS["data"] | {"columns": COLUMNS})

owners = st.lists(
    st.fixed_dictionaries(
        {
            "weight": st.floats(0, 50),
            "owner": st.sampled_from("abcdefgh"),
            "born": st.integers(1, 9).map(lambda day: f"2026-01-0{day}T00:00:00+00:00"),
            "part": st.sampled_from(["train", "test"]),
            "animal": st.sampled_from(["cat", "dog"]),
        }
    ),
    min_size=1,
    max_size=30,
)


def batch(found: list[dict]) -> pa.RecordBatch:
    schema = rows.raw_schema(DATA)
    values = pa.RecordBatch.from_pylist(found, pa.schema(list(schema)[1:]))
    ids = rows.id_column(rows.identify(values, values.schema.names))
    return pa.RecordBatch.from_arrays([ids, *values.columns], schema=schema)


def places(found: list[dict], way: str) -> dict[str, str]:
    """The split of each row id."""
    config = Clean.model_validate({"split": WAYS[way]})
    divided = splits.divide(batch(found), config.split)
    return {row_id: name for name in SPLITS for row_id in divided[name]["row_id"].to_pylist()}


@pytest.mark.parametrize("way", WAYS)
@given(owners, owners, st.randoms())
def test_a_split_never_changes_when_rows_are_appended_reordered_or_repeated(way, found, more, random):
    before = places(found, way)
    after = places(random.sample(found + more + found, 2 * len(found) + len(more)), way)
    assert {row_id: after[row_id] for row_id in before} == before


@pytest.mark.parametrize("way", WAYS)
@given(owners)
def test_every_row_is_in_exactly_one_split(way, found):
    divided = splits.divide(batch(found), Clean.model_validate({"split": WAYS[way]}).split)
    ids = [row_id for name in SPLITS for row_id in divided[name]["row_id"].to_pylist()]
    assert sorted(ids) == sorted(batch(found)["row_id"].to_pylist())


@given(owners)
def test_rows_of_one_key_stay_together(found):
    divided = splits.divide(batch(found), Clean.model_validate({"split": WAYS["key"]}).split)
    owners_of = [set(divided[name]["owner"].to_pylist()) for name in SPLITS]
    assert sum(map(len, owners_of)) == len(set.union(*owners_of))


@given(owners)
def test_time_flows_from_train_to_test(found):
    divided = splits.divide(batch(found), Clean.model_validate({"split": WAYS["time"]}).split)
    days = {name: {int(born[9]) for born in divided[name]["born"].to_pylist()} for name in SPLITS}
    assert days["train"] <= {1, 2, 3, 4}
    assert days["validation"] <= {5, 6}
    assert days["test"] <= {7, 8, 9}


@given(owners)
def test_given_test_rows_are_the_test_split(found):
    divided = splits.divide(batch(found), Clean.model_validate({"split": WAYS["given"]}).split)
    assert set(divided["test"]["part"].to_pylist()) <= {"test"}
    assert {"test"}.isdisjoint(divided["train"]["part"].to_pylist() + divided["validation"]["part"].to_pylist())


def test_shares_are_about_those_that_are_declared_and_differ_by_seed():
    many = [{"weight": float(i), "owner": str(i), "born": "", "part": "", "animal": "cat"} for i in range(5000)]
    found = pd.Series(places(many, "hash")).value_counts(normalize=True)
    assert found["validation"] == pytest.approx(0.3, abs=0.03)
    assert found["test"] == pytest.approx(0.2, abs=0.03)
    other = splits.divide(batch(many), Clean.model_validate({"split": WAYS["hash"] | {"seed": 4}}).split)
    assert set(other["test"]["row_id"].to_pylist()) != {i for i, name in places(many, "hash").items() if name == "test"}


def ids(folder: Path, name: str) -> list[str]:
    return pq.read_table(folder / f"{name}.parquet")["row_id"].to_pylist()


def cleaned(world, frame: pd.DataFrame, **changes) -> tuple[Path, dict]:
    world.declare(**changes)
    world.pin(frame)
    folder = world.run("ingest", "validate", "clean")
    return folder, json.loads((folder / "clean.json").read_text())


def test_no_row_is_in_two_splits_and_none_is_lost_or_changed(world):
    folder, report = cleaned(world, pets(500))
    assert report["rows"] == {"raw": 500, "removed": {}}
    raw = pq.read_table(folder / "raw.parquet").to_pandas().set_index("row_id")
    splits = pd.concat(pq.read_table(folder / f"{name}.parquet").to_pandas() for name in SPLITS).set_index("row_id")
    assert splits.index.is_unique
    pd.testing.assert_frame_equal(splits.loc[raw.index], raw)


def test_old_rows_stay_where_they_were_when_new_ones_arrive(world):
    folder, before = cleaned(world, pets(300))
    old = {name: ids(folder, name) for name in SPLITS}
    new = pd.concat([pets(100, seed=1), pets(300).sample(frac=1, random_state=0), pets(300)[:50]])
    folder, after = cleaned(world, new)
    for name in SPLITS:
        assert set(old[name]) <= set(ids(folder, name))
    assert after["rows"]["removed"] == {"duplicate": 50}
    assert after["data_hash"] != before["data_hash"]


def test_hashes_do_not_depend_on_the_order_of_rows_or_on_the_file(world):
    _, before = cleaned(world, pets(300))
    (world.root / "data/pets/source/rows.csv").unlink()
    world.pin(pets(300).sample(frac=1, random_state=0), "rows.parquet")
    after = json.loads((world.run("ingest", "validate", "clean") / "clean.json").read_text())
    assert after["data_hash"] == before["data_hash"]
    assert after["splits"] == before["splits"]


def test_hashes_do_not_depend_on_metadata_or_row_groups(world):
    folder, before = cleaned(world, pets(300))
    raw = pq.read_table(folder / "raw.parquet").replace_schema_metadata({"pandas": "{}", "writer": "another"})
    pq.write_table(raw, folder / "raw.parquet", row_group_size=7, compression="none")
    after = clean.clean(folder, Data.model_validate(PETS["data"]), Clean.model_validate(PETS["clean"]))
    assert after == before


def test_the_report_counts_each_class_in_each_split(world):
    folder, report = cleaned(world, pets(300))
    for name in SPLITS:
        animals = pq.read_table(folder / f"{name}.parquet")["animal"].to_pylist()
        assert report["splits"][name]["rows"] == len(animals)
        assert report["splits"][name]["classes"] == {"cat": animals.count("cat"), "dog": animals.count("dog")}


def test_duplicates_and_rows_with_missing_values_are_removed_or_kept_as_declared(world):
    twice = pd.concat([pets(300), pets(300)[:20]])
    folder, report = cleaned(world, twice, clean={"missing": "drop"})
    missing = int(pets(300)[["weight", "age", "colour"]].isna().any(axis=1).sum())
    assert report["rows"]["removed"] == {"duplicate": 20, "missing value": missing}
    assert sum(row_groups.rows(folder / f"{name}.parquet") for name in SPLITS) == 300 - missing
    _, report = cleaned(world, twice, clean={"duplicates": "keep"})
    assert report["rows"]["removed"] == {}


def test_of_an_event_the_newest_row_counts_in_the_split_of_the_event(world):
    data = PETS["data"] | {"columns": PETS["data"]["columns"] | {"chip": "carried"}}
    split = WAYS["hash"] | {"key": ["chip"]}
    frame = pets(300).assign(chip=[f"c{number}" for number in range(300)])
    frame.loc[299, "chip"] = None  # no event: it stays
    other = {"cat": "dog", "dog": "cat"}
    corrected = frame[:20].assign(animal=frame["animal"][:20].map(other), weight=1.0)
    back = frame[:5]  # the very first row again
    whole = pd.concat([frame, corrected, back])
    folder, report = cleaned(world, whole, data_=data, clean={"split": split, "event": ["chip"]})
    assert report["rows"]["removed"] == {"replaced": 25}
    found = pd.concat(pq.read_table(folder / f"{name}.parquet").to_pandas().assign(split=name) for name in SPLITS)
    assert len(found) == 300
    by_chip = found.dropna(subset="chip").set_index("chip")
    assert by_chip.index.is_unique
    said = by_chip["animal"].loc[frame["chip"][:20]].tolist()
    assert said == [*frame["animal"][:5], *corrected["animal"][5:]]
    folder, _ = cleaned(world, frame, data_=data, clean={"split": split, "event": ["chip"]})
    before = pd.concat(pq.read_table(folder / f"{name}.parquet").to_pandas().assign(split=name) for name in SPLITS)
    assert before.dropna(subset="chip").set_index("chip")["split"].to_dict() == by_chip["split"].to_dict()


def test_quarantined_rows_reach_no_split(world):
    heavy = {"rule": "expect_column_values_to_be_between", "column": "weight", "max_value": 13, "level": "quarantine"}
    folder, report = cleaned(world, pets(500), validate={"rules": [heavy], "quarantine_limit": 0.5})
    aside = int((pets(500)["weight"] > 13).sum())
    assert report["rows"]["removed"] == {"quarantined": aside}
    for name in SPLITS:
        assert max(pq.read_table(folder / f"{name}.parquet")["weight"].to_pylist()) <= 13


def test_a_quarantined_row_needs_no_split(world):
    data = PETS["data"] | {"columns": {"weight": "number", "part": "carried"}}
    frame = pets(200)[["weight", "animal"]].assign(part=["test", "train", "train", "validation"] * 50)
    frame.loc[7, "part"] = "tset"
    split = {"by": "given", "column": "part"}
    with pytest.raises(
        DataError, match=r"Row [0-9a-f]{32}: the split column 'part' holds 'tset': it must be one of train,"
    ):
        cleaned(world, frame, data_=data, clean={"split": split})
    rule = {"rule": "expect_column_values_to_be_in_set", "column": "part", "value_set": list(SPLITS)}
    changes = {"data_": data, "clean": {"split": split}, "validate": {"rules": [rule | {"level": "quarantine"}]}}
    assert cleaned(world, frame, **changes)[1]["rows"]["removed"] == {"quarantined": 1}


@pytest.mark.parametrize("value", ["yesterday", "2026-01-01", "", "2026-01-01T00:00:00"])
def test_a_time_that_is_no_instant_is_told(value):
    row = {"weight": 1.0, "owner": "a", "born": value or None, "part": "train", "animal": "cat"}
    with pytest.raises(DataError, match=r"Row [0-9a-f]{32}: the split column 'born' holds .*: it is not a date"):
        places([row], "time")


def frame_of(animals: list[str]) -> pd.DataFrame:
    return pets(len(animals)).assign(animal=animals)


BAD = {
    "one class": (frame_of(["cat"] * 100), {}, r"The target 'animal' has one class, 'cat': there is nothing to learn"),
    "rare class": (
        frame_of(["cat", "dog"] * 50 + ["emu"]),
        {},
        r"The (train|validation) split has no row of class 'emu'\. Change clean\.split\.seed \(now 0\)",
    ),
    "few rows": (
        pets(2),
        {},
        r"The \w+ split is empty: 2 raw rows, removed: none\. Change clean\.split\.seed \(now 0\)",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_splits_that_cannot_be_used_are_told_with_the_seed(world, case):
    frame, changes, message = BAD[case]
    with pytest.raises(DataError, match=message):
        cleaned(world, frame, **changes)
    assert not (world.root / "data/pets/clean.json").exists()


def test_nothing_left_says_what_was_removed(world):
    with pytest.raises(DataError, match=r"The train split is empty: 30 raw rows, removed: 30 missing value"):
        cleaned(world, pets(30).assign(age=None), clean={"missing": "drop"})


def test_an_empty_split_by_time_names_its_bounds_and_no_seed(world):
    data = PETS["data"] | {"columns": {"weight": "number", "born": "carried"}}
    frame = pets(30)[["weight", "animal"]].assign(born="2025-01-01T00:00:00Z")
    message = "The validation split is empty: 30 raw rows, removed: none. Move clean.split.validation_from or test_from"
    with pytest.raises(DataError, match=re.escape(message)):
        cleaned(world, frame, data_=data, clean={"split": WAYS["time"]})


def test_a_constant_target_of_a_regression_is_told(world):
    data = {"kind": "table", "task": "regression", "target": "weight", "columns": {"age": "number"}}
    frame = pets(100)[["age", "weight"]]
    metric = {"evaluate": {"metrics": ["r2"]}, "promote_": {"metric": "r2", "at_least": 0.0}}
    with pytest.raises(DataError, match=r"The target 'weight' is 3\.0 in every training row"):
        cleaned(world, frame.assign(weight=3, age=range(100)), data_=data, **metric)
    report = cleaned(world, frame, data_=data, **metric)[1]["splits"]
    weights = [report[name][end] for name in SPLITS for end in ("smallest", "largest")]
    assert (min(weights), max(weights)) == (frame["weight"].min(), frame["weight"].max())


def test_two_runs_write_the_same_bytes(world):
    folder, _ = cleaned(world, pets(300))
    names = ["clean.json", *(f"{name}.parquet" for name in SPLITS)]
    before = [(folder / name).read_bytes() for name in names]
    world.run("clean")
    assert [(folder / name).read_bytes() for name in names] == before
