"""Reads the log of a model: the rows that were answered between two days, closed ones and open ones."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from flows.serving.log import columns, layout
from flows.serving.log.closing import look, until
from flows.serving.log.layout import Part

BLOCK = 65_536  # bytes


@dataclass
class Lines:
    """A part that is not closed. Its rows are those that were there when it was opened."""

    file: BinaryIO
    size: int

    def batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        self.file.seek(0)
        yield from columns.batches(until(self.file, self.size), schema)


@dataclass
class Closed:
    """A part that is Parquet."""

    file: pq.ParquetFile

    def batches(self, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        for batch in self.file.iter_batches(columns.MOST_ROWS):
            yield columns.fitted(batch, schema)


@dataclass
class AnsweredRows:
    """The answered rows of a model, read within `with`.

    schema: `id`, `at`, `version`, `model_hash`, `prediction`, `probability_<class>`, `unknown`, further fields of
    answers, and `row`: a struct with the raw columns. torn: lines that a power failure left unreadable. gaps: each with
    `from`, `to`, `rows` and `why`: rows that were answered while the log had stopped.
    """

    answers: Path
    model: str
    first: date
    last: date
    schema: pa.Schema = field(init=False)
    torn: int = 0
    gaps: list[dict[str, Any]] = field(default_factory=list)

    def __enter__(self) -> "AnsweredRows":
        self._stack, self._parts = ExitStack(), list[Lines | Closed]()
        shape = columns.Shape()
        with self._stack:
            for part in self._found():
                self._open(part, shape)
            self.schema = shape.schema()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, by day, worker and instant. Each batch has the same schema and at most 8,192 rows."""
        for part in self._parts:
            yield from part.batches(self.schema)

    def _found(self) -> list[Part]:
        """Open ones are listed first: one that is closed meanwhile is in both lists, and counts once."""
        folder = self.answers / self.model
        lines = layout.open_parts(folder)
        return sorted(part for part in {*lines, *layout.closed_parts(folder)} if self.first <= part.day <= self.last)

    def _open(self, part: Part, shape: columns.Shape) -> None:
        """Lines may be closed meanwhile. A part that is deleted meanwhile is passed over."""
        take = {part.closed: self._take_closed, part.lines: self._take_lines}
        for path in (part.closed, part.lines, part.closed):
            try:
                file = self._stack.enter_context(path.open("rb"))
            except FileNotFoundError:
                continue
            take[path](file, shape)
            return

    def _take_closed(self, file: BinaryIO, shape: columns.Shape) -> None:
        parquet = pq.ParquetFile(file)
        about = {key.decode(): value.decode() for key, value in (parquet.metadata.metadata or {}).items()}
        shape.join(parquet.schema_arrow)
        self._parts.append(Closed(parquet))
        self._tell(about)

    def _take_lines(self, file: BinaryIO, shape: columns.Shape) -> None:
        size = whole(file)
        about = look(file, shape, size)
        self._parts.append(Lines(file, size))
        self._tell(about)

    def _tell(self, about: dict[str, str]) -> None:
        self.torn += int(about.get("torn", 0))
        self.gaps += json.loads(about.get("gaps", "[]"))


def whole(file: BinaryIO) -> int:
    """The bytes up to the end of the last whole line: the one after it may be written at this moment."""
    size = file.seek(0, os.SEEK_END)
    while size:
        start = max(0, size - BLOCK)
        file.seek(start)
        if (last := file.read(size - start).rfind(b"\n")) >= 0:
            return start + last + 1
        size = start
    return 0
