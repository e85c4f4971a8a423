"""Columns of the user stand beside the answers: each in its row, in every kind of file."""

import random
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from flows.predict.kept import Kept
from flows.predict.read_rows import Unseen
from pipelines.config.data import Data
from pipelines.errors import DataError, RequestError
from pipelines.ingest import Ingest
from tests.flows.predict.test_read_rows import TILES, saved
from tests.support.sequences import SHOPS
from tests.support.world import PETS, pets


def taken(path: Path, *wanted: str, texts: bool = False, data: dict | None = None, pieces: int = 0) -> pa.Table:
    """row_id and the kept columns, as they stand beside answers that come some rows at a time."""
    kept = Kept(Data(**(data or PETS["data"])), list(wanted), texts)
    read = pa.Table.from_batches(Unseen(path, kept.data, Ingest(source="x"), kept=kept).batches())
    found = []
    for start in range(0, len(read), pieces or len(read)):
        piece = read.slice(start, pieces or len(read)).select(["row_id"])
        for one, column in zip(kept.schema, kept.of(piece), strict=True):
            piece = piece.append_column(one, column)
        found.append(piece)
    return pa.concat_tables(found)


def owned(rows: int = 90) -> pd.DataFrame:
    names = [f"Öwner {number}, ={number}" for number in range(rows)]
    return pets(rows).assign(owner=names, number=range(rows))[["number", "weight", "age", "colour", "animal", "owner"]]


@pytest.mark.parametrize("name", ["new.csv", "new.parquet", "new.jsonl", "new.csv.gz"])
@pytest.mark.parametrize("pieces", [0, 1, 7])
def test_each_row_keeps_its_own_values_as_the_file_has_them(tmp_path, name, pieces):
    frame = owned()
    found = taken(saved(tmp_path / name, frame), "owner,number", "weight", pieces=pieces).to_pandas()
    assert list(found) == ["row_id", "owner", "number", "weight"]
    assert found["owner"].tolist() == frame["owner"].tolist()
    assert [str(value) for value in found["number"]] == [str(value) for value in frame["number"]]


def test_all_are_all_in_the_order_of_the_file_and_equal_rows_keep_each_its_own(tmp_path):
    frame = pd.concat([owned(3)] * 2, ignore_index=True).assign(owner=list("abcdef"))
    found = taken(saved(tmp_path / "new.csv", frame), "all").to_pandas()
    assert list(found) == ["row_id", *frame.columns]
    assert found["owner"].tolist() == list("abcdef")
    assert found["row_id"].nunique() == 3


def test_a_column_may_have_a_comma_in_its_name_or_be_called_all(tmp_path):
    frame = owned(5).rename(columns={"owner": "owner, first", "number": "all"})
    assert taken(saved(tmp_path / "new.csv", frame), "owner, first").column_names == ["row_id", "owner, first"]
    assert taken(tmp_path / "new.csv", "all").column_names == ["row_id", "all"]


def test_files_of_a_folder_follow_each_other(tmp_path):
    for number, name in enumerate(("a.csv", "b.jsonl", "c.parquet")):
        saved(tmp_path / "new" / name, owned(10).assign(owner=f"file {number}"))
    found = taken(tmp_path / "new", "owner").to_pandas()
    assert found["owner"].tolist() == [f"file {number}" for number in (0, 1, 2) for _ in range(10)]
    saved(tmp_path / "new" / "d.csv", owned(10).drop(columns="owner"))
    with pytest.raises(RequestError, match=r"--keep owner: there is no such column in d\.csv"):
        taken(tmp_path / "new", "owner")


def test_images_have_their_path(tmp_path):
    for name in ("dog/2.png", "cat/1.png", "dog/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (6, 6), len(name)).save(tmp_path / name)
    found = taken(tmp_path, "file", data=TILES)
    assert found["file"].to_pylist() == ["cat/1.png", "dog/1.png", "dog/2.png"]


def test_rows_of_a_sequence_are_found_again_by_their_identity(tmp_path):
    table = pd.DataFrame(
        {"shop": ["a"] * 6, "at": [f"2026-01-01T0{hour}:00:00+00:00" for hour in range(6)], "sold": range(6)}
    ).assign(warm=1.0, sky="blue", open="yes", till=list("uvwxyz"))
    path, data = saved(tmp_path / "new.csv", table), Data(**SHOPS)
    kept = Kept(data, ["till", "shop"])
    read = pa.Table.from_batches(Unseen(path, data, Ingest(source="x"), kept=kept).batches())
    order = random.Random(1).sample(range(6), 4)
    rows = pa.table({"row_id": [*read["row_id"].take(order).to_pylist(), "of the future"]})
    assert kept.schema.names == ["till"]  # the shop is in the answers anyway
    assert kept.of(rows)[0].to_pylist() == [*("uvwxyz"[place] for place in order), None]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("ownr", r"--keep ownr: there is no such column in the file.*owner"),
        ("owner,nobody", r"--keep nobody: there is no such column"),
        ("prediction", r"--keep prediction: the answers have a column of this name"),
        ("probability_dog", r"--keep probability_dog: the answers have a column of this name"),
    ],
)
def test_a_column_that_cannot_be_kept_is_refused(tmp_path, wanted, message):
    frame = owned(5).assign(prediction="old", probability_dog=0.5)
    with pytest.raises(RequestError, match=message):
        taken(saved(tmp_path / "new.csv", frame), wanted)


def test_a_csv_file_takes_what_has_a_text(tmp_path):
    columns = {
        "day": pa.array([None] * 5, pa.date32()),
        "price": pa.array([Decimal("1.50")] * 5),
        "word": pa.array(["x"] * 5).dictionary_encode(),
        "parts": pa.array([[1, 2]] * 5),
    }
    table = pa.table(pa.Table.from_pandas(pets(5)).to_pydict() | columns)
    pq.write_table(table, tmp_path / "new.parquet")
    found = taken(tmp_path / "new.parquet", "day,price,word", texts=True)
    assert [field.type for field in found.schema][1:] == [pa.string()] * 3
    assert found["price"][0].as_py() == "1.50"
    with pytest.raises(DataError, match=r"column 'parts': a CSV file cannot hold list<.*Write to \.parquet instead"):
        taken(tmp_path / "new.parquet", "parts", texts=True)
    assert taken(tmp_path / "new.parquet", "parts")["parts"][0].as_py() == [1, 2]
