"""Writes a table in the order of its rows' identities, which are hashes. So each row group has rows from all parts of
the source, even if the source was sorted.

A training whose rows do not fit into memory reads them by row groups (data_loader.py). In a sorted table, or with
images in class folders, a row group would hold one class, and a network forgets what it does not see for long.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.config.data import Data
from pipelines.table import row_groups, rows

MOST_PARTS = 1024


@dataclass(frozen=True)
class Cut:
    """How a table is cut for sorting. parts: each of about a row group, 1 for a smaller table; room: the most bytes
    that they need on the disk meanwhile."""

    parts: int
    room: int


def cut(raw: Path, data: Data) -> Cut:
    """The cut for the training split of a raw table, whose row groups show its size in memory."""
    with row_groups.opened(raw) as file:
        groups, rows, columns = file.num_row_groups, file.metadata.num_rows, file.metadata.num_columns
    most = row_groups.group_bytes(columns)
    if data.kind == "sequence":  # each value is in `window` windows
        groups = max(groups, -(-rows * columns * 8 * data.window // most))
    return Cut(min(MOST_PARTS, -(-groups // 2)), groups * most) if groups > 1 else Cut(1, 0)


class Ordered:
    """Like row_groups.Writer. The parts are in an unnamed file beside the table, which vanishes with the process."""

    def __init__(self, path: Path, schema: pa.Schema, parts: int):
        self._path, self._schema = path, schema
        self._places: list[list[tuple[int, int]]] = [[] for _ in range(parts)]  # where the pieces of each lie
        self._waiting: list[pa.RecordBatch] = []  # the more rows are divided at once, the fewer pieces
        self.rows = 0

    def __enter__(self) -> "Ordered":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=self._path.parent)
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """batch: of any size, of the schema; its rows have a `row_id`."""
        self._waiting.append(batch)
        self.rows += batch.num_rows
        if sum(waiting.nbytes for waiting in self._waiting) > 2 * row_groups.group_bytes(len(self._schema)):
            self._divide()

    def _divide(self) -> None:
        """Write the waiting rows, each to its part."""
        for batch in pa.Table.from_batches(self._waiting, self._schema).combine_chunks().to_batches():
            order, part = _order(batch, len(self._places))
            ordered = batch.take(pa.array(order))
            edges = np.searchsorted(part[order], np.arange(len(self._places) + 1)).tolist()
            for places, low, high in zip(self._places, edges, edges[1:], strict=False):
                if high > low:
                    piece = ordered.slice(low, high - low).serialize()
                    places.append((self._file.tell(), self._file.write(piece)))
        self._waiting = []

    def __exit__(self, kind: object, *_: object) -> None:
        with self._file:
            if kind is not None:
                return
            self._divide()
            with row_groups.Writer(self._path, self._schema) as out:
                for places in filter(None, self._places):
                    for batch in pa.Table.from_batches(map(self._read, places)).combine_chunks().to_batches():
                        out.write(batch.take(pa.array(_order(batch, 1)[0])))

    def _read(self, place: tuple[int, int]) -> pa.RecordBatch:
        self._file.seek(place[0])
        return pa.ipc.read_record_batch(pa.py_buffer(self._file.read(place[1])), self._schema)


def _order(batch: pa.RecordBatch, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows in the order of their identities, and the part of each [rows]."""
    ids = rows.ids_of(batch["row_id"])
    first = np.frombuffer(bytes.fromhex(ids.tobytes().decode()), ">u2").reshape(len(ids), 8)[:, 0]
    return np.argsort(ids, kind="stable"), first.astype(np.int64) * parts >> 16
