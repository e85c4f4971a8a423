"""The store of labels: a folder that only grows.

    <state>/labels/<model>/<taken>-<hash>.parquet

Each file is what was taken at one instant, and never changes. `taken` is when Ratchet took it, `known` what the file
said of a label: what was known at an instant is what was taken until then. The hash is of the rows as they were given,
so the same rows are taken once.
"""

import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock

from flows.labels import events, known_classes, verdicts
from pipelines.errors import IntegrityError
from pipelines.model_file import Declaration
from pipelines.table import rows as raw_rows

FOLDER, FORMAT = "labels", "1"
NAME = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)-([0-9a-f]{16})\.parquet", re.ASCII)
STAMP = "%Y%m%dT%H%M%S.%fZ"
INSTANT = pa.timestamp("us", "UTC")
MOST_EXAMPLES = 3
GIVEN = ("event", "label", "happened", "known", "asked")
ORDER = [("known", "ascending"), ("event", "ascending"), ("label", "ascending"), ("happened", "ascending")]


@dataclass(frozen=True, order=True)
class Part:
    """What was taken at one instant."""

    taken: datetime
    given: str
    path: Path = field(compare=False)


@dataclass(frozen=True)
class Taken:
    """What came of some labels: `at`, None if nothing was new; `rows` in all; `new` labels that count; `aside`, how
    many do not, by the reason; `again`: when the same rows were taken before; `examples`: numbers of rows that do not
    count, by the reason; `events` of those that count."""

    at: datetime | None
    rows: int
    new: int
    aside: dict[str, int]
    again: datetime | None = None
    examples: dict[str, list[int]] = field(default_factory=dict)
    events: pa.Array = field(default_factory=lambda: pa.array([], pa.string()), repr=False)


def folder(state: Path, model: str) -> Path:
    return state / FOLDER / model


def schema(declared: Declaration) -> pa.Schema:
    """event, label, happened, known, asked (NaN is no value of it), aside: why a row does not count, or ""."""
    label = raw_rows.target_type(declared.data)
    return pa.schema(
        [
            ("event", pa.string()),
            ("label", label),
            ("happened", INSTANT),
            ("known", INSTANT),
            ("asked", pa.float64()),
            ("aside", pa.string()),
        ]
    )


def add(
    state: Path,
    declared: Declaration,
    rows: pa.Table,
    *,
    taken: datetime,
    asked: float | None = None,
    where: str = "the labels",
    dry: bool = False,
) -> Taken:
    """Take labels: all rows or none. The same rows again change nothing.

    rows: `id`, or the columns of `labels: key:`, and `label`; if there are any, `happened` and `known` (timestamps with
    a zone) and `asked` (probabilities). A label without `known` is known when it is taken, one without `happened`
    happened when it was known. asked: the probability with which all of them were asked for. where: the file, for
    messages. dry: nothing is written. Raises DataError for a row that cannot be read; then none is taken.
    """
    given = _given(rows, events.reader(declared).labelled(rows, where), asked)
    digest = _hash(given)[:16]
    with _alone(state, declared.model, dry):
        before = list(_listed(state, declared.model))
        same = [part for part in before if part.given == digest]
        at = max([taken.astimezone(UTC), *(part.taken + timedelta(microseconds=1) for part in before)])
        found = _judged(state, declared, given, at)
        if same:
            found = found.filter(_again(declared, found, same))
        chosen = found.filter(pc.equal(found["aside"], ""))["event"].combine_chunks()
        told, places = aside(found), _examples(found)
        if len(found) and not dry:
            _write(folder(state, declared.model) / f"{at.strftime(STAMP)}-{digest}.parquet", found, declared)
    again = same[-1].taken if same else None
    return Taken(at if len(found) else None, rows.num_rows, len(chosen), told, again, places, chosen)


def parts(state: Path, model: str, until: datetime | None = None) -> list[Part]:
    """What was taken until an instant, the oldest first. What is being taken at this moment is waited for."""
    if not folder(state, model).is_dir():
        return []
    with _alone(state, model):
        return [part for part in _listed(state, model) if until is None or part.taken <= until]


def read(declared: Declaration, found: list[Part], counted: bool = False) -> pa.Table:
    """The rows of some parts, and `taken`. Parts of another key than today's have none here: they name other events.
    counted: only the labels that count, without `aside`.

    Raises IntegrityError for a file that is none of this store.
    """
    kinds = schema(declared).append(pa.field("taken", INSTANT))
    tables = [kinds.empty_table(), *(_rows(part, declared, kinds, counted) for part in found)]
    whole = pa.concat_tables(tables)
    return (whole.drop("aside") if counted else whole).combine_chunks()


