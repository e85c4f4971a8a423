"""Complete or absent, in row groups of bounded size, without any library's version in them."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import DataError
from pipelines.table import row_groups

SCHEMA = pa.schema([("x", pa.int64()), ("text", pa.string())])


def batch(count: int, text: str = "abc") -> pa.RecordBatch:
    return pa.record_batch([pa.array(range(count)), [text] * count], schema=SCHEMA)


def test_what_is_written_is_read_back(tmp_path):
    assert row_groups.write(tmp_path / "deep" / "x.parquet", SCHEMA, [batch(3), batch(0), batch(2)]) == 5
    read = pa.Table.from_batches(row_groups.batches(tmp_path / "deep" / "x.parquet"))
    assert read["x"].to_pylist() == [0, 1, 2, 0, 1]
    assert row_groups.rows(tmp_path / "deep" / "x.parquet") == 5


def test_only_the_columns_asked_for_are_read(tmp_path):
    row_groups.write(tmp_path / "x.parquet", SCHEMA, [batch(3)])
    assert [found.schema.names for found in row_groups.batches(tmp_path / "x.parquet", ["text"])] == [["text"]]


def test_a_table_of_no_rows_is_a_file(tmp_path):
    assert row_groups.write(tmp_path / "x.parquet", SCHEMA, []) == 0
    assert list(row_groups.batches(tmp_path / "x.parquet")) == []
    assert row_groups.rows(tmp_path / "x.parquet") == 0


def test_an_error_while_writing_leaves_no_file_and_keeps_the_old_one(tmp_path):
    path = tmp_path / "x.parquet"

    def content():
        yield batch(100_000)
        raise RuntimeError("halfway")

    with pytest.raises(RuntimeError, match="halfway"):
        row_groups.write(path, SCHEMA, content())
    assert list(tmp_path.iterdir()) == []
    row_groups.write(path, SCHEMA, [batch(1)])
    with pytest.raises(RuntimeError, match="halfway"):
        row_groups.write(path, SCHEMA, content())
    assert [p.name for p in tmp_path.iterdir()] == ["x.parquet"]
    assert row_groups.rows(path) == 1


def test_the_file_appears_only_when_it_is_complete(tmp_path):
    with row_groups.Writer(tmp_path / "x.parquet", SCHEMA) as out:
        out.write(batch(200_000))
        assert not (tmp_path / "x.parquet").exists()
    assert row_groups.rows(tmp_path / "x.parquet") == 200_000


@pytest.mark.parametrize("sizes", [[200_000], [50_000] * 4, [1] * 50, [70_000, 1, 70_000]])
def test_row_groups_hold_a_bounded_number_of_rows(tmp_path, sizes):
    row_groups.write(tmp_path / "x.parquet", SCHEMA, map(batch, sizes))
    metadata = pq.read_metadata(tmp_path / "x.parquet")
    groups = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    assert sum(groups) == sum(sizes)
    assert max(groups) <= row_groups.GROUP_ROWS
    assert len(groups) == -(-sum(sizes) // row_groups.GROUP_ROWS)


@pytest.mark.parametrize("narrow", [0, 1000])
def test_row_groups_hold_a_bounded_number_of_bytes_also_after_narrow_rows(tmp_path, narrow):
    wide = batch(100, text="x" * (1 << 20))
    row_groups.write(tmp_path / "x.parquet", SCHEMA, [batch(narrow), wide])
    for found in row_groups.batches(tmp_path / "x.parquet"):
        assert found.nbytes <= 1.1 * row_groups.GROUP_BYTES


@settings(max_examples=20)
@given(st.lists(st.integers(0, 40_000), max_size=8))
def test_the_bytes_do_not_depend_on_how_rows_arrive(tmp_path_factory, sizes):
    folder = tmp_path_factory.mktemp("tables")
    whole = batch(sum(sizes))
    starts = [sum(sizes[:index]) for index in range(len(sizes))]
    row_groups.write(folder / "pieces", SCHEMA, [whole.slice(a, n) for a, n in zip(starts, sizes, strict=True)])
    row_groups.write(folder / "whole", SCHEMA, [whole])
    assert (folder / "pieces").read_bytes() == (folder / "whole").read_bytes()


def test_no_pandas_metadata_is_stored(tmp_path):
    frame = pa.Table.from_pandas(pa.Table.from_batches([batch(3)]).to_pandas())
    row_groups.write(tmp_path / "x.parquet", SCHEMA, frame.cast(SCHEMA).to_batches())
    assert b"pandas" not in (tmp_path / "x.parquet").read_bytes()


def test_a_missing_file_is_told_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(DataError, match=r"x\.parquet is missing\. Run `ratchet run`"):
        list(row_groups.batches(tmp_path / "x.parquet"))


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: b"", lambda data: b"PAR1 no PAR1"])
def test_a_torn_file_is_told(tmp_path, damage):
    path = tmp_path / "x.parquet"
    row_groups.write(path, SCHEMA, [batch(10)])
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"x\.parquet is not a readable Parquet file"):
        list(row_groups.batches(path))


def test_damage_inside_a_row_group_is_told(tmp_path):
    path = tmp_path / "x.parquet"
    row_groups.write(path, SCHEMA, [batch(10_000)])
    data = bytearray(path.read_bytes())
    data[20:2000] = bytes(1980)
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"x\.parquet is not a readable Parquet file"):
        list(row_groups.batches(path))


def test_room_on_the_disk_is_asked_for_first(tmp_path):
    row_groups.check_space(tmp_path, 1)
    with pytest.raises(DataError, match=r"The disk of .* has .* GB free, but about 1152921504\.6 GB are needed"):
        row_groups.check_space(tmp_path, 1 << 60)
