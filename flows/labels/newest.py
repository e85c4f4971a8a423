"""Newest: of each event the label that counts, as it was known at an instant."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows.labels import store
from pipelines.model_file import Declaration

FOREVER = np.iinfo(np.int64).max
ADDED = ("label", "happened", "known", "corrections", "asked", "taken")


def labels(state: Path, declared: Declaration, until: datetime | None = None) -> pa.Table:
    """event, label, happened, known, corrections, asked, taken: a row for each event that has a label that counts, in
    the order of `event`.

    A correction is a label known later that says something else; one that says the same again changes nothing. `asked`
    is null if anybody gave this label without being asked; then `taken` is when that was taken. The result does not
    depend on the order in which labels came. Raises IntegrityError for a damaged file.
    """
    parts = store.parts(state, declared.model, until)
    valid = store.read(declared, parts, counted=True)
    found = _newest(valid.sort_by([(name, "ascending") for name in ("event", "known", "taken", "happened", "label")]))
    del valid
    pa.default_memory_pool().release_unused()  # of a million labels it would keep half a gigabyte
    return found


def _newest(rows: pa.Table) -> pa.Table:
    """rows: by event, then by the instant when each was known."""
    count = rows.num_rows
    if not count:
        return _table(rows, np.zeros(0, np.int64), np.zeros(0, np.int64), rows["asked"], rows["taken"])
    event, place = _changes(rows["event"]), np.arange(count)
    other = event | _changes(rows["label"])
    starts = np.flatnonzero(event)
    ends = np.append(starts[1:], count) - 1
    first = np.maximum.accumulate(np.where(other, place, 0))[ends]  # of the rows that say what the last one says
    said = np.cumsum(other)
    unasked = np.cumsum(pc.is_null(rows["asked"]).to_numpy())
    free = unasked[ends] - np.where(first > 0, unasked[first - 1], 0) > 0
    asked = pc.if_else(pa.array(free), pa.scalar(None, pa.float64()), rows["asked"].combine_chunks().take(first))
    instants = rows["taken"].cast(pa.int64()).to_numpy()
    asking = pc.is_valid(rows["asked"]).to_numpy() & np.repeat(free, ends - starts + 1)
    instants = np.append(np.where(asking, FOREVER, instants), FOREVER)
    taken = np.minimum.reduceat(instants, np.column_stack([first, ends + 1]).ravel())[::2]
    return _table(rows, first, said[ends] - said[starts], asked, pa.array(taken).cast(rows["taken"].type))


def _table(rows: pa.Table, first: np.ndarray, corrections: np.ndarray, asked: pa.Array, taken: pa.Array) -> pa.Table:
    chosen = rows.take(pa.array(first, pa.int64()))
    columns = {name: chosen[name] for name in ("event", "label", "happened", "known")}
    table = pa.table({**columns, "corrections": pa.array(corrections, pa.int64()), "asked": asked})
    return table.append_column("taken", taken).combine_chunks()


def _changes(column: pa.ChunkedArray) -> np.ndarray:
    """Whether each value differs from the one before [rows]; the first one does."""
    whole = column.combine_chunks()
    same = pc.equal(whole.slice(1), whole.slice(0, len(whole) - 1))
    return np.concatenate([[True], ~np.asarray(same.to_numpy(zero_copy_only=False), bool)])