def _rows(part: Part, declared: Declaration, kinds: pa.Schema, counted: bool) -> pa.Table:
    try:
        found = pq.read_table(part.path)
        if json.loads((found.schema.metadata or {})[b"key"]) != declared.labels.key:
            return kinds.empty_table()
        if counted:
            found = found.filter(pc.equal(found["aside"], ""))
        taken = pa.repeat(pa.scalar(part.taken, INSTANT), found.num_rows)
        return found.append_column("taken", taken).select(kinds.names).cast(kinds)
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise IntegrityError(
            f"{part.path} cannot be read as labels of {declared.model}: {type(error).__name__} {error}.",
            "Restore it from a backup, or move it away: then its labels are not known any more.",
        ) from error


def aside(found: pa.Table) -> dict[str, int]:
    """How many rows do not count, by the reason."""
    tally = {str(one["values"]): int(one["counts"]) for one in pc.value_counts(found["aside"]).to_pylist()}
    return {why: tally[why] for why in verdicts.REASONS if why in tally}


def _examples(found: pa.Table) -> dict[str, list[int]]:
    """Numbers of rows that do not count, the first few of each reason."""
    return {
        why: sorted(found.filter(pc.equal(found["aside"], why))["row"].to_pylist())[:MOST_EXAMPLES]
        for why in aside(found)
    }


def _given(rows: pa.Table, read: pa.Table, asked: float | None) -> pa.Table:
    """The rows as they came, in one order and form."""
    empty = pa.nulls(rows.num_rows)
    columns = {name: rows[name] if name in rows.column_names else empty for name in ("happened", "known")}
    chance = rows["asked"] if "asked" in rows.column_names else pa.array([asked] * rows.num_rows, pa.float64())
    table = pa.table(
        {
            "event": read["event"],
            "label": read["label"],
            **{name: column.cast(INSTANT) for name, column in columns.items()},
            "asked": chance.cast(pa.float64()),
            "row": pa.array(range(1, rows.num_rows + 1), pa.int64()),
        }
    )
    return table.combine_chunks().sort_by([*ORDER, ("asked", "ascending")])


def _judged(state: Path, declared: Declaration, given: pa.Table, at: datetime) -> pa.Table:
    """The rows with both instants and `aside`."""
    now = pa.scalar(at, INSTANT)
    known = pc.fill_null(given["known"], now)
    happened = pc.coalesce(given["happened"], known)
    whole = given.set_column(2, "happened", happened).set_column(3, "known", known)
    kept = read(declared, list(_listed(state, declared.model)), counted=True)
    classes = known_classes.of(state, declared)
    aside = verdicts.of(whole, kept, at, classes)
    return whole.append_column("aside", pa.array(aside, pa.string())).sort_by(ORDER)


def _again(declared: Declaration, found: pa.Table, same: list[Part]) -> pa.ChunkedArray:
    """Of rows that were taken before: those that count now and did not then, as the class of a label became known."""
    then = read(declared, same)
    waiting = then.filter(pc.equal(then["aside"], verdicts.UNKNOWN))
    counted = then.filter(pc.equal(then["aside"], ""))
    inside = pc.is_in(found["event"], value_set=waiting["event"].combine_chunks())
    done = pc.is_in(found["event"], value_set=counted["event"].combine_chunks())
    return pc.and_(pc.and_(inside, pc.invert(done)), pc.equal(found["aside"], ""))


def _hash(given: pa.Table) -> str:
    """SHA-256 of the rows, whatever their order in the file and the version of a library."""
    digest = hashlib.sha256()
    for row in zip(*(given[name].cast(pa.string()).to_pylist() for name in GIVEN), strict=True):
        digest.update(json.dumps(row, ensure_ascii=False).encode(errors="surrogatepass") + b"\n")
    return digest.hexdigest()


def _listed(state: Path, model: str) -> Iterator[Part]:
    there = folder(state, model)
    for path in sorted(there.iterdir()) if there.is_dir() else []:
        if name := NAME.fullmatch(path.name):
            yield Part(datetime.strptime(name[1], STAMP).replace(tzinfo=UTC), name[2], path)


def _write(path: Path, found: pa.Table, declared: Declaration) -> None:
    """Write a part. It is on the disk before it gets its name. The caller is the only one who writes here."""
    for left in path.parent.glob(".*.partial"):  # of a process that was killed
        left.unlink(missing_ok=True)
    about = {"format": FORMAT, "model": declared.model, "key": json.dumps(declared.labels.key)}
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            pq.write_table(found.drop("row").replace_schema_metadata(about), file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _alone(state: Path, model: str, dry: bool = False) -> Iterator[None]:
    """One process at a time takes labels, and nobody lists them meanwhile."""
    there = folder(state, model)
    if dry and not there.is_dir():
        yield
        return
    there.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(there / ".lock", mode=0o600):
        yield
