"""Ordered: a table written in the order of its rows' identities, which are hashes: however its source was sorted, each
row group holds rows from all over it.

A training that cannot hold its rows takes them by row groups (feed.py). Of images in a folder for each class, or of a
table sorted by its target, a row group would be of one class, and a network forgets what it does not see for long.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines.config.settings import Data
from pipelines.table import row_groups, rows

MOST_PARTS = 1024


@dataclass(frozen=True)
class Cut:
    """How a table is cut to be ordered. parts: each of about a row group, 1 for a table that is no more; room: the most
    bytes that they take on the disk meanwhile."""

    parts: int
    room: int


def cut(raw: Path, data: Data) -> Cut:
    """Of the training split of a raw table, whose row groups tell how large it is in memory."""
    with row_groups.opened(raw) as file:
        groups, rows, columns = file.num_row_groups, file.metadata.num_rows, file.metadata.num_columns
    most = row_groups.group_bytes(columns)
    if data.kind == "sequence":  # each value is in so many windows
        groups = max(groups, -(-rows * columns * 8 * data.window // most))
    return Cut(min(MOST_PARTS, -(-groups // 2)), groups * most) if groups > 1 else Cut(1, 0)


class Ordered:
    """Like tables.Writer. The parts lie in an unnamed file beside the table, which vanishes with the process."""

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
        """Write each part's rows of those that wait."""
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
    """The rows in the order of their identities, and the part that each belongs to [rows]."""
    ids = rows.ids_of(batch["row_id"])
    first = np.frombuffer(bytes.fromhex(ids.tobytes().decode()), ">u2").reshape(len(ids), 8)[:, 0]
    return np.argsort(ids, kind="stable"), first.astype(np.int64) * parts >> 16
