"""Ingest: pinned files in, raw rows of the declared types out."""

import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from pipelines import ingest
from pipelines.config.data import Data
from pipelines.errors import DataError, IntegrityError
from pipelines.readers import sources
from pipelines.readers.formats import text
from pipelines.table import id_sets, rows
from tests.support.world import PETS, pets


def ingested(world) -> pd.DataFrame:
    return pq.read_table(world.run("ingest") / "raw.parquet").to_pandas()


def test_raw_rows_are_the_source_rows_with_an_identity_and_declared_types(world):
    world.pin(pets())
    found = ingested(world)
    pd.testing.assert_frame_equal(found[list(pets())], pets(), check_dtype=False)
    schema = pq.read_schema(world.root / "data/pets/raw.parquet")
    assert schema.equals(rows.raw_schema(Data.model_validate(PETS["data"])))
    assert found["row_id"].is_unique


def test_every_kind_of_file_gives_the_same_rows(world):
    path = world.pin(pets(), "rows.csv")
    from_csv = ingested(world)
    path.unlink()
    mixed = pets().sample(frac=1, axis=1, random_state=0)
    path = world.pin(mixed, "rows.parquet")
    pd.testing.assert_frame_equal(ingested(world), from_csv)
    path.unlink()
    world.pin(mixed.to_json(orient="records", lines=True), "rows.jsonl")
    pd.testing.assert_frame_equal(ingested(world), from_csv)


def test_two_runs_write_the_same_bytes(world):
    world.pin(pets())
    path = world.run("ingest") / "raw.parquet"
    before = path.read_bytes()
    path.unlink()
    world.run("ingest")
    assert path.read_bytes() == before


def test_a_built_in_set_is_read_when_it_is_the_pinned_one(world):
    columns = {"age": "number", "sex": "category", "bmi": "number", "bp": "number"}
    columns |= {f"s{i}": "number" for i in range(1, 7)}
    data = {"kind": "table", "task": "regression", "target": "progression", "columns": columns}
    world.declare("sugar", data_=data, ingest={"source": "builtin:diabetes"})
    digest = sources.builtin_hash(sources.builtin("diabetes"))
    pin = {"format": 1, "source": "builtin:diabetes", "kind": "builtin", "name": "diabetes", "sha256": digest}
    path = world.root / "data/sugar/pin.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(pin))
    raw = world.run("ingest", model="sugar") / "raw.parquet"
    assert id_sets.survey(raw)[0] == digest  # one name for the content, before and after
    path.write_text(json.dumps(pin | {"sha256": "0" * 64}))
    with pytest.raises(IntegrityError, match=r"is not the pinned one .* Install the locked packages"):
        world.run("ingest", model="sugar")


def test_an_image_is_stored_as_its_bytes(world):
    world.declare(data_={"kind": "image", "task": "classification", "target": "animal", "shape": [2, 2, 1]})
    images = [bytes(range(i, i + 4)) for i in range(6)]
    world.pin(pd.DataFrame({"image": images, "animal": ["cat", "dog"] * 3}), "rows.parquet")
    assert ingested(world)["image"].tolist() == images
    assert pq.read_schema(world.root / "data/pets/raw.parquet").field("image").metadata[b"shape"] == b"2,2,1"


def test_declared_marks_are_missing_and_declared_columns_are_left_out(world):
    world.declare(ingest={"missing": ["?"], "ignore": ["note"]})
    world.pin("weight,age,colour,animal,note\n1,?,NA,cat,x\n")
    assert ingested(world).drop(columns="row_id").replace({np.nan: None}).to_dict("records") == [
        {"weight": 1.0, "age": None, "colour": "NA", "animal": "cat"}
    ]


NAMES = "weight,age,colour,animal\n"
BAD = {
    "empty": ("", r"rows\.csv is empty"),
    "header only": (NAMES, r"data/incoming/pets/ holds no rows"),
    "no target": ("weight,age,colour\n1,2,b\n", r"rows\.csv: The data have no column 'animal'\. They have 'weight'"),
    "undeclared": ("x," + NAMES + "3,1,2,b,cat\n", r"rows\.csv: The data have undeclared columns: 'x'"),
    "twice": ("age," + NAMES + "2,1,2,b,cat\n", r"rows\.csv: The data have more than one column 'age'"),
    "text": (NAMES + "1,2,b,cat\n1,old,b,cat\n", r"rows\.csv: Row 2, column 'age': 'old' is not a number"),
    "infinite": (NAMES + "1,-inf,b,cat\n", r"rows\.csv: Row 1, column 'age': -inf is not a finite number"),
    "ragged": (NAMES + "1,2,b,cat\n1,2\n", r"rows\.csv: line 3 has 2 cells, and the header has 4"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_told_and_leaves_no_table(world, case):
    content, message = BAD[case]
    world.pin(content)
    with pytest.raises(DataError, match=message) as caught:
        world.run("ingest")
    assert caught.value.do
    assert not list((world.root / "data/pets").glob("*raw*"))


def test_the_row_is_counted_from_the_start_of_its_file(world):
    rows_of_a_block = text.BLOCK_BYTES // 1000
    lines = ["weight,age,colour,animal", *[f"1,2,{'black' * 200},cat"] * 3 * rows_of_a_block, "1,old,black,cat"]
    world.pin("\n".join(lines))
    with pytest.raises(DataError, match=f"Row {3 * rows_of_a_block + 1}, column 'age': 'old'"):
        world.run("ingest")


def test_a_column_to_leave_out_must_exist(world):
    world.declare(ingest={"ignore": ["agee"]})
    world.pin(pets())
    with pytest.raises(DataError, match=r"no column 'agee' to leave out.*did you mean 'age'"):
        world.run("ingest")


def test_a_pin_of_another_source_is_refused(world):
    world.pin(pets())
    world.declare(ingest={"source": "data/incoming/other/"})
    with pytest.raises(IntegrityError, match=r"reads 'data/incoming/other/', but .* pins 'data/incoming/pets/'"):
        world.run("ingest")


def test_room_on_the_disk_is_asked_for_before_reading(world):
    world.pin(pets())
    path = world.root / "data/pets/pin.json"
    pin = json.loads(path.read_text())
    pin["files"][0]["bytes"] = 1 << 60
    path.write_text(json.dumps(pin))
    with pytest.raises(DataError, match=r"about 2305843009\.2 GB are needed"):
        world.run("ingest")


def test_the_disk_that_is_asked_for_is_enough_for_the_tables_of_all_stages(world):
    world.pin(pets(rows=20_000))
    path = world.root / "data/pets/pin.json"
    pin = json.loads(path.read_text())
    pin["files"][0]["rows"] = 20_000
    path.write_text(json.dumps(pin))
    folder = world.run("ingest", "validate", "clean")
    written = sum(file.stat().st_size for file in folder.glob("*.parquet"))
    assert written < ingest.disk_need(pin) < 4 * written
