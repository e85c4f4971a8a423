"""Joined: the answered rows whose label is known.

The log is read once, in pieces; what has a label is put aside in a file without a name, and comes back in its order.
So memory does not grow with the log.
"""

import mmap
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows.labels import events, newest
from flows.labels.newest import ADDED
from flows.serving.log.reading import AnsweredRows
from pipelines.model_file import Declaration

ROWS = 8_192  # of a batch that comes out
ORDER = ("taken", "known", "at", "id")


def joined(
    project_state: Path,
    declared: Declaration,
    until: datetime | None = None,
    first: date | None = None,
    last: date | None = None,
    *,
    log: str = "answers",
) -> Iterator[pa.RecordBatch]:
    """The labelled answered rows that were known at `until` (None: now), each answer with its newest label.

    The columns of the log, then `label` (in the type of the target), `happened`, `known`, `corrections`, `asked` (the
    probability with which somebody asked for it, or null) and `taken` (when Ratchet got to know the label). In the
    order in which they got known: by `taken`, `known`, `at`, `id`. So a later look has the rows of an earlier one
    first, but for those that were corrected since. first, last: days of the answers. log: `answers`, or `shadow`.

    Every answer of an event gets its label. An answer that was given after `until` is left out. Asked again for a day
    that is over, the batches are the same, bit for bit, as long as the log keeps its answers.
    """
    labels = newest.labels(project_state, declared, until)
    end = min(last or date.max, until.astimezone(UTC).date() if until else date.max)
    with AnsweredRows(project_state / log, declared.model, first or date.min, end) as answered:
        rows = _matched(answered, labels, events.reader(declared), until)
        yield from _ordered(rows, answered.schema, labels.schema, project_state)


def matches(
    batches: Iterator[pa.RecordBatch], labels: pa.Table, reader: events.Reader
) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
    """Batches, and for each row the place of its label in `labels`, null for none. labels: in the order of `event`."""
    known = _bytes(labels["event"].combine_chunks())
    for batch in batches:
        wanted = _bytes(pc.fill_null(reader.answered(batch), ""))
        place = np.minimum(np.searchsorted(known, wanted), max(0, len(known) - 1))
        there = known[place] == wanted if len(known) else np.zeros(len(wanted), bool)
        yield batch, pa.array(place, pa.int64(), mask=~there)


def _bytes(column: pa.Array) -> np.ndarray:
    """Texts as bytes of one width [rows]."""
    width = pc.max(pc.binary_length(column)).as_py() or 1
    if pc.min(pc.binary_length(column)).as_py() == width:
        return np.asarray(column.cast(pa.binary(width)).to_numpy(zero_copy_only=False)).astype(f"S{width}")
    return np.array([text.encode() for text in column.to_pylist()], f"S{width}")


def _matched(
    answered: AnsweredRows, labels: pa.Table, reader: events.Reader, until: datetime | None
) -> Iterator[pa.RecordBatch]:
    """The rows that have a label, with it, as they lie in the log."""
    if not labels.num_rows:
        return
    for batch, place in matches(answered.batches(), labels, reader):
        there = pc.is_valid(place)
        if until is not None:
            there = pc.and_(there, pc.less_equal(batch["at"], pa.scalar(until, batch["at"].type)))
        found, chosen = batch.filter(there), labels.take(place.filter(there))
        for name in ADDED:
            found = found.append_column(name, chosen[name].combine_chunks())
        if found.num_rows:
            yield found


def _ordered(
    rows: Iterator[pa.RecordBatch], log: pa.Schema, labels: pa.Schema, state: Path
) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([*log, *(labels.field(name) for name in ADDED)])
    keys: list[pa.RecordBatch] = []
    with _aside(rows, schema, keys, state) as kept:
        if not keys:
            return
        order = pa.Table.from_batches(keys).sort_by([(name, "ascending") for name in ORDER])["place"].to_numpy()
        starts = np.cumsum([0, *(batch.num_rows for batch in kept)])
        for begin in range(0, len(order), ROWS):
            yield _gathered(kept, starts, order[begin : begin + ROWS])


@contextmanager
def _aside(
    rows: Iterator[pa.RecordBatch], schema: pa.Schema, keys: list[pa.RecordBatch], state: Path
) -> Iterator[list[pa.RecordBatch]]:
    """Rows in a file that nobody else can open, as batches that are read when they are used. keys: gets what they are
    ordered by, and their places."""
    with tempfile.TemporaryFile(dir=state) as file:
        with pa.ipc.new_file(pa.PythonFile(file, "w"), schema) as out:
            start = 0
            for batch in rows:
                for part in (batch.slice(place, ROWS) for place in range(0, batch.num_rows, ROWS)):
                    out.write_batch(part)
                place = pa.array(np.arange(start, start + batch.num_rows))
                keys.append(batch.select(ORDER).append_column("place", place))
                start += batch.num_rows
        file.flush()
        yield _batches(mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ))  # unmapped with the last batch of it


def _batches(content: mmap.mmap) -> list[pa.RecordBatch]:
    found = pa.ipc.open_file(pa.BufferReader(pa.py_buffer(content)))
    return [found.get_batch(number) for number in range(found.num_record_batches)]


def _gathered(kept: list[pa.RecordBatch], starts: np.ndarray, places: np.ndarray) -> pa.RecordBatch:
    """The rows at these places, in their order."""
    owner = np.searchsorted(starts, places, side="right") - 1
    by = np.argsort(owner, kind="stable")
    numbers, begins = np.unique(owner[by], return_index=True)
    parts = [
        kept[number].take(pa.array(places[chosen] - starts[number]))
        for number, chosen in zip(numbers, np.split(by, begins[1:]), strict=True)
    ]
    back = np.empty(len(by), np.int64)
    back[by] = np.arange(len(by))
    return pa.concat_batches(parts).take(pa.array(back))
