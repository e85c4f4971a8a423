"""Ordered: a table written in the order of its rows' identities, which are hashes: however its source was sorted, each
row group holds rows from all over it.

A training that cannot hold its rows takes them by row groups (feed.py). Of images in a folder for each class, or of a
table sorted by its target, a row group would be of one class, and a network forgets what it does not see for long.
"""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from pipelines import rows, tables
from pipelines.settings import Data

MOST_PARTS = 1024


def parts(path: Path, data: Data) -> int:
    """Into how many parts the rows of a raw table are cut, each of about a row group; 1 for a table that is no more."""
    with tables.opened(path) as file:
        of_groups = [file.metadata.row_group(index).total_byte_size for index in range(file.num_row_groups)]
        rows, columns = file.metadata.num_rows, file.metadata.num_columns
    size = sum(of_groups) * (data.window if data.kind == "sequence" else 1)  # each row is in so many windows
    return min(MOST_PARTS, max(1, -(-rows // tables.GROUP_ROWS), -(-size // tables.group_bytes(columns))))


def room(parts: int) -> int:
    """The bytes that they take on the disk meanwhile."""
    return parts * tables.GROUP_BYTES if parts > 1 else 0


class Ordered:
    """Like tables.Writer. The parts lie in an unnamed file beside the table, which vanishes with the process."""

    def __init__(self, path: Path, schema: pa.Schema, parts: int):
        self._path, self._schema = path, schema
        self._places: list[list[tuple[int, int]]] = [[] for _ in range(parts)]  # where the pieces of each lie
        self.rows = 0

    def __enter__(self) -> "Ordered":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=self._path.parent)
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        """batch: of any size, of the schema; its rows have a `row_id`."""
        order, part = _order(batch, len(self._places))
        ordered = batch.take(pa.array(order))
        edges = np.searchsorted(part[order], np.arange(len(self._places) + 1)).tolist()
        for places, low, high in zip(self._places, edges, edges[1:], strict=False):
            if high > low:
                piece = ordered.slice(low, high - low).serialize()
                places.append((self._file.tell(), self._file.write(piece)))
        self.rows += batch.num_rows

    def __exit__(self, kind: object, *_: object) -> None:
        with self._file:
            if kind is not None:
                return
            with tables.Writer(self._path, self._schema) as out:
                for places in filter(None, self._places):
                    part = pa.Table.from_batches(map(self._read, places)).combine_chunks().to_batches()[0]
                    out.write(part.take(pa.array(_order(part, 1)[0])))

    def _read(self, place: tuple[int, int]) -> pa.RecordBatch:
        self._file.seek(place[0])
        return pa.ipc.read_record_batch(pa.py_buffer(self._file.read(place[1])), self._schema)


def _order(batch: pa.RecordBatch, parts: int) -> tuple[np.ndarray, np.ndarray]:
    """The rows in the order of their identities, and the part that each belongs to [rows]."""
    ids = rows.ids_of(batch["row_id"])
    first = np.frombuffer(bytes.fromhex(ids.tobytes().decode()), ">u2").reshape(len(ids), 8)[:, 0]
    return np.argsort(ids, kind="stable"), first.astype(np.int64) * parts >> 16
