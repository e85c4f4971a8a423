"""Parquet files as they arrive: read some rows at a time, and refused where little becomes far too much.

A column that repeats one value is a few bytes for any number of rows, and so is a list of a billion zeros in one row.
So what its head says is looked at first; and a text that stands once in the file and in every row is counted in every
row before it is written out.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.errors import DataError
from pipelines.readers import compressed
from pipelines.readers.reader import Reader
from pipelines.safety import regular_files

BATCH_ROWS = 16_384
WIDTHS = {
    "BOOLEAN": 1,
    "INT32": 4,
    "FLOAT": 4,
    "INT64": 8,
    "DOUBLE": 8,
    "INT96": 12,
    "BYTE_ARRAY": 4,
}  # bytes, at least


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    """The file, whose head is in order. Raises DataError, and what pyarrow raises for one that is damaged."""
    with (
        regular_files.opened(path) as content,
        pq.ParquetFile(content, pre_buffer=False) as file,
    ):  # which would keep it all
        _check_head(path, file.metadata, path.stat().st_size)
        yield file


def rows(path: Path) -> int:
    """How many rows it has. A Parquet file says so at its end, which one that was cut off has lost. Raises as `opened`
    does."""
    with opened(path) as file:
        return int(file.metadata.num_rows)


def batches(path: Path) -> Iterator[pa.RecordBatch]:
    """Its rows, some at a time. Raises as `opened` does."""
    with opened(path) as file:
        names, schema = _written_once(file.metadata), file.schema_arrow
        there, most = 0, max(1, min(BATCH_ROWS, compressed.SMALL // max(1, sum(_widths(file.metadata)))))
    size = path.stat().st_size
    with (
        regular_files.opened(path) as content,
        pq.ParquetFile(content, read_dictionary=names, pre_buffer=False) as file,
    ):
        for batch in file.iter_batches(most):
            there += sum(map(_bytes, batch.columns))
            compressed.check(path, there, size)
            yield _written_out(batch, names, schema)


def _check_head(path: Path, head: pq.FileMetaData, size: int) -> None:
    """Raises DataError if its rows are not those of its parts, or take too much memory for so small a file."""
    groups = [head.row_group(index) for index in range(head.num_row_groups)]
    if head.num_rows != sum(group.num_rows for group in groups) or any(group.num_rows < 0 for group in groups):
        raise DataError(f"{path} is not a whole Parquet file: its parts have other numbers of rows.", "Send it again.")
    columns, widths = [head.schema.column(index) for index in range(head.num_columns)], _widths(head)
    total = sum(width * head.num_rows for column, width in zip(columns, widths, strict=True) if not _is_list(column))
    for index in (index for index, column in enumerate(columns) if _is_list(column)):
        total += widths[index] * sum(group.column(index).num_values for group in groups)
    compressed.check(path, total, size)


def _is_list(column: Any) -> bool:
    return bool(column.max_repetition_level > 0)


def _widths(head: pq.FileMetaData) -> list[int]:
    """The least bytes of one value of each column, in memory."""
    columns = (head.schema.column(index) for index in range(head.num_columns))
    return [max(1, WIDTHS.get(column.physical_type) or column.length) for column in columns]


def _written_once(head: pq.FileMetaData) -> list[str]:
    """The columns of text whose values stand once in the file, if all of them together could be too much."""
    found: dict[str, int] = {}
    for index in range(head.num_columns):
        column = head.schema.column(index)
        if column.physical_type == "BYTE_ARRAY" and column.path == column.name and head.num_row_groups:
            chunks = [head.row_group(group).column(index) for group in range(head.num_row_groups)]
            if any(chunk.has_dictionary_page for chunk in chunks):
                found[column.path] = max(chunk.total_uncompressed_size for chunk in chunks)
    return list(found) if sum(found.values()) * BATCH_ROWS > compressed.SMALL else []


def _bytes(column: pa.Array) -> int:
    """Of a column once it is written out."""
    if not pa.types.is_dictionary(column.type) or not _is_text(column.type.value_type):
        return int(column.nbytes)
    lengths = pc.take(pc.binary_length(column.dictionary), column.indices)
    return int(pc.sum(lengths.cast(pa.int64())).as_py() or 0)


def _is_text(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_large_binary(kind)
    )


def _written_out(batch: pa.RecordBatch, names: list[str], schema: pa.Schema) -> pa.RecordBatch:
    """The same rows in the types that the file has. names: of the columns that were read in another one."""
    for name in names:
        place = batch.schema.get_field_index(name)  # -1 for a name that stands there twice: refused later
        if place >= 0 and batch.column(place).type != schema.field(place).type:
            batch = batch.set_column(place, schema.field(place), batch.column(place).cast(schema.field(place).type))
    return batch


READER = Reader("parquet", lambda path, _: batches(path), (".parquet",), rows=rows, repair="Send it again.")
