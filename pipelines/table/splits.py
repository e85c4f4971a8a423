"""Splits: which rows train, validate and test. By a hash of the row, by its time, or as a column of the source says."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator, Field, model_validator

from pipelines.config.section import Section
from pipelines.errors import DataError
from pipelines.table import rows, time_edges
from pipelines.table.series import windows
from pipelines.table.time_edges import Edges, Moving

SPLITS = ("train", "validation", "test")
Share = Annotated[float, Field(gt=0, lt=1)]
Window = Annotated[float | str | None, BeforeValidator(time_edges.check_window)]


class HashSplit(Section):
    """A hash of the seed and the row, or of its `key`, decides. A row keeps its split when other rows arrive."""

    by: Literal["hash"] = "hash"
    seed: int = 0
    """Another seed gives another split."""
    validation: Share = 0.2
    """The share of rows for validation."""
    test: Share = 0.2
    """The share of rows for the test."""
    key: list[str] = []
    """Columns that name an entity, such as a customer. All rows of an entity go to the same split."""

    @model_validator(mode="after")
    def _leaves_rows_to_train_on(self) -> "HashSplit":
        if self.validation + self.test >= 1:
            raise ValueError(f"validation {self.validation:g} and test {self.test:g} leave nothing to train on")
        return self


class TimeSplit(Section):
    """By the rows' time: the newest rows test, those before them validate, and older ones train.

    `validation` and `test` move on with the data: every row goes from test over validation to train, never back.
    `validation_from` and `test_from` stay where they are, so that all rows that arrive are test rows.
    """

    by: Literal["time"]
    column: str
    """The date column. For a sequence it is the column of `data.time`."""
    validation: Window = None
    """How much lies before the test rows for validation: a share of the rows, `0.1`, or a span, `30d`."""
    test: Window = None
    """How much the newest rows are for the test: a share of the rows, `0.2`, or a span back from the newest row, `90d`
    (`min`, `h`, `d`, `w`)."""
    validation_from: str | None = None
    """The first instant of the validation split, with its zone: `"2024-01-01T00:00:00Z"`. Instead of `validation`."""
    test_from: str | None = None
    """The first instant of the test split, with its zone. Instead of `test`."""

    @model_validator(mode="after")
    def _one_way(self) -> "TimeSplit":
        fixed, moves = (
            sum(key is not None for key in keys)
            for keys in ((self.validation_from, self.test_from), (self.validation, self.test))
        )
        if (fixed, moves) not in ((2, 0), (0, 2)):
            raise ValueError(
                "write `validation: 0.1` and `test: 0.2` (or spans such as 90d), which move on with the data, or "
                "`validation_from` and `test_from`, which do not"
            )
        if fixed and instant(self.validation_from) >= instant(self.test_from):
            raise ValueError(f"validation_from {self.validation_from} is not before test_from {self.test_from}")
        if isinstance(self.validation, float) and isinstance(self.test, float) and self.validation + self.test >= 1:
            raise ValueError(f"validation {self.validation:g} and test {self.test:g} leave nothing to train on")
        return self

    @property
    def moving(self) -> Moving | None:
        """The windows that move; None for fixed instants."""
        return Moving(self.column, self.validation, self.test) if self.validation and self.test else None

    def at(self, edges: Edges) -> "TimeSplit":
        """The same split with fixed instants."""
        first, second = time_edges.text(edges.validation_from), time_edges.text(edges.test_from)
        return TimeSplit(by="time", column=self.column, validation_from=first, test_from=second)


class GivenSplit(Section):
    """A column of the source names the split of each row. A share of `train` becomes validation."""

    by: Literal["given"]
    column: str
    """The column that holds `train`, `validation` or `test`."""
    seed: int = 0
    """Another seed gives another validation split."""
    validation: Share = 0.2
    """The share of the `train` rows that become validation."""


Split = Annotated[HashSplit | TimeSplit | GivenSplit, Field(discriminator="by")]


def divide(batch: pa.RecordBatch, split: Split) -> dict[str, pa.RecordBatch]:
    """The rows of each split. Raises DataError for a value that names no split."""
    by: dict[str, Callable[[pa.RecordBatch, Any], np.ndarray]] = {
        "hash": _by_hash,
        "time": _by_time,
        "given": _by_given,
    }
    found = by[split.by](batch, split)
    return {name: batch.filter(pa.array(found == name)) for name in SPLITS}


def _by_hash(batch: pa.RecordBatch, split: HashSplit) -> np.ndarray:
    ids = rows.identify(batch, split.key) if split.key else rows.ids_of(batch["row_id"])
    position = rows.fractions(split.seed, ids)
    return np.select([position < split.test, position < split.test + split.validation], ["test", "validation"], "train")


def events(batch: pa.RecordBatch, key: list[str]) -> np.ndarray:
    """The event of each row: bytes [rows] of 32 hexadecimal digits. A row that lacks a part of its key is an event of
    its own. batch: raw rows."""
    whole = np.ones(batch.num_rows, bool)
    for name in key:
        whole &= np.asarray(pc.is_valid(batch[name]).to_numpy(zero_copy_only=False))
    return np.where(whole, rows.identify(batch, key), rows.ids_of(batch["row_id"]))


def _by_time(batch: pa.RecordBatch, split: TimeSplit) -> np.ndarray:
    edges = [time_edges.microseconds(instant(text)) for text in (split.validation_from, split.test_from)]
    return np.array(SPLITS)[np.searchsorted(edges, times(batch, split.column), side="right")]


def times(batch: pa.RecordBatch, column: str) -> np.ndarray:
    """Microseconds since 1970 [rows]. Raises DataError for the first value that is no instant."""
    values = batch[column]
    if not values.null_count:
        with suppress(pa.ArrowException):
            return windows.instants(values)
    found = []
    for value, row_id in zip(values.to_pylist(), batch["row_id"].to_pylist(), strict=True):
        try:
            found.append(time_edges.microseconds(instant(value)))
        except ValueError as error:
            raise _names_no_split(batch, row_id, column, value, f"it is not a date ({error})") from error
    return np.array(found, np.int64)


def _by_given(batch: pa.RecordBatch, split: GivenSplit) -> np.ndarray:
    found = batch[split.column]
    fits = pc.fill_null(pc.is_in(found, value_set=pa.array(SPLITS)), False)
    if not pc.all(fits).as_py():
        row = pc.index(fits, False).as_py()
        why = f"it must be one of {', '.join(SPLITS)}"
        raise _names_no_split(batch, batch["row_id"][row].as_py(), split.column, found[row].as_py(), why)
    named = found.to_numpy(zero_copy_only=False).astype("<U10")
    becomes = rows.fractions(split.seed, rows.ids_of(batch["row_id"])) < split.validation
    return np.where((named == "train") & becomes, "validation", named)


def _names_no_split(batch: pa.RecordBatch, row_id: str, column: str, value: Any, why: str) -> DataError:
    if rows.is_sensitive(batch.schema.field(column)):
        return DataError(f"Row {row_id}: the split column {column!r} does not name a split.", "Correct the source.")
    return DataError(
        f"Row {row_id}: the split column {column!r} holds {value!r}: {why}.",
        "Correct the source, or set such rows aside with a rule of level quarantine.",
    )


def instant(text: Any) -> datetime:
    """An instant with a time zone. Raises ValueError for anything else."""
    at = datetime.fromisoformat(str(text))
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: write it as 2026-01-31T00:00:00+00:00")
    return at
