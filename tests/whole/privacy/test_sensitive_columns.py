"""Sensitive columns: their values are in no report, message, page or kept row, and no group of rows is made of them."""

import copy
import json

import pandas as pd
import pytest

from flows.data.versions import _shown
from flows.promotion import trial
from flows.records import outputs
from flows.tracking import evidence_files, publish
from pipelines import model_file
from pipelines.errors import DataError, SettingsError
from pipelines.table import profile
from tests.support.world import PETS, STAGES, pets

MARKED = PETS["data"] | {"sensitive": ["age", "colour"]}


def run_of(world, **changes):
    world.declare(data_=MARKED, **changes)
    world.pin(pets())
    folder = world.run(*STAGES)
    metrics, cleaned = (json.loads((folder / f"{name}.json").read_text()) for name in ("metrics", "clean"))
    hashes = (cleaned["data_hash"], "model", "inputs")
    return outputs.StageOutputs(folder, metrics["test"], cleaned["splits"], *hashes), model_file.check("pets")


def test_golden_rows_lack_them_and_are_still_predicted_as_they_were_evaluated(world, hardware, tmp_path, monkeypatch):
    found, declared = run_of(world)
    folder = evidence_files.write(found, declared.data, tmp_path)
    golden = pd.read_parquet(folder / "golden.parquet")
    assert set(golden) == {"row_id", "weight"}
    whole = trial._whole(golden, declared.data, found.folder / "test.parquet")
    test = pd.read_parquet(found.folder / "test.parquet")
    pd.testing.assert_frame_equal(whole[list(test)[:4]], test[list(test)[:4]].head(len(golden)))


def test_the_example_of_a_registered_model_has_none(world, hardware):
    found, declared = run_of(world)
    example = publish.example(found, declared)
    assert example[["age", "colour"]].isna().all().all()
    assert example["weight"].notna().all()


def test_marking_them_changes_no_row_and_no_split(world):
    world.pin(pets())
    tables = []
    for data in (PETS["data"], MARKED):
        world.declare(data_=data)
        folder = world.run("ingest", "validate", "clean")
        tables.append([pd.read_parquet(folder / f"{name}.parquet") for name in ("raw", "train", "test")])
    for plain, marked in zip(*tables, strict=True):
        pd.testing.assert_frame_equal(plain, marked)


@pytest.mark.parametrize("engine", ["number", "infinity"])
def test_what_cannot_be_read_is_told_without_the_value(world, engine):
    world.declare(data_=MARKED)
    world.pin("weight,age,colour,animal\n1,{},black,cat\n".format("secret" if engine == "number" else "inf"))
    with pytest.raises(DataError, match="Row 1, column 'age': a sensitive value is not") as caught:
        world.run("ingest")
    assert "secret" not in str(caught.value)


def test_a_split_column_is_told_without_the_value(world):
    data = copy.deepcopy(MARKED)
    data["columns"]["part"] = "carried"
    data["sensitive"] = ["part"]
    world.declare(data_=data, clean={"split": {"by": "given", "column": "part"}})
    world.pin(pets().assign(part="secret"))
    with pytest.raises(DataError, match="the split column 'part' does not name a split") as caught:
        world.run("ingest", "validate", "clean")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"data_": MARKED, "promote": {"slices": {"old": {"column": "age", "at_least": 9}}}}, "'age' is sensitive"),
        ({"data_": PETS["data"] | {"sensitive": ["animal"]}}, "the target 'animal' cannot be sensitive"),
        ({"data_": PETS["data"] | {"sensitive": ["agee"]}}, "there is no column 'agee'.*age"),
    ],
)
def test_a_slice_a_target_and_an_unknown_column_are_refused(world, changes, told):
    world.declare(**changes)
    with pytest.raises(SettingsError, match=told):
        model_file.check("pets")


def test_two_versions_of_the_data_are_told_apart_without_values(world):
    world.declare(data_=MARKED)
    a = {"kind": "number", "missing": 3, "mean": 7.5, "standard_deviation": 1.0, "smallest": 0.0, "largest": 14.0}
    b = {"kind": "text", "missing": 0, "distinct": 3, "frequent": [{"value": "black", "share": 0.5}]}
    found = [{"column": "age", "a": dict(a), "b": None}, {"column": "colour", "a": dict(b), "b": dict(b)}]
    shown = _shown("pets", [*found, {"column": "weight", "a": dict(a), "b": dict(a)}])
    assert shown[0]["a"]["mean"] is None
    assert shown[1]["a"]["frequent"] == []
    assert shown[2]["a"] == a


def test_a_profile_that_was_kept_before_they_were_marked_loses_them(world):
    world.pin(pets())
    known = json.loads((world.run("ingest", "validate") / "profile.json").read_text())
    columns = profile.without(known, ["age", "colour"])["columns"]
    assert (set(columns["age"]), set(columns["colour"])) == ({"kind", "missing"},) * 2
    assert columns["weight"] == known["columns"]["weight"]


@pytest.mark.parametrize("reader", [1, 2])
@pytest.mark.parametrize("written", ["secret", "2026-03-01 01:00", "2026-03-29T02:30"])
def test_a_date_that_does_not_fit_is_told_without_it(world, reader, written):
    data = copy.deepcopy(MARKED) | {"sensitive": ["born"]}
    data["columns"]["born"] = "date"
    zone = {} if written != "2026-03-29T02:30" else {"timezone": "Europe/Berlin"}  # clocks leave that hour out
    world.declare(data_=data, ingest={"reader": reader, **zone})
    world.pin(f"weight,age,colour,born,animal\n1,2,black,{written},cat\n")
    with pytest.raises(DataError, match="Row 1, column 'born': a sensitive value") as caught:
        world.run("ingest")
    assert written not in str(caught.value)


@pytest.mark.parametrize("reader", [1, 2])
def test_a_number_of_too_many_digits_is_told_without_it(world, reader):
    world.declare(data_=MARKED, ingest={"reader": reader})
    world.pin("weight,age,colour,animal\n1,12345678901234567890123,black,cat\n")
    with pytest.raises(DataError, match="Row 1, column 'age': a sensitive value has more digits") as caught:
        world.run("ingest")
    assert "123456" not in str(caught.value)
