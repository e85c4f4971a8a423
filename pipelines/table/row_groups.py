"""Tables on disk: Parquet, read and written one row group at a time, so that no stage holds a whole table in memory.

Files appear under their name only when they are complete. They have no pandas metadata, whose library versions would
change the bytes.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import DataError

GROUP_ROWS = 65_536  # at most, in one row group
GROUP_BYTES = 16 << 20  # of values in memory, at most, in one row group of more than one row,
CHUNK_BYTES = 8 << 10  # or so many for each column: each read of a column costs a fixed time


def batches(
    path: Path, columns: list[str] | None = None, groups: Iterable[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """The table, a row group at a time; groups: which ones, and in which order.

    Raises DataError if the file is missing or damaged.
    """
    with opened(path) as file:
        for index in range(file.num_row_groups) if groups is None else map(int, groups):
            yield from _group(file, path, index, columns)


def by_column(path: Path, names: list[str]) -> Iterator[tuple[str, Iterator[pa.Array]]]:
    """Each column, a row group at a time. As many columns as fit into a row group's bytes are read together from a file
    that is opened once, because each call takes time for all columns of the file."""
    with opened(path) as file:
        of_groups = [file.metadata.row_group(index).total_byte_size for index in range(file.num_row_groups)]
        together = max(1, GROUP_BYTES * file.metadata.num_columns // max(1, sum(of_groups)))
        for start in range(0, len(names), together):
            block = names[start : start + together]
            if len(block) == 1:
                yield block[0], (b[0] for index in range(len(of_groups)) for b in _group(file, path, index, block))
                continue
            held = [batch for index in range(len(of_groups)) for batch in _group(file, path, index, block)]
            for name in block:
                yield name, (batch[name] for batch in held)


def group_bytes(columns: int) -> int:
    """The most bytes of values in memory of one row group of more than one row."""
    return max(GROUP_BYTES, CHUNK_BYTES * columns)


def _group(file: pq.ParquetFile, path: Path, index: int, columns: list[str] | None) -> list[pa.RecordBatch]:
    try:
        return list(file.read_row_group(index, columns=columns).combine_chunks().to_batches())
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def larger(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in fewer batches. None becomes larger than a row group may be."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        there, most = [*waiting, batch], group_bytes(batch.num_columns)
        if waiting and (sum(b.num_rows for b in there) > GROUP_ROWS or sum(b.nbytes for b in there) > most):
            yield _joined(waiting)
            there = [batch]
        waiting = there
    if waiting:
        yield _joined(waiting)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0] if len(batches) > 1 else batches[0]


def opened(path: Path) -> pq.ParquetFile:
    """The Parquet file; the caller closes it. Raises DataError if it is missing or damaged."""
    try:
        return pq.ParquetFile(path, memory_map=False)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing.", "Run `ratchet run` or `dvc repro` to make it.") from error
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from error


def metadata(path: Path) -> dict[bytes, bytes] | None:
    """What a table says of itself, such as which reader made its rows; None if nothing. Raises DataError."""
    with opened(path) as file:
        return file.schema_arrow.metadata or None


def with_metadata(schema: pa.Schema, about: Mapping[bytes, Any] | None) -> pa.Schema:
    """The schema of a table that says this of itself. Without it the schema stays: empty metadata have bytes, too."""
    return schema.with_metadata(about) if about else schema


def _unreadable(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path} is not a readable Parquet file: {' '.join(str(error).split())}.",
        "Restore it with `dvc checkout --force`, or make it anew with `dvc repro --force`.",
    )


def rows(path: Path) -> int:
    with opened(path) as file:
        return int(file.metadata.num_rows)


def group_rows(path: Path) -> list[int]:
    """How many rows each row group has."""
    with opened(path) as file:
        return [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]


def check_space(folder: Path, needed: int) -> None:
    """Raises DataError if the disk of the existing `folder` has less room than the needed bytes."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f"The disk of {folder} has {free / 1e9:.1f} GB free, but about {needed / 1e9:.1f} GB are needed.",
            "Make room (`ratchet prune` deletes versions that nothing needs), or move the project to a larger disk.",
        )


class Writer:
    """Writes one Parquet file, row group by row group; it appears under its name when the block ends without error.

    with Writer(path, schema) as out:
        out.write(batch)
    """

    def __init__(self, path: Path, schema: pa.Schema):
        self.path, self.schema = path, schema
        self.rows, self._most = 0, group_bytes(len(schema))
        self._waiting = schema.empty_table()
        self._temporary = path.with_name(f".{path.name}.partial")

    def __enter__(self) -> "Writer":
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = pq.ParquetWriter(self._temporary, self.schema, compression="zstd", store_schema=True)
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """batch: of any size, of the writer's schema."""
        step = max(1, min(GROUP_ROWS, self._most * batch.num_rows // max(1, batch.nbytes)))
        for start in range(0, batch.num_rows, step):
            self._add(batch.slice(start, step))
        self.rows += batch.num_rows

    def _add(self, piece: pa.RecordBatch) -> None:
        if self._waiting.num_rows and self._waiting.nbytes + piece.nbytes > self._most:
            self._flush(self._waiting.num_rows)
        added = pa.Table.from_batches([piece], schema=self.schema)
        self._waiting = pa.concat_tables([self._waiting, added])
        if self._waiting.num_rows >= GROUP_ROWS:
            self._flush(GROUP_ROWS)

    def _flush(self, count: int) -> None:
        group, self._waiting = self._waiting.slice(0, count), self._waiting.slice(count)
        self._file.write_table(group.combine_chunks(), row_group_size=count)

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None and self._waiting.num_rows:
                self._flush(self._waiting.num_rows)
            self._file.close()
            if kind is None:
                os.replace(self._temporary, self.path)
        finally:
            self._temporary.unlink(missing_ok=True)


def write(path: Path, schema: pa.Schema, content: Iterable[pa.RecordBatch]) -> int:
    """Write all of it; returns the number of rows."""
    with Writer(path, schema) as out:
        for batch in content:
            out.write(batch)
    return out.rows
