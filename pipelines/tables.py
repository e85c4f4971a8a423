"""Tables on disk: Parquet, read and written one row group at a time.

No stage holds a whole table. Files appear under their name only when they are complete, and carry no
pandas metadata, whose library versions would change the bytes.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import DataError

GROUP_ROWS = 65_536  # at most, in one row group
GROUP_BYTES = 32 << 20  # at about this size a row group is closed before it has all its rows


def batches(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The table, a row group at a time. Raises DataError if the file is missing or damaged."""
    with opened(path) as file:
        for index in range(file.num_row_groups):
            yield from file.read_row_group(index, columns=columns).combine_chunks().to_batches()


def opened(path: Path) -> pq.ParquetFile:
    """The Parquet file, to be closed by the caller. Raises DataError if it is missing or damaged."""
    try:
        return pq.ParquetFile(path, memory_map=False)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing.", "Run `ratchet run` or `dvc repro` to make it.") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"{path} is not a readable Parquet file: {error}.") from error


def rows(path: Path) -> int:
    with opened(path) as file:
        return int(file.metadata.num_rows)


class Writer:
    """Writes one Parquet file, row group by row group; it appears under its name when the block ends.

    with Writer(path, schema) as out:
        out.write(batch)
    """

    def __init__(self, path: Path, schema: pa.Schema):
        self.path, self.schema = path, schema
        self.rows = 0
        self._group = 0  # rows in a row group, settled by the width of the first batch
        self._waiting = schema.empty_table()
        self._temporary = path.with_name(f".{path.name}.partial")

    def __enter__(self) -> "Writer":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = pq.ParquetWriter(self._temporary, self.schema, compression="zstd", store_schema=True)
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        if not batch.num_rows:
            return
        self.rows += batch.num_rows
        self._group = self._group or max(1, min(GROUP_ROWS, GROUP_BYTES * batch.num_rows // batch.nbytes))
        added = pa.Table.from_batches([batch], schema=self.schema)
        self._waiting = pa.concat_tables([self._waiting, added])
        while self._waiting.num_rows >= self._group:
            self._flush()

    def _flush(self) -> None:
        group, self._waiting = self._waiting.slice(0, self._group), self._waiting.slice(self._group)
        self._file.write_table(group.combine_chunks(), row_group_size=max(1, group.num_rows))

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None and self._waiting.num_rows:
            self._flush()
        self._file.close()
        if kind is None:
            os.replace(self._temporary, self.path)
        else:
            self._temporary.unlink(missing_ok=True)


def write(path: Path, schema: pa.Schema, content: Iterable[pa.RecordBatch]) -> int:
    """Write all of it; returns the number of rows."""
    with Writer(path, schema) as out:
        for batch in content:
            out.write(batch)
    return out.rows
