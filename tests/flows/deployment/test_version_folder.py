"""The folder of a version, read as a server reads it: its examples give the very arrays of the golden rows."""

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from flows.deployment import serving_files, version_folder
from flows.deployment.version_folder import Version
from flows.registry import columns, reading
from flows.serving.rows.reader import RowReader
from pipelines.config.data import Data
from pipelines.ingest import Ingest
from pipelines.model import predictor
from pipelines.table.summary import columns as summaries
from pipelines.table.summary.columns import Column
from pipelines.training.data_loader import described
from tests.support import sequences
from tests.support.world import World

TABLE = {
    "kind": "table",
    "task": "regression",
    "target": "y",
    "columns": {"a": "number", "b": "category", "d": "date", "whole": "number"},
}
ROWS = pa.table(
    {
        "row_id": ["1", "2", "3"],
        "a": pa.array([0.1, None, 1e300]),
        "b": pa.array(["x", None, "ä"]),
        "d": pa.array(["2026-01-01T00:00:00+00:00", None, "2026-01-01T12:34:56.789000+00:00"]),
        "whole": pa.array([2.0, 3.0, None]),
    }
)
IMAGE = {"kind": "image", "task": "classification", "target": "y", "shape": [3, 2, 3]}


def fetched(folder: Path, data: Data) -> Path:
    """The registered files, as far as reading rows needs them: nothing here predicts."""
    model = folder / "artifacts" / "model"
    model.mkdir(parents=True)
    about = {"task": data.task, "target": data.target, "label": data.label, "classes": [], **described(data)}
    (model / "model.json").write_text(json.dumps(about))
    count = len(data.past_categories) + len(data.fixed) if data.kind == "sequence" else len(data.categories)
    layers = [
        {"class_name": "StringLookup", "config": {"name": f"category_{place}", "vocabulary": ["x"]}}
        for place in range(count)
    ]
    (model / "architecture.json").write_text(json.dumps({"config": {"layers": layers}}))
    ingest = Ingest.model_validate({"source": "data/incoming/rows.csv", "reader": 2})
    reading.write(reading.content(ingest), folder / "artifacts" / "reading")
    return folder


def made(place: Path, data: Data, golden: pa.Table) -> Path:
    files = fetched(place / "fetched", data)
    about = columns.describe(data, files / "artifacts" / "model", {}, None, golden)
    version = Version(3, files, data, about, golden, [])
    return place / version_folder.make(place, version, serving_files.none("nothing was made")).path


def images() -> pa.Table:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 18), np.uint8)
    return pa.table({"image": pa.array([one.tobytes() for one in pixels], pa.binary(18))})


def series(world: World, more: dict) -> pa.Table:
    """Windows whose last target is known: others are no examples."""
    folder = sequences.prepared(world, sequences.shops(), data_=sequences.SHOPS | more)
    table = pq.read_table(folder / "test.parquet").slice(0, 30)
    return table.filter(pa.array([row["past_sold"][-1] is not None for row in table.to_pylist()]))


CASES = {
    "a table": (TABLE, lambda world: ROWS),
    "images": (IMAGE, lambda world: images()),
    "a series": (sequences.SHOPS, lambda world: series(world, {})),
    "a series with a season": (
        sequences.SHOPS | {"seasons": [24], "baseline": "season_and_change"},
        lambda world: series(world, {"seasons": [24], "baseline": "season_and_change"}),
    ),
}


@pytest.mark.parametrize(("declared", "rows"), CASES.values(), ids=CASES)
def test_a_server_reads_the_examples_as_the_golden_rows(world, declared, rows):
    data, golden = Data.model_validate(declared), rows(world)
    folder = made(world.root / "state", data, golden)
    sent = json.loads((folder / "examples.json").read_text())["rows"]
    assert len(sent) == len(golden)
    found = RowReader(folder).read(sent).arrays
    wanted = predictor.to_arrays(golden.to_pandas(), described(data))
    assert set(found) == set(wanted)
    for name, values in wanted.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def test_the_same_version_has_the_same_folder_and_another_content_another_one(tmp_path):
    data = Data.model_validate(TABLE)
    one, again = made(tmp_path / "one", data, ROWS), made(tmp_path / "two", data, ROWS)
    assert one.name == again.name
    assert made(tmp_path / "three", data, ROWS.slice(1)).name != one.name
    assert re.fullmatch("3-[0-9a-f]{12}", one.name)


def test_what_the_training_rows_looked_like_is_there_without_what_became_sensitive(tmp_path):
    data = Data.model_validate(TABLE)
    files = fetched(tmp_path / "fetched", data)
    kept = [Column("", name, "words", 100, words=["a secret"], counts=[100]) for name in ("b", "shown")]
    (files / "evidence").mkdir()
    summaries.write(files / "evidence" / "reference.parquet", kept, {})
    about = columns.describe(data, files / "artifacts" / "model", {}, None, ROWS)
    version = Version(3, files, data, about, ROWS, ["b"])
    folder = tmp_path / version_folder.make(tmp_path, version, serving_files.none("nothing was made")).path
    assert [one.name for one in summaries.read(folder / "reference.parquet")] == ["shown"]
    assert (folder / "reference.parquet").stat().st_mode & 0o077 == 0
