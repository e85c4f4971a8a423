"""The log of the answers, the answers that nobody saw (shadow), and the labels that came later."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock

from flows.forget import reading
from flows.forget.removal import Removal, shown
from flows.forget.source_rows import Held
from flows.forget.wanted import Wanted
from flows.project.environment import Project
from flows.serving.log import closing, columns, layout
from flows.serving.log.layout import Part
from pipelines.errors import BusyError
from pipelines.model_file import Declaration

LOGS = ("answers", "shadow")
PATIENCE = 40.0  # seconds for a server to end the file that it writes
Which = Callable[[pa.RecordBatch], np.ndarray]  # of answered rows


def look(project: Project, declared: Declaration, wanted: Wanted, held: Held) -> list[Removal]:
    """What goes: labels first, since they are found by the answers."""
    which, ids = _by_row(declared, wanted, held), set[str]()
    folders = [project.state / log / declared.model for log in LOGS]
    parts = {part: count for part in _parts(folders[0]) if (count := _noted(part, which, ids))}
    known = _or_by_id(which, ids)
    labels = project.state / "labels" / declared.model
    found = [
        Removal("labels", shown(project, path), count, partial(_without_labels, path, ids | held.events))
        for path in _labels(labels)
        if (count := _count_labels(path, ids | held.events))
    ]
    unseen = {part: count for part in _parts(folders[1]) if (count := _noted(part, known, set()))}
    for place, counted in (("shadow answers", unseen), ("answers", parts)):
        if counted:
            folder = next(iter(counted)).folder
            rows = sum(counted.values())
            found.append(Removal(place, shown(project, folder), rows, partial(_rewrite, folder, known)))
    return found


def _by_row(declared: Declaration, wanted: Wanted, held: Held) -> Which:
    """By the key, if the log has it; or by all columns, if nobody else's row has the same."""
    identity = reading.of(declared, held.columns) if held.asked else None

    def which(batch: pa.RecordBatch) -> np.ndarray:
        place = batch.schema.get_field_index("row")
        if place < 0:
            return np.zeros(batch.num_rows, bool)
        rows = pa.RecordBatch.from_struct_array(batch.column(place))
        mask = wanted.mask(rows)
        if identity:
            mask |= np.array([one in held.asked for one in identity.identities(rows)], bool)
        return mask

    return which


def _or_by_id(which: Which, ids: set[str]) -> Which:
    return lambda batch: which(batch) | np.array([one in ids for one in batch["id"].to_pylist()], bool)


def _parts(folder: Path) -> list[Part]:
    """All parts of a log; one that is lines and Parquet counts once."""
    return sorted({*layout.open_parts(folder), *layout.closed_parts(folder)})


def _noted(part: Part, which: Which, ids: set[str]) -> int:
    """How many rows of a part go; their ids are added to `ids`."""
    count = 0
    for batch in _batches(part):
        mask = which(batch)
        count += int(mask.sum())
        ids |= set(batch["id"].filter(pa.array(mask)).to_pylist())
    return count


def _batches(part: Part) -> Iterator[pa.RecordBatch]:
    if part.closed.exists():
        yield from pq.ParquetFile(part.closed).iter_batches()
        return
    with part.lines.open("rb") as lines:
        shape = columns.Shape()
        closing.look(lines, shape)
        lines.seek(0)
        yield from columns.batches(lines, shape.schema())


# ------------------------------------------------------------------ taking out


def _rewrite(folder: Path, which: Which) -> None:
    """Every part of a log without these rows, those too that were closed or written since."""
    for part in layout.open_parts(folder):
        if not layout.finished(part) and _noted(part, which, set()):
            _turned(folder, part)
    with _closing(folder.parent):
        for part in _parts(folder):
            if (part.closed.exists() or layout.finished(part)) and _noted(part, which, set()):
                _without(part, which)


def _turned(folder: Path, part: Part) -> None:
    """Ask the server that writes a part to go on in another file. Raises BusyError if it does not."""
    (folder / layout.OPEN / layout.TURN).touch(0o600)
    until = time.monotonic() + PATIENCE
    while not layout.finished(part) and part.lines.exists():
        if time.monotonic() > until:
            raise BusyError(
                f"A server still writes {part.lines}, which has rows that are to be forgotten.",
                "Stop it with `ratchet down`, or end `ratchet serve`; then forget again.",
            )
        time.sleep(0.2)


@contextmanager
def _closing(log: Path) -> Iterator[None]:
    """Nobody closes parts meanwhile (flows/serving/log/closing.py)."""
    descriptor = os.open(log / "closing.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _without(part: Part, which: Which) -> None:
    path = part.closed if part.closed.exists() else part.lines
    partial = path.with_suffix(".partial")
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            _fill(part, which, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        if path == part.closed:
            part.lines.unlink(missing_ok=True)
    finally:
        partial.unlink(missing_ok=True)


def _fill(part: Part, which: Which, file: object) -> None:
    if part.closed.exists():
        closed = pq.ParquetFile(part.closed)
        with pq.ParquetWriter(file, closed.schema_arrow, compression="zstd") as writer:
            for batch in closed.iter_batches():
                writer.write_batch(batch.filter(pa.array(~which(batch))))
        return
    gone = {one for batch in _batches(part) for one in batch["id"].filter(pa.array(which(batch))).to_pylist()}
    with part.lines.open("rb") as lines:
        for line in lines:
            found = columns.record(line)
            if found is not None and found.get("id") not in gone:  # a torn line may hold anything
                file.write(orjson.dumps(found, option=orjson.OPT_APPEND_NEWLINE))  # type: ignore[attr-defined]


# ------------------------------------------------------------------ labels


def _labels(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.parquet") if not path.name.startswith("."))


def _going(path: Path, events: set[str]) -> tuple[pa.Table, np.ndarray]:
    table = pq.read_table(path)
    return table, np.array([event in events for event in table["event"].to_pylist()], bool)


def _count_labels(path: Path, events: set[str]) -> int:
    return int(_going(path, events)[1].sum())


def _without_labels(path: Path, events: set[str]) -> None:
    """Rewrite a file of labels; one without any other label is deleted."""
    partial = path.with_name(f".{path.name}.partial")
    with FileLock(path.parent / ".lock", mode=0o600):
        table, mask = _going(path, events)
        if mask.all():
            path.unlink()
            return
        try:
            with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                pq.write_table(table.filter(pa.array(~mask)), file, compression="zstd")
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
