"""Every row is there once more, in the order of identities; and a sorted source is learned like any other."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.config.data import Data
from pipelines.table import row_groups, rows, shuffled
from pipelines.training import data_loader
from tests.support.world import tiles

DATA = Data(kind="table", task="regression", target="y", columns={"x": "number"})
SERIES = Data(
    kind="sequence", task="regression", target="y", columns={"at": "date", "x": "number"}, time="at", step=60, window=50
)
SCHEMA = rows.raw_schema(DATA)


def batch(count: int, seed: int = 0) -> pa.RecordBatch:
    """Rows of which some are equal."""
    values = np.random.default_rng(seed).integers(0, max(1, 3 * count // 4), count).astype(float)
    columns = pa.record_batch([values, values + 1], names=["x", "y"])
    ids = rows.id_column(rows.identify(columns, ["x", "y"]))
    return pa.record_batch([ids, *columns.columns], schema=SCHEMA)


@given(st.integers(0, 200), st.integers(1, 60), st.sampled_from([1, 2, 7, 1024]))
def test_all_rows_are_written_in_the_order_of_their_identities(tmp_path_factory, count, size, parts):
    path, given_rows = tmp_path_factory.mktemp("t") / "train.parquet", batch(count)
    with shuffled.Ordered(path, SCHEMA, parts) as out:
        for start in range(0, count, size):
            out.write(given_rows.slice(start, size))
    found = pq.read_table(path)
    assert out.rows == found.num_rows == count
    assert found.schema.equals(SCHEMA, check_metadata=False)
    assert found["row_id"].to_pylist() == sorted(given_rows["row_id"].to_pylist())
    assert found.to_pandas().equals(given_rows.to_pandas().sort_values("row_id", kind="stable", ignore_index=True))


def test_a_failure_leaves_no_file(tmp_path):
    def fail():
        with shuffled.Ordered(tmp_path / "train.parquet", SCHEMA, 3) as out:
            out.write(batch(20))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_failure_at_the_very_end_leaves_no_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    def fill():
        with shuffled.Ordered(tmp_path / "train.parquet", SCHEMA, 3) as out:
            out.write(batch(20))

    monkeypatch.setattr(row_groups.Writer, "write", full)
    with pytest.raises(OSError, match="No space left"):
        fill()
    assert list(tmp_path.iterdir()) == []


def test_there_are_parts_of_about_a_row_group_however_well_the_values_pack(tmp_path, monkeypatch):
    """A file that Parquet packs into little takes as much in memory as any other."""
    raw, alike = tmp_path / "raw.parquet", batch(1).take(pa.array([0] * 1000))
    row_groups.write(raw, SCHEMA, [alike])
    assert shuffled.cut(raw, DATA) == shuffled.Cut(1, 0)
    monkeypatch.setattr(row_groups, "GROUP_BYTES", 10_000)
    monkeypatch.setattr(row_groups, "CHUNK_BYTES", 0)
    row_groups.write(raw, SCHEMA, [alike])
    found, windows = shuffled.cut(raw, DATA), shuffled.cut(raw, SERIES)
    assert 2 * found.parts >= len(row_groups.group_rows(raw)) > 5
    assert found.room >= alike.nbytes
    assert windows.room > 50 * 16 * 1000  # of each row, numbers in 50 windows
    monkeypatch.setattr(shuffled, "MOST_PARTS", 2)
    assert shuffled.cut(raw, SERIES) == shuffled.Cut(2, windows.room)


def test_rows_are_divided_many_at_once(tmp_path, monkeypatch):
    """A piece of a table with thousands of columns takes milliseconds, however few rows it has."""
    given_rows = batch(200)
    with shuffled.Ordered(tmp_path / "train.parquet", SCHEMA, 5) as out:
        for start in range(0, 200, 10):
            out.write(given_rows.slice(start, 10))
        out._divide()
        assert [len(places) for places in out._places] == [1] * 5
    monkeypatch.setattr(row_groups, "GROUP_BYTES", given_rows.nbytes // 20)
    monkeypatch.setattr(row_groups, "CHUNK_BYTES", 0)
    with shuffled.Ordered(tmp_path / "train.parquet", SCHEMA, 5) as out:
        for start in range(0, 200, 10):
            out.write(given_rows.slice(start, 10))
            assert sum(waiting.num_rows for waiting in out._waiting) <= 30
    assert pq.read_table(tmp_path / "train.parquet").num_rows == 200


def test_a_source_with_a_folder_for_each_class_that_does_not_fit_into_memory_is_learned(world, hardware, monkeypatch):
    """Of the training split each row group would hold one class, and a window of the stream is one row group."""
    monkeypatch.setattr(row_groups, "GROUP_ROWS", 50)
    monkeypatch.setattr(data_loader, "HELD_BYTES", 0)
    monkeypatch.setattr(data_loader, "WINDOW_BYTES", 1)
    world.declare_tiles(train={"epochs": 4})
    world.pin(tiles(600).sort_values("tile", ignore_index=True), "rows.parquet", model="tiles")
    folder = world.run("ingest", "validate", "clean", "check", "train", model="tiles")
    with pq.ParquetFile(folder / "train.parquet") as file:
        groups = [file.read_row_group(index, ["tile"])["tile"].to_pylist() for index in range(file.num_row_groups)]
    assert len(groups) > 4
    assert all(set(group) == {0, 1, 2} for group in groups)
    history = pd.read_csv(folder / "history.csv")
    assert history["validation/accuracy"].iloc[-1] > 0.95
