"""Columns: the summary of each column of some rows, and the Parquet file that keeps them.

A file has a line for each column of each group. A group is a day, a month of the year, or all rows; it may have several
lines of one column, which add up.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import IntegrityError
from pipelines.table.summary.numbers import Numbers

FORMAT = "1"
NUMBERS, WORDS, DATES = "numbers", "words", "dates"
SCHEMA = pa.schema(
    {
        "group": pa.string(),
        "version": pa.int64(),
        "name": pa.string(),
        "kind": pa.string(),
        "answer": pa.bool_(),
        "rows": pa.int64(),
        "missing": pa.int64(),
        "unknown": pa.int64(),
        "unreadable": pa.int64(),
        "total": pa.float64(),
        "points": pa.list_(pa.float64()),
        "below": pa.list_(pa.int64()),
        "exact": pa.bool_(),
        "right": pa.list_(pa.int64()),
        "words": pa.list_(pa.string()),
        "counts": pa.list_(pa.int64()),
    }
)


@dataclass(frozen=True)
class Column:
    """The values of one column in one group of rows."""

    group: str
    """A day, as 2026-11-29; of a reference a month, as 01, or "" for all its rows."""
    name: str
    kind: str
    """NUMBERS, WORDS or DATES. Of dates only the missing ones are counted."""
    rows: int
    missing: int = 0
    unknown: int = 0
    """Rows with a word that the model has never seen."""
    unreadable: int = 0
    """Rows with a value that today's definition cannot read. They count as missing too."""
    answer: bool = False
    """Whether it is a part of the answers, and no column of the rows."""
    version: int = 0
    """Of answers, the version that gave them."""
    total: float = 0.0
    """The sum of the numbers."""
    points: list[float] = field(default_factory=list)
    below: list[int] = field(default_factory=list)
    exact: bool = True
    right: list[int] = field(default_factory=list)
    """Of a probability on labelled rows: how many of the values at or below each point came true."""
    words: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    """How many rows have each word. Rows with another word are in none of them."""

    @property
    def known(self) -> int:
        return self.rows - self.missing

    @property
    def numbers(self) -> Numbers:
        return Numbers(np.array(self.points, np.float64), np.array(self.below, np.int64), self.exact)


def write(path: Path, found: Iterable[Column], about: Mapping[str, str]) -> None:
    """A file in place of what was there, which only its user may read. about: texts for its metadata."""
    table = pa.Table.from_pylist([asdict(one) for one in found], SCHEMA)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            pq.write_table(table.replace_schema_metadata({"format": FORMAT} | dict(about)), file, compression="zstd")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def read(path: Path) -> list[Column]:
    """Raises IntegrityError for a file that is none of these, and FileNotFoundError."""
    try:
        return [Column(**one) for one in pq.read_table(path).to_pylist()]
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException, TypeError) as error:
        raise IntegrityError(f"{path} cannot be read: {error}.", "Delete it: it is made again.") from error


def about(path: Path) -> dict[str, str]:
    """The texts of the metadata; {} for a file that is missing or damaged."""
    try:
        found = pq.read_metadata(path).metadata or {}
    except (OSError, pa.ArrowException):
        return {}
    return {key.decode(): value.decode() for key, value in found.items() if key != b"ARROW:schema"}
