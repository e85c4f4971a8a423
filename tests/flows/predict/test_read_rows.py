"""Rows to be predicted are read as `ingest` reads rows to learn from, whatever stands beside the features."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from PIL import Image

from flows.predict.read_rows import Unseen
from pipelines import ingest
from pipelines.config.data import Data
from pipelines.errors import DataError
from pipelines.ingest import Ingest
from pipelines.readers import sources
from tests.pipelines.readers.formats.test_idx import encoded, write
from tests.support.world import PETS, pets, tiles

TILES: dict[str, Any] = {"kind": "image", "task": "classification", "target": "tile", "shape": [6, 6, 1]}


def unseen(path: Path, data: dict[str, Any] | None = None, **config: Any) -> Unseen:
    return Unseen(path, Data(**(data or PETS["data"])), Ingest(source="x", **config))


def table(found: Unseen) -> pd.DataFrame:
    return pa.Table.from_batches(found.batches()).to_pandas()


def ingested(path: Path, data: dict[str, Any] | None = None, **config: Any) -> pd.DataFrame:
    """The same file as a source to learn from."""
    read, settings = Data(**(data or PETS["data"])), Ingest(source="x", **config)
    content = sources.read(path, settings.delimiter, settings.encoding, settings.names)
    return pa.Table.from_batches(ingest.ingest(content, read, settings, path.name)).to_pandas()


def saved(path: Path, frame: pd.DataFrame) -> Path:
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".parquet":
        frame.to_parquet(path, index=False)
    elif ".jsonl" in path.name:
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["x.csv", "x.csv.gz", "x.parquet", "x.jsonl", "x.jsonl.gz"])
def test_rows_with_a_target_are_those_of_ingest_with_their_identities(tmp_path, name):
    path = saved(tmp_path / name, pets())
    pd.testing.assert_frame_equal(table(unseen(path)), ingested(path))


def test_without_a_target_a_row_has_the_identity_of_one_whose_target_is_missing(tmp_path):
    there, absent = tmp_path / "there.csv", tmp_path / "absent.csv"
    saved(there, pets().assign(animal=None))
    saved(absent, pets().drop(columns="animal"))
    pd.testing.assert_frame_equal(table(unseen(absent)), ingested(there))


def test_a_target_that_cannot_be_read_counts_as_missing_and_the_others_keep_their_identity(tmp_path):
    data = PETS["data"] | {"target": "lives", "label": "integer"}
    lives = ["9", "?", "7", "many", ""] * 40
    path = saved(tmp_path / "x.csv", pets().drop(columns="animal").assign(lives=lives))
    clean = [text if text.isdecimal() else "" for text in lives]
    known = saved(tmp_path / "known.csv", pets().drop(columns="animal").assign(lives=clean))
    pd.testing.assert_frame_equal(table(unseen(path, data)), ingested(known, data))
    nested = saved(tmp_path / "x.parquet", pets().drop(columns="animal").assign(lives=[[1, 2]] * 200))
    assert table(unseen(nested, data))["lives"].isna().all()


def test_columns_that_no_model_sees_may_be_absent_and_others_may_be_there(tmp_path):
    data = PETS["data"] | {"columns": PETS["data"]["columns"] | {"house": "carried"}}
    path = saved(tmp_path / "x.csv", pets().assign(name="Rex", chip=7))
    found = unseen(path, data, ignore=["chip", "owner"])
    assert table(found)["house"].isna().all()
    assert list(found.ignored) == ["name"]  # `chip` is what the YAML leaves out already


def test_a_date_may_be_made_of_parts(tmp_path):
    data = {"kind": "table", "task": "regression", "target": "y", "columns": {"at": "date", "x": "number"}}
    config = {"instants": {"at": ["year", "month", "day"]}, "timezone": "UTC"}
    frame = pd.DataFrame({"year": [2026], "month": [2], "day": [3], "x": [1.5], "at": ["no date"]})
    found = table(unseen(saved(tmp_path / "x.csv", frame), data, **config))
    assert found["at"].tolist() == ["2026-02-03T00:00:00+00:00"]
    with pytest.raises(DataError, match=r"x\.csv has no column 'month', which the model needs"):
        table(unseen(saved(tmp_path / "x.csv", frame.drop(columns="month")), data, **config))


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("target", [True, False])
def test_where_the_model_learned_from_files_without_a_header_there_may_be_one_and_the_target_may_lack(
    tmp_path, header, target
):
    names = ["weight", "animal", "age", "colour"]
    frame = pets()[[name for name in names if target or name != "animal"]]
    path = tmp_path / "x.csv"
    frame.to_csv(path, index=False, header=header)
    whole = saved(tmp_path / "whole.csv", pets().assign(animal=pets()["animal"] if target else None))
    pd.testing.assert_frame_equal(table(unseen(path, names=names)), ingested(whole))


def test_a_folder_is_read_by_the_names_of_its_files_and_what_is_withdrawn_is_left_out(tmp_path):
    for name, part in (("3.csv", pets()[:50]), ("2.parquet", pets()[50:80]), ("1.jsonl", pets()[80:])):
        saved(tmp_path / "new" / name, part)
    (tmp_path / "new" / "2.parquet.withdrawn").touch()
    expected = saved(tmp_path / "x.csv", pd.concat([pets()[80:], pets()[:50]]))
    pd.testing.assert_frame_equal(table(unseen(tmp_path / "new")), table(unseen(expected)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("weight,age\n1,2\n", r"x\.csv has no column 'colour', which the model needs \(there are 'weight', 'age'\)\."),
        ("weight,age,color\n1,2,red\n", r"no column 'colour', which the model needs \(did you mean 'color'\?\)\."),
        ("weight;age;colour\n1;2;red\n", r"only one column.*Separate its cells by ','"),
        ("weight,age,colour\n1,2,red\n1,old,red\n", r"^x\.csv: Row 2, column 'age': 'old' is not a number\."),
        ("weight,age,colour,age\n1,2,red,3\n", r"more than one column 'age'"),
        ("weight,age,colour,animal,animal\n1,2,red,cat,dog\n", r"more than one column 'animal'"),
        ("weight,age,colour\n1,2\n", r"line 2 has 2 cells, and the header has 3"),
        ("weight,age,colour\n", r"x\.csv holds no rows\."),
        ("", r"x\.csv is empty\."),
    ],
)
def test_what_cannot_be_predicted_is_told_with_its_place(tmp_path, content, message):
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        table(unseen(tmp_path / "x.csv"))


def test_an_empty_folder_and_a_file_of_another_kind_are_told(tmp_path):
    with pytest.raises(DataError, match="holds no file that can be read"):
        table(unseen(tmp_path))
    (tmp_path / "x.xlsx").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"a \.xlsx file cannot be read.*Save the sheet as CSV"):
        table(unseen(tmp_path / "x.xlsx"))


def test_a_sensitive_value_is_in_no_message(tmp_path):
    path = tmp_path / "x.csv"
    path.write_text("weight,age,colour\n1,secret,red\n")
    with pytest.raises(DataError, match="a sensitive value is not a number"):
        table(unseen(path, PETS["data"] | {"sensitive": ["age"]}))


# ------------------------------------------------------------------ images


def pictures(folder: Path) -> np.ndarray:
    """Twelve images [12, 6, 6], in files of every kind below a folder, with labels and without."""
    values = np.stack([np.frombuffer(image, np.uint8).reshape(6, 6) for image in tiles(12)["image"]])
    for number, image in enumerate(values):
        for name in (f"flat/{number:02}.png", f"classes/{number // 6}/{number:02}.png"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / name)
    for place, labels in (("idx", [encoded(np.arange(12))]), ("bare", [])):
        (folder / place).mkdir()
        write(folder / place / "new-images-idx3-ubyte.gz", encoded(values))
        for content in labels:
            write(folder / place / "new-labels-idx1-ubyte.gz", content)
    np.savez(folder / "labelled.npz", x=values, y=np.arange(12))
    np.savez(folder / "bare.npz", values)
    np.savez(folder / "named.npz", x_new=values)
    tiles(12).drop(columns="tile").to_parquet(folder / "images.parquet", index=False)
    return values


@pytest.mark.parametrize(
    "name", ["flat", "classes", "idx", "bare", "labelled.npz", "bare.npz", "named.npz", "images.parquet"]
)
def test_images_come_in_any_file_with_labels_or_without(tmp_path, name):
    values = pictures(tmp_path)
    found = table(unseen(tmp_path / name, TILES))
    assert found["image"].tolist() == [image.tobytes() for image in values]
    assert found["row_id"].nunique() == 12


def test_one_image_is_a_file_too(tmp_path):
    values = pictures(tmp_path)
    found = table(unseen(tmp_path / "flat" / "07.png", TILES))
    assert found["image"].tolist() == [values[7].tobytes()]


def test_labels_that_are_there_are_part_of_the_identity(tmp_path):
    pictures(tmp_path)
    data = TILES | {"target": "label", "label": "integer"}
    expected = ingested(tmp_path / "labelled.npz", data)["row_id"].tolist()
    for name in ("labelled.npz", "idx"):
        assert table(unseen(tmp_path / name, data))["row_id"].tolist() == expected
    assert table(unseen(tmp_path / "bare", data))["row_id"].tolist() != expected


def test_an_image_that_is_none_is_named(tmp_path):
    pictures(tmp_path)
    (tmp_path / "flat" / "03.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"03\.png is not a complete, readable image"):
        table(unseen(tmp_path / "flat", TILES))
    packed = tmp_path / "bare" / "new-images-idx3-ubyte.gz"
    packed.write_bytes(gzip.compress(gzip.decompress(packed.read_bytes())[:-1]))
    with pytest.raises(DataError, match="is cut off: 1 bytes are missing"):
        table(unseen(tmp_path / "bare", TILES))


WRITTEN = {"delimiter": ";", "decimal": ",", "thousands": ".", "skip": 1, "skip_end": 1, "trailing_delimiters": 1}
AS_WRITTEN = {
    "kind": "table",
    "task": "regression",
    "target": "y",
    "columns": {"a": "number", "w": "category", "at": "date"},
}
DATES = {"instants": {"at": ["d", "t"]}, "dates": {"at": "%d.%m.%Y %H.%M"}, "timezone": "UTC"}


def test_rows_are_read_as_the_model_s_files_are_written(tmp_path):
    """Decimal commas, thousands, marks, lines around the rows, a date and a time: by the model's own keys."""
    keys = WRITTEN | DATES | {"marks": {"a": [-200]}, "blank_rows": "drop"}
    lines = ["a;w;d;t;y;", "1.234,5;x;01.02.2024;18.30;9,5;", "-200,0;y;01.02.2024;19.30;;", ";;;;;", "Total;;;;;"]
    path = tmp_path / "x.csv"
    path.write_text("\n".join(["A title", *lines]) + "\n")
    found = table(unseen(path, AS_WRITTEN, **keys))
    assert found["a"].tolist()[:1] == [1234.5]
    assert found["a"].isna().tolist() == [False, True]
    assert found["at"].tolist() == ["2024-02-01T18:30:00+00:00", "2024-02-01T19:30:00+00:00"]
    content = sources.read(path, ";", "utf-8", layout=Ingest(source="x", **keys))
    batches = ingest.ingest(content, Data(**AS_WRITTEN), Ingest(source="x", **keys), "x.csv")
    pd.testing.assert_frame_equal(found, pa.Table.from_batches(batches).to_pandas())
    path.write_text(
        "\n".join(["A title", *(line.rpartition(";")[0].rpartition(";")[0] + ";" for line in lines)]) + "\n"
    )
    without = table(unseen(path, AS_WRITTEN, **keys))
    assert without["row_id"].tolist()[1] == found["row_id"].tolist()[1]  # its target was missing there, too


def test_numbers_of_json_mean_the_same_where_texts_have_a_decimal_comma(tmp_path):
    path = tmp_path / "x.jsonl"
    rest = '"w": "x", "d": "01.02.2024", "t": "18.30"}\n'
    path.write_text(f'{{"a": 1234.5, {rest}{{"a": "1.234,5", {rest}{{"a": 12, {rest}')
    assert table(unseen(path, AS_WRITTEN, **WRITTEN, **DATES))["a"].tolist() == [1234.5, 1234.5, 12.0]
