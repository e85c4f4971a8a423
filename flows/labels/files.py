"""Label files: CSV, Parquet or JSON lines with the columns that name an event, and `label`.

Optional are `happened` and `known`, instants with a zone, and `asked`: the probability with which the label was asked
for. Other columns are passed over. A file is read whole, or not at all.
"""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from flows.data.arrivals import scan
from flows.labels import events
from pipelines.errors import DataError, RequestError
from pipelines.model_file import Declaration
from pipelines.readers import sources
from pipelines.readers.layout import Layout
from pipelines.readers.meaning import value_columns, values
from pipelines.table import rows

INSTANTS = ("happened", "known")
SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
NO_ROWS = "Name a file that has some."
ZONED = (
    "Write each instant with its zone, such as 2026-12-01T08:00:00+01:00, or say it for the file: `--timezone "
    "Europe/Berlin`. No label was taken."
)


@dataclass(frozen=True)
class LabelFile:
    """rows: for store.add. ignored: columns that mean nothing here."""

    rows: pa.Table
    ignored: list[str]


def found(path: Path) -> list[Path]:
    """The label files of a path: itself, or those of a folder, by their names. Raises RequestError if there is none."""
    if not path.exists():
        raise RequestError(f"There is no file {path}.", "Give the path of a file with labels, or of a folder of them.")
    there = scan.listed(path, [path]) if path.is_dir() else [path]
    chosen = [one for one in there if one.name.lower().endswith(SUFFIXES)]
    if not chosen:
        raise RequestError(f"{path} holds no labels that can be read.", f"Labels are files {', '.join(SUFFIXES)}.")
    return chosen


def read(path: Path, declared: Declaration, zone: str = "") -> LabelFile:
    """Read a label file. zone: of instants without one.

    Raises DataError for a file that cannot be read, for a column that is missing, and for an instant without a zone.
    """
    needed = events.reader(declared).columns
    whole = _whole(path, declared, needed)
    target = declared.data.target
    if events.LABEL not in whole.column_names and target in whole.column_names and target not in needed:
        whole = whole.rename_columns([events.LABEL if name == target else name for name in whole.column_names])
    _check(path, whole.column_names, needed)
    if not whole.num_rows:
        raise DataError(f"{path} holds no labels.", NO_ROWS)
    known = [*needed, events.LABEL, *(name for name in (*INSTANTS, "asked") if name in whole.column_names)]
    chosen = {name: whole[name] for name in known}
    chosen |= {name: _instants(whole[name], name, path, zone) for name in INSTANTS if name in chosen}
    if "asked" in chosen:
        chosen["asked"] = _chances(whole["asked"], path)
    return LabelFile(pa.table(chosen), [name for name in whole.column_names if name not in known])


def zone_of(name: str) -> str:
    """The name, if it is one of a time zone. Raises RequestError."""
    try:
        return ZoneInfo(name).key if name else ""
    except (KeyError, OSError, ValueError) as error:
        raise RequestError(f"{name!r} is no time zone.", "Write one such as UTC or Europe/Berlin.") from error


def _whole(path: Path, declared: Declaration, needed: Sequence[str]) -> pa.Table:
    """The file as the model's source is written, or with commas, whichever has the needed columns."""
    ingest = declared.ingest
    batches = list(sources.read(path, ingest.delimiter, ingest.encoding, layout=ingest))
    if not batches:
        raise DataError(f"{path} holds no labels.", NO_ROWS)
    first = pa.Table.from_batches(batches)
    reader = sources.reader_of(path)
    if reader is None or not reader.text or set(needed) <= set(first.column_names):
        return first
    second = pa.Table.from_batches(list(sources.read(path, ",", "utf-8", layout=Layout())))
    return second if set(needed) <= set(second.column_names) else first


def _check(path: Path, there: Sequence[str], needed: Sequence[str]) -> None:
    rows.check_once(list(there))
    for name in (*needed, events.LABEL):
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(map(repr, there[:10]))}"
            wanted = ", ".join(map(repr, (*needed, events.LABEL)))
            raise DataError(f"{path} has no column {name!r} ({hint}).", f"A label file needs the columns {wanted}.")


def _instants(column: pa.ChunkedArray, name: str, path: Path, zone: str) -> pa.Array:
    """Timestamps in UTC. A cell may be empty."""
    rules = values.Rules(values.READER, tuple(rows.MISSING), timezone=zone)
    schema = pa.schema([(name, pa.string())])
    batch = pa.RecordBatch.from_arrays([column.combine_chunks()], [name])
    try:
        texts = value_columns.typed(batch, schema, {name: "date"}, rules, 1).column(0)
    except DataError as error:
        raise DataError(f"{path}: {error.what}", ZONED) from error
    return texts.cast(pa.timestamp("us", "UTC"))


def _chances(column: pa.ChunkedArray, path: Path) -> pa.Array:
    """Probabilities; null where nobody asked."""
    schema = pa.schema([("asked", pa.float64())])
    batch = pa.RecordBatch.from_arrays([column.combine_chunks()], ["asked"])
    try:
        found = rows.typed(batch, schema, rows.MISSING).column(0)
    except DataError as error:
        raise DataError(f"{path}: {error.what}", "Write probabilities. No label was taken.") from error
    wrong = pc.fill_null(pc.or_(pc.less_equal(found, 0.0), pc.greater(found, 1.0)), False)
    if pc.any(wrong).as_py():
        row = 1 + pc.index(wrong, True).as_py()
        raise DataError(
            f"{path}: row {row} was asked for with the probability {found[row - 1].as_py():g}.",
            "A probability is above 0 and at most 1. No label was taken.",
        )
    return found
