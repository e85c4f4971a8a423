"""Whose rows are wanted: the values of the columns that name a person, as the model's own reader takes them.

" 12 ", "12" and "12.0" are one value where the reader says so, in a source, in raw.parquet and in the log alike: it is
the identity by which `clean` splits.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from flows.forget import reading
from flows.forget.reading import Reading
from pipelines.config.words import nearest
from pipelines.errors import RequestError
from pipelines.model_file import Declaration
from pipelines.table.splits import HashSplit

ROW_ID = "row_id"
Key = tuple[str, ...]


@dataclass(frozen=True)
class Wanted:
    """columns: that name a person. given: the values as a person wrote them; keys: as the reader takes them."""

    reading: Reading
    given: tuple[Key, ...] = field(repr=False)
    keys: frozenset[Key] = field(repr=False)

    @property
    def columns(self) -> Key:
        return self.reading.names

    def mask(self, batch: pa.RecordBatch) -> np.ndarray:
        """Which rows are wanted [rows, bool]; none where the batch lacks one of the columns."""
        if not set(self.columns) <= set(batch.schema.names):
            return np.zeros(batch.num_rows, bool)
        return np.array([key in self.keys for key in _texts(self.reading, batch)], bool)

    def events(self, names: Sequence[str]) -> set[str]:
        """The identities of the wanted events by the columns `names`; none if a person is named by other columns."""
        if set(names) != set(self.columns):
            return set()
        return set(self.reading.identities(_batch(self.columns, self.given)))


def of(declared: Declaration, keys: Sequence[str], columns: Sequence[str]) -> Wanted:
    """What a command names. keys: values of the declared key, those of several columns with commas between them.
    columns: NAME=VALUE, in place of the declared key.

    Raises RequestError for a model without a key, and for a value that its column cannot have.
    """
    if bool(keys) == bool(columns):
        raise RequestError("Say whose rows: values of the key, or --column NAME=VALUE, and not both.")
    names, given = _of_columns(declared, columns) if columns else _of_key(declared, keys)
    found = reading.of(declared, names)
    batch = _batch(names, given)
    if names != [ROW_ID] and found.typed(batch) is None:
        roles = ", ".join(f"{name}: {reading.role(declared, name)}" for name in names)
        raise RequestError(
            f"A value is not of the kind that models/{declared.model}.yaml declares ({roles}).",
            "Write it as the source has it.",
        )
    texts = _texts(found, batch)
    if any("" in key for key in texts):
        raise RequestError("A missing value names nobody.", "Write the value that the source has.")
    return Wanted(found, tuple(given), frozenset(texts))


def _texts(reading: Reading, batch: pa.RecordBatch) -> list[Key]:
    """The key of each row as text; a value that no reader takes stays as it is written."""
    chosen = batch.select([batch.schema.get_field_index(name) for name in reading.names])
    if reading.names == (ROW_ID,):
        return _cells(chosen)
    parts = reading.each(chosen)
    if parts == [None]:
        return [_plain(chosen)]
    if len(parts) == 1 and parts[0] is not None:
        return _cells(parts[0])
    return [_plain(chosen.slice(place, 1)) if part is None else _cells(part)[0] for place, part in enumerate(parts)]


def _cells(batch: pa.RecordBatch) -> list[Key]:
    texts = [column.cast(pa.string()).to_pylist() for column in batch.columns]
    return [tuple("" if cell is None else cell for cell in key) for key in zip(*texts, strict=True)]


def _plain(row: pa.RecordBatch) -> Key:
    return tuple(str(column[0].as_py()).strip() for column in row.columns)


def _batch(names: Sequence[str], given: Sequence[Key]) -> pa.RecordBatch:
    columns = [pa.array(list(column), pa.string()) for column in zip(*given, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=list(names))


def _of_columns(declared: Declaration, columns: Sequence[str]) -> tuple[list[str], list[Key]]:
    pairs = [one.partition("=") for one in columns]
    names = [name for name, _, _ in pairs]
    left_out = (*declared.ingest.ignore, *declared.ingest.dropped)
    known = [ROW_ID, *declared.data.columns, declared.data.target, *left_out]
    for name, sign, _ in pairs:
        if not sign:
            raise RequestError(f"--column {name!r} has no value.", "Write --column NAME=VALUE.")
        if name not in known:
            raise RequestError(f"{declared.model} has no column {name!r}{nearest(name, known)}.")
    if len(set(names)) < len(names):
        raise RequestError("--column names a column twice.", "Forget one after the other.")
    if ROW_ID in names and len(names) > 1:
        raise RequestError("--column row_id names a row by itself.", "Leave the other columns out.")
    return names, [tuple(value for _, _, value in pairs)]


def _of_key(declared: Declaration, keys: Sequence[str]) -> tuple[list[str], list[Key]]:
    split = getattr(declared.sections["clean"], "split", None)
    names = declared.labels.key or (list(split.key) if isinstance(split, HashSplit) else [])
    if not names:
        raise RequestError(
            f"models/{declared.model}.yaml declares no key that names a person.",
            "Write --column NAME=VALUE, or declare `labels: key:` or `clean: split: key:`.",
        )
    given = [tuple(next(csv.reader([key]), [])) if len(names) > 1 else (key,) for key in keys]
    if wrong := [key for key in given if len(key) != len(names)]:
        raise RequestError(
            f"A key has {len(wrong[0])} values, but the key of {declared.model} has {len(names)}: {', '.join(names)}.",
            "Write them in this order, with commas between them.",
        )
    return list(names), given
