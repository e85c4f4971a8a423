"""Parquet files as they arrive: read some rows at a time, and refused if a small file becomes far too large.

A column that repeats one value needs a few bytes for any number of rows, and so does a list of a billion zeros in one
row. So the footer is checked first. A text that the file stores once and uses in every row counts in every row, before
it is expanded.
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
    """The open file, after a check of its footer. Raises DataError, and pyarrow's errors for a damaged file."""
    with regular_files.opened(path) as content, _file(path, content) as file:
        _check_head(path, file.metadata, path.stat().st_size)
        yield file


def _file(path: Path, content: Any) -> pq.ParquetFile:
    """Raises DataError for a column whose name is no text."""
    try:
        return pq.ParquetFile(content, pre_buffer=False)  # pre_buffer would keep the whole file in memory
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: the name of the column {error.object!r} is no text in UTF-8.", "Rename the column in the source."
        ) from error


def rows(path: Path) -> int:
    """The number of rows, from the footer; a file that was cut off has none. Raises as `opened` does."""
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
    """Raises DataError if the row counts disagree, or the rows need too much memory for so small a file."""
    groups = [head.row_group(index) for index in range(head.num_row_groups)]
    if head.num_rows != sum(group.num_rows for group in groups) or any(group.num_rows < 0 for group in groups):
        raise DataError(f"{path} is a damaged Parquet file: its row counts disagree.", "Send it again.")
    columns, widths = [head.schema.column(index) for index in range(head.num_columns)], _widths(head)
    total = sum(width * head.num_rows for column, width in zip(columns, widths, strict=True) if not _is_list(column))
    for index in (index for index, column in enumerate(columns) if _is_list(column)):
        total += widths[index] * sum(group.column(index).num_values for group in groups)
    compressed.check(path, total, size)


def _is_list(column: Any) -> bool:
    return bool(column.max_repetition_level > 0)


def _widths(head: pq.FileMetaData) -> list[int]:
    """The smallest size of one value of each column in memory, in bytes."""
    columns = (head.schema.column(index) for index in range(head.num_columns))
    return [max(1, WIDTHS.get(column.physical_type) or column.length) for column in columns]


def _written_once(head: pq.FileMetaData) -> list[str]:
    """The text columns whose values the file stores only once, if together they could become too large."""
    found: dict[str, int] = {}
    for index in range(head.num_columns):
        column = head.schema.column(index)
        if column.physical_type == "BYTE_ARRAY" and column.path == column.name and head.num_row_groups:
            chunks = [head.row_group(group).column(index) for group in range(head.num_row_groups)]
            if any(chunk.has_dictionary_page for chunk in chunks):
                found[column.path] = max(chunk.total_uncompressed_size for chunk in chunks)
    return list(found) if sum(found.values()) * BATCH_ROWS > compressed.SMALL else []


def _bytes(column: pa.Array) -> int:
    """The bytes of a column once it is expanded."""
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
    """The same rows in the types of the file. names: of the columns that were read in another type."""
    for name in names:
        place = batch.schema.get_field_index(name)  # -1 for a name that is there twice: refused later
        if place >= 0 and batch.column(place).type != schema.field(place).type:
            batch = batch.set_column(place, schema.field(place), batch.column(place).cast(schema.field(place).type))
    return batch


READER = Reader("parquet", lambda path, _: batches(path), (".parquet",), rows=rows, repair="Send it again.")
