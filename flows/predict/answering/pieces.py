"""Rows as files have them, cut into pieces that one process reads and answers at a time.

A piece is a multiple of the batches that the model records, so that neither files nor row groups decide which rows are
computed together.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from flows.predict.unknown_words import Unknown
from pipelines import ingest
from pipelines.config.data import Data
from pipelines.ingest import Ingest

ROWS = 32_768  # of a piece, at most,
BYTES = 16 << 20  # and of its values in memory, where these are more than one batch


@dataclass(frozen=True)
class Part:
    """Rows of one file, as it has them. first: the number of the first one in that file."""

    where: str
    first: int
    content: pa.RecordBatch

    def slice(self, start: int, count: int) -> "Part":
        return Part(self.where, self.first + start, self.content.slice(start, count))

    def typed(self, data: Data, config: Ingest) -> Iterator[pa.RecordBatch]:
        """As `ingest` would write them. Raises DataError for the first value that does not fit."""
        return ingest.ingest([self.content], data, config.model_copy(update={"ignore": []}), self.where, self.first)

    def __reduce__(self) -> tuple[Callable[..., "Part"], tuple[Any, ...]]:
        """As an Arrow stream: plain pickle takes all the rows that a slice was cut from."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.content.schema) as stream:
            stream.write_batch(self.content)
        return _received, (self.where, self.first, sink.getvalue())


@dataclass(frozen=True)
class Piece:
    """parts: one after the other. before: rows of all pieces before."""

    parts: list[Part]
    before: int


def cut(parts: Iterable[Part], size: int) -> Iterator[Piece]:
    """The same rows in pieces of a multiple of `size` rows, but for the last one."""
    waiting: list[Part] = []
    there = most = before = 0
    for part in parts:
        start = 0
        while start < part.content.num_rows:
            most = most or _most(part.content, size)
            count = min(most - there, part.content.num_rows - start)
            waiting.append(part.slice(start, count))
            start, there = start + count, there + count
            if there == most:
                yield Piece(waiting, before)
                waiting, before, there, most = [], before + there, 0, 0
    if waiting:
        yield Piece(waiting, before)


def _most(rows: pa.RecordBatch, size: int) -> int:
    """Rows of a piece that begins with these."""
    fitting = min(ROWS, BYTES * rows.num_rows // max(1, rows.nbytes))
    return max(1, fitting // size) * size


@dataclass(frozen=True)
class Reading:
    """How rows are read. known: of each category, the words of its training rows. strict: refuses others."""

    data: Data
    config: Ingest
    known: dict[str, pa.Array]
    strict: bool = False

    def read(self, piece: Piece) -> tuple[pa.Table, Unknown]:
        """The rows as `ingest` would write them, and their unknown words. Raises DataError for a value that does not
        fit, and for an unknown word where that is asked for."""
        unknown = Unknown(self.data, self.known, self.strict, piece.before)
        parts = _joined(piece.parts)
        found = [unknown.look(batch) for part in parts for batch in part.typed(self.data, self.config)]
        return pa.Table.from_batches(found), unknown


def _joined(parts: list[Part]) -> Iterator[Part]:
    """The same rows in fewer parts: each column of each part costs a fixed time."""
    groups: list[list[Part]] = []
    for part in parts:
        if groups and _continues(groups[-1][-1], part):
            groups[-1].append(part)
        else:
            groups.append([part])
    for group in groups:
        yield Part(group[0].where, group[0].first, pa.concat_batches([part.content for part in group]))


def _continues(part: Part, following: Part) -> bool:
    """Whether a part is the next one of the same file. Files of one name may lie in several folders."""
    same = part.where == following.where and part.first + part.content.num_rows == following.first
    columns = following.content.schema
    coded = any(pa.types.is_dictionary(column.type) for column in columns)  # not every two dictionaries can be joined
    return same and part.content.schema == columns and not coded


def _received(where: str, first: int, content: pa.Buffer) -> Part:
    return Part(where, first, pa.ipc.open_stream(content).read_all().combine_chunks().to_batches()[0])
