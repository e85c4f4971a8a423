"""The canonical bytes of rows, the basis of their identities. They do not depend on how a row is stored.

Each value is a tag and its bytes: numbers as IEEE doubles (whole numbers beyond 2^53 as decimal text), text and images
behind their length, a missing value as its own tag. Columns are encoded as a whole and then laid side by side.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

MISSING, NUMBER, SIZED = b"0"[0], b"n"[0], b"t"[0]
PART_BYTES = 4 << 20  # of rows that are encoded at once,
COLUMN_BYTES = 4 << 10  # and more for each column: each column of a part costs a fixed time
EXACT = 2**53  # whole numbers up to here are doubles


@dataclass(frozen=True)
class Ragged:
    """Bytes of some rows, one after the other."""

    flat: np.ndarray  # uint8 [bytes]
    lengths: np.ndarray  # int64 [rows]
    arrow: pa.Array | None = None  # the same rows as Arrow holds bytes, where it does


def encode(batch: pa.RecordBatch, names: list[str]) -> Iterator[tuple[bytes, np.ndarray]]:
    """The rows, some at a time: their bytes one after the other, and where each row ends [rows]."""
    size = max(1, batch.select(names).nbytes + 9 * batch.num_rows * len(names))
    step = max(1, (PART_BYTES + COLUMN_BYTES * len(names)) * batch.num_rows // size)
    runs = list(_runs(batch, names))
    for start in range(0, batch.num_rows, step):
        rows = _beside([part for cells in runs for part in cells(start, step)])
        yield rows.flat.tobytes(), np.cumsum(rows.lengths)


def _runs(batch: pa.RecordBatch, names: list[str]) -> Iterator[Callable[[int, int], list[Ragged]]]:
    """Functions (start, count) -> the cells of some rows, in parts that lie side by side. Adjacent columns of numbers
    are encoded as one block, because a table may have thousands of them."""
    columns = [batch.column(name) for name in names]
    for is_number, run in groupby(columns, key=lambda column: bool(pa.types.is_floating(column.type))):
        if is_number:
            yield partial(_block, [column.cast(pa.float64()).to_numpy(zero_copy_only=False) for column in run])
        else:
            yield from (partial(_some, column) for column in run)


def _block(columns: list[np.ndarray], start: int, step: int) -> list[Ragged]:
    return [_numbers(np.stack([column[start : start + step] for column in columns], axis=1))]


def _some(column: pa.Array, start: int, step: int) -> list[Ragged]:
    return _column(column.slice(start, step))


def _column(values: pa.Array) -> list[Ragged]:
    if pa.types.is_fixed_size_list(values.type):  # its values one after the other, as if each were a column
        flat, size = values.flatten(), values.type.list_size
        return [part for at in range(size) for part in _column(flat.take(pa.array(range(at, len(flat), size))))]
    if pa.types.is_integer(values.type):
        return [_whole(values)]
    if pa.types.is_floating(values.type):
        return [_numbers(values.cast(pa.float64()).to_numpy(zero_copy_only=False))]
    return _sized(values.cast(pa.large_binary()))


def _numbers(values: np.ndarray) -> Ragged:
    """values: doubles [rows] or [rows, columns], NaN where missing."""
    cells = np.empty((*values.shape, 9), np.uint8)
    cells[..., 0] = NUMBER
    plain = np.ascontiguousarray(values + 0.0, "<f8")  # adding 0.0 turns -0.0 into 0.0
    cells[..., 1:] = plain.view(np.uint8).reshape(*values.shape, 8)
    return _cut(cells, np.isnan(values))


def _whole(values: pa.Array) -> Ragged:
    beyond = pc.fill_null(pc.greater_equal(pc.abs(pc.cast(values, pa.float64(), safe=False)), float(EXACT)), False)
    if not pc.any(beyond).as_py():
        return _numbers(values.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    cells = [_one_whole(value) for value in values.to_pylist()]
    return Ragged(np.frombuffer(b"".join(cells), np.uint8), np.array([len(cell) for cell in cells]))


def _one_whole(value: int | None) -> bytes:
    if value is None:
        return bytes([MISSING])
    if abs(value) <= EXACT:
        return bytes([NUMBER]) + np.float64(value).astype("<f8").tobytes()
    text = str(value).encode()
    return bytes([SIZED]) + len(text).to_bytes(8, "little") + text


def _sized(values: pa.Array) -> list[Ragged]:
    """Tags and lengths, and behind them the bytes."""
    missing = values.is_null().to_numpy(zero_copy_only=False)
    whole = pc.fill_null(values, b"") if values.null_count else values  # nor what a missing value hides
    lengths = pc.binary_length(whole).to_numpy(zero_copy_only=False)
    heads = np.empty((len(values), 9), np.uint8)
    heads[:, 0] = SIZED
    heads[:, 1:] = lengths.astype("<u8", copy=False).view(np.uint8).reshape(-1, 8)
    return [_cut(heads, missing), Ragged(_content(whole), lengths, whole)]


def _content(values: pa.Array) -> np.ndarray:
    """The bytes [bytes] of large binary values without a missing one, one after the other."""
    offsets = np.frombuffer(values.buffers()[1], np.int64)[values.offset : values.offset + len(values) + 1]
    content = values.buffers()[2]
    flat = np.frombuffer(content, np.uint8) if content else np.empty(0, np.uint8)
    return flat[offsets[0] : offsets[-1]]


def _cut(cells: np.ndarray, missing: np.ndarray) -> Ragged:
    """cells: uint8 [rows, 9] or [rows, columns, 9]; a missing cell is only its tag."""
    if not missing.any():
        return Ragged(cells.reshape(-1), np.full(len(cells), cells[:1].size or 9))
    cells[missing, 0] = MISSING
    kept = np.ones(cells.shape, bool)
    kept[missing, 1:] = False
    lengths = np.where(missing, 1, 9)
    return Ragged(cells[kept], lengths.reshape(len(cells), -1).sum(axis=1))


def _beside(parts: list[Ragged]) -> Ragged:
    """Row by row, the bytes of all parts."""
    if all(len(part.lengths) and (part.lengths == part.lengths[0]).all() for part in parts):
        cells = [part.flat.reshape(len(part.lengths), -1) for part in parts]
        flat = np.concatenate(cells, axis=1).reshape(-1)
        return Ragged(flat, sum((part.lengths for part in parts), np.zeros(1, np.int64)))
    joined = pc.binary_join_element_wise(*map(_binary, parts), pa.scalar(b"", pa.large_binary()))
    return Ragged(_content(joined), sum((part.lengths for part in parts), np.zeros(1, np.int64)))


def _binary(part: Ragged) -> pa.Array:
    """The same rows as Arrow holds bytes."""
    if part.arrow is not None:
        return part.arrow
    offsets = np.zeros(len(part.lengths) + 1, np.int64)
    np.cumsum(part.lengths, out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(part.flat))]
    return pa.Array.from_buffers(pa.large_binary(), len(part.lengths), buffers)
