"""Feed: the rows of a split as a network takes them, all at once or a window of them at a time.

A split whose features take up to HELD_BYTES is computed once and held. A larger one is read anew in every epoch, in
small windows, so that memory does not grow with the rows. Which of the two it is depends on the split alone, never on
the machine. Held rows are shuffled as a whole; of a larger split the row groups, each of which has rows from all over
the table (ordered.py), come in a new order in every epoch and the rows are shuffled within a window.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from pipelines.config.data import Data
from pipelines.model import predictor
from pipelines.table import row_groups

HELD_BYTES = 256 << 20  # of the features of a split, at most, that is held as a whole;
FEW_ROWS = 10_000  # or twice as many of one that has no more rows, whose many columns take long to read anew
WINDOW_BYTES = 16 << 20  # of features in one window, or else one row group
PIECE_ROWS, PIECE_BYTES = 16_384, 4 << 20  # the most that is turned into features at once
ALIGNED = 64  # bytes; memory that begins at a multiple of them TensorFlow takes as it is

Arrays = dict[str, np.ndarray]  # of the raw features, as predictor.to_arrays gives them
Piece = tuple[Arrays, np.ndarray]  # and the target as it is declared [rows]
Columns = tuple[Any, ...]  # features [rows, ...], target as it is trained [rows, ...], maybe a weight [rows]
Prepare = Callable[[Arrays, np.ndarray], Columns]


@dataclass(frozen=True)
class Window:
    """Rows at hand, and the order in which they are taken; the arrays may hold rows that are not in it."""

    columns: Columns
    order: np.ndarray  # int32 [rows]


@dataclass(frozen=True)
class Split:
    """A split file of a model."""

    path: Path
    data: Data

    @property
    def rows(self) -> int:
        return row_groups.rows(self.path)

    def pieces(self, groups: Iterable[int] | None = None) -> Iterator[Piece]:
        """The raw features and the target, a few rows at a time; groups: which row groups, and in which order."""
        for batch in row_groups.batches(self.path, [*self.data.features, self.data.target], groups):
            size = max(1, min(PIECE_ROWS, PIECE_BYTES * batch.num_rows // max(1, batch.nbytes)))
            at_once = size * max(1, PIECE_ROWS // size)  # of thousands of columns a piece is too few rows to convert
            for start in range(0, batch.num_rows, at_once):
                yield from _cut(*self._piece(batch.slice(start, at_once)), size)

    def _piece(self, batch: pa.RecordBatch) -> Piece:
        frame = batch.to_pandas()
        return predictor.to_arrays(frame, described(self.data)), frame[self.data.target].to_numpy()


def _cut(arrays: Arrays, target: np.ndarray, size: int) -> Iterator[Piece]:
    for start in range(0, len(target), size):
        rows = slice(start, start + size)
        yield {name: values[rows] for name, values in arrays.items()}, target[rows]


def described(data: Data) -> dict[str, Any]:
    """What predictor.to_arrays has to know of the rows."""
    about: dict[str, Any] = {"kind": data.kind, "shape": data.shape}
    if data.kind == "sequence":
        past = {"window": data.window, "numbers": data.past_numbers, "categories": data.past_categories}
        return about | {"numbers": list(data.lags), "categories": data.fixed, "dates": data.dates, "past": past}
    about |= {"numbers": data.numbers, "categories": data.categories}
    return about | ({"dates": data.dates} if data.dates else {})


class Feed(Protocol):
    """The rows of a split, window after window."""

    windows: int  # in every epoch

    def shaped(self) -> Columns:
        """Arrays of the shapes and types that those of every window have."""

    def epoch(self, number: int) -> Iterator[Window]:
        """number: from 0. The order of the rows is a function of the seed and this number alone."""


def feed(split: Split, prepare: Prepare, batch_size: int, seed: int | None) -> Feed:
    """The rows of a split, epoch after epoch; seed: None for the order of the file."""
    first = tuple(map(np.asarray, prepare(*next(split.pieces()))))
    row = sum(column[:1].nbytes for column in first)
    if split.rows * row > HELD_BYTES * (2 if split.rows <= FEW_ROWS else 1):
        return Streamed(split, prepare, batch_size, seed, first)
    _, columns = _filled((prepare(*piece) for piece in split.pieces()), first, split.rows)
    return Held(tuple(map(_tensor, columns)), seed)


def _filled(parts: Iterable[Columns], like: Columns, room: int) -> tuple[int, Columns]:
    """How many rows these are, and all of them in columns of so many, zeros behind them. like: some rows."""
    columns = tuple(_zeros((room, *column.shape[1:]), column.dtype) for column in like)
    rows = 0
    for part in parts:
        here = slice(rows, rows + len(part[0]))
        for column, values in zip(columns, part, strict=True):
            column[here] = values
        rows = here.stop
    return rows, columns


def _zeros(shape: tuple[int, ...], kind: np.dtype) -> np.ndarray:
    """Zeros where `_tensor` can take them. They take memory as they are written to."""
    size = math.prod(shape) * kind.itemsize
    memory = np.zeros(size + ALIGNED, np.uint8)
    start = -memory.ctypes.data % ALIGNED
    return memory[start : start + size].view(kind).reshape(shape)


def _tensor(column: np.ndarray) -> Any:
    """A column of `_zeros` as a tensor on the device, which on a CPU is the same memory: else it would be copied twice.

    It may not be written to any more.
    """
    import tensorflow as tf

    return tf.reshape(tf.experimental.dlpack.from_dlpack(column.__dlpack__()), column.shape)


class Held:
    """All rows in one window."""

    windows = 1

    def __init__(self, columns: Columns, seed: int | None):
        self._columns, self._seed = columns, seed

    def shaped(self) -> Columns:
        return self._columns

    def epoch(self, number: int) -> Iterator[Window]:
        rows = len(self._columns[0])
        order = np.arange(rows)
        if self._seed is not None:
            order = np.random.default_rng([self._seed, number]).permutation(rows)
        yield Window(self._columns, order.astype(np.int32))


class Streamed:
    """A window at a time, the next one read while this one is worked on. All but the last hold whole batches."""

    def __init__(self, split: Split, prepare: Prepare, batch_size: int, seed: int | None, like: Columns):
        """like: some rows of the columns, as arrays."""
        self._split, self._prepare, self._batch_size, self._seed = split, prepare, batch_size, seed
        self._like = tuple(column[:1] for column in like)
        self._sizes = row_groups.group_rows(split.path)
        row = sum(column.nbytes for column in self._like)
        self._groups = max(1, WINDOW_BYTES // (row * max(self._sizes)))  # in one window
        self._room = self._groups * max(self._sizes) + batch_size  # all windows have one shape: a program is for one
        self.windows = -(-len(self._sizes) // self._groups)

    def shaped(self) -> Columns:
        return tuple(map(_tensor, _filled([], self._like, self._room)[1]))

    def epoch(self, number: int) -> Iterator[Window]:
        random = None if self._seed is None else np.random.default_rng([self._seed, number])
        groups = range(len(self._sizes)) if random is None else random.permutation(len(self._sizes))
        parts = [groups[start : start + self._groups] for start in range(0, len(groups), self._groups)]
        with ThreadPoolExecutor(1, "feed") as pool:
            nothing = tuple(column[:0] for column in self._like)
            waiting = pool.submit(self._read, parts[0], nothing)
            for index in range(len(parts)):
                rows, columns = waiting.result()
                order = np.arange(rows) if random is None else random.permutation(rows)
                last = index + 1 == len(parts)
                whole = rows if last else rows // self._batch_size * self._batch_size
                if not last:
                    rest = tuple(column[order[whole:]] for column in columns)
                    waiting = pool.submit(self._read, parts[index + 1], rest)
                yield Window(tuple(map(_tensor, columns)), order[:whole].astype(np.int32))

    def _read(self, groups: Iterable[int], rest: Columns) -> tuple[int, Columns]:
        """The rows that were left over, and those of some row groups."""
        parts = (self._prepare(*piece) for piece in self._split.pieces(groups))
        return _filled(chain([rest], parts), self._like, self._room)
