"""Scored: batches of labelled answered rows (flows/labels/joined.py) -> answers that a metric can score."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config.data import Data
from pipelines.model.metrics import Answers

PROBABILITY = "probability_"
MICROSECONDS = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Scored:
    """Rows in the order in which their labels came. days: since 1970, of each answer in the model's zone [rows].

    delays: seconds from each answer to its label [rows]. strange: rows whose label is none of the version's classes;
    they are in `answers` too.
    """

    answers: Answers
    days: np.ndarray
    delays: np.ndarray
    strange: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.days)

    def take(self, rows: np.ndarray) -> "Scored":
        """Some of the rows, by position or by a mask."""
        return Scored(self.answers.take(rows), self.days[rows], self.delays[rows], self.strange[rows])


def read(
    batches: Iterator[pa.RecordBatch], data: Data, zone: str, version: int, since: datetime, until: datetime
) -> Scored:
    """The rows that a version answered from an instant on, and whose label came before `until`.

    Labels that somebody asked for do not count: who asks looks for rows that are hard.
    """
    kept = [found for batch in batches if (found := _chosen(batch, version, since, until)).num_rows]
    if not kept:
        nothing = np.array([], int)
        return Scored(Answers(nothing, nothing, nothing, None, []), nothing, nothing, nothing.astype(bool))
    table = pa.Table.from_batches(kept).combine_chunks()
    answers = _answers(table, data)
    known = np.isin(answers.actual, answers.classes) if answers.classes else np.ones(table.num_rows, bool)
    seconds = pc.divide(pc.microseconds_between(table["at"], _came(table)).cast(pa.float64()), 1e6)
    return Scored(answers, days(table["at"], zone), seconds.to_numpy(), ~known)


def days(instants: pa.ChunkedArray, zone: str) -> np.ndarray:
    """The day of each instant in a zone, counted from 1970 [rows]."""
    there = pc.local_timestamp(instants.cast(pa.timestamp("us", zone)))
    return np.asarray(there.cast(pa.date32()).cast(pa.int32()).to_numpy(), int)


def _chosen(batch: pa.RecordBatch, version: int, since: datetime, until: datetime) -> pa.RecordBatch:
    there = pc.and_(pc.equal(batch["version"], version), pc.is_null(batch["asked"]))
    there = pc.and_(there, pc.greater_equal(batch["at"], pa.scalar(since, MICROSECONDS)))
    there = pc.and_(there, pc.less(_came(batch), pa.scalar(until, MICROSECONDS)))
    needed = ["at", "prediction", "label", _came_name(batch.schema)]
    names = [*needed, *(name for name in batch.schema.names if name.startswith(PROBABILITY))]
    return batch.select(names).filter(pc.and_(there, pc.is_valid(batch["label"])))


def _came_name(schema: pa.Schema) -> str:
    return "taken" if "taken" in schema.names else "known"


def _came(rows: pa.RecordBatch | pa.Table) -> pa.Array:
    return rows[_came_name(rows.schema)]


def _answers(table: pa.Table, data: Data) -> Answers:
    places = np.arange(table.num_rows)
    actual, predicted = (_values(table[name], data) for name in ("label", "prediction"))
    names = [
        name for name in table.schema.names if name.startswith(PROBABILITY) and table[name].null_count < len(places)
    ]
    if data.task != "classification":
        return Answers(places, actual, predicted, None, [])
    by_class = {_class(name.removeprefix(PROBABILITY), data): table[name] for name in names}
    classes = sorted(by_class)
    columns = [pc.fill_null(by_class[one], 0.0).to_numpy() for one in classes]
    return Answers(places, actual, predicted, np.column_stack(columns) if columns else None, classes)


def _class(name: str, data: Data) -> int | str:
    return int(name) if data.label == "integer" else name


def _values(column: pa.ChunkedArray, data: Data) -> np.ndarray:
    """Labels or predictions as numbers, whole numbers or texts, however the log has them."""
    if data.task != "classification":
        return np.asarray(column.cast(pa.float64()).to_numpy(), float)
    if data.label == "integer":
        return np.asarray(column.cast(pa.float64()).cast(pa.int64()).to_numpy())
    return np.asarray(column.cast(pa.string()).to_numpy(zero_copy_only=False))
