"""Clean: remove the rows that cannot be used, and put every other row into one split.

    python -m pipelines clean digits

    data/<model>/raw.parquet, quarantine.parquet, pin.json
        ->  train.parquet, validation.parquet, test.parquet, clean.json

No value changes here: only the model changes values. The split of a row depends only on the seed and the row, so new
rows, another order or copies never move an old row. By time a row may move on, from test over validation to train, but
never back (time_edges.py). Rows keep their order, except in the training split of a large table (shuffled.py). A row
without a target is removed (`validate` stops at one, unless the model's YAML says otherwise). The rows of a sequence
become windows (windows.py), each in the split of the row that it predicts.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator, Field, model_validator

from pipelines.config import settings, user_code
from pipelines.config.settings import FORMAT, Data, Section
from pipelines.config.stage import Stage
from pipelines.errors import DataError
from pipelines.table import id_sets, row_groups, rows, shuffled, time_edges
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


class Clean(Section):
    """Which rows are used, and for which split."""

    duplicates: Literal["drop", "keep"] = "drop"
    """Whether repeated rows are dropped."""
    missing: Literal["keep", "drop"] = "keep"
    """Whether rows that lack a feature are dropped. If they are kept, the model fills the gap."""
    split: Annotated[HashSplit | TimeSplit | GivenSplit, Field(discriminator="by")]
    """How the rows are divided into training, validation and test. A sequence is split by time."""


STAGE = Stage("clean", Clean, after="validate", refuses_data=True)


def run(model: str) -> None:
    data = settings.load(model, "data", Data)
    config = settings.load(model, "clean", Clean)
    folder = Path("data") / model
    moving = config.split.moving if isinstance(config.split, TimeSplit) else None
    former = time_edges.carried(folder / "pin.json", moving) if moving else None
    report = clean(folder, data, config, user_code.chooser(model), former, f"models/{model}.yaml")
    check_report(report, data, config, f"models/{model}.yaml")
    (folder / "clean.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def clean(
    folder: Path,
    data: Data,
    config: Clean,
    keeps: user_code.Chooser | None = None,
    former: Edges | None = None,
    where: str = "the model's YAML",
) -> dict[str, Any]:
    """Write the three splits; returns the report: hashes, rows and targets of each split, rows removed and why.

    keeps: chooses the rows to use, by the model's own code; former: the edges of the version of the data before;
    where: the file that declares the split, for messages.
    """
    raw = folder / "raw.parquet"
    data_hash, repeated = id_sets.survey(raw)
    aside = id_sets.marked(raw, folder / "quarantine.parquet")
    leaving = Leaving((aside, repeated), keeps)
    config, edges = settled(raw, data, config, leaving, former, where)
    cut = shuffled.cut(raw, data)
    row_groups.check_space(folder, raw.stat().st_size + cut.room)
    removed: Counter[str] = Counter()
    targets: dict[str, dict[str, Any]] = {name: {} for name in SPLITS}
    with ExitStack() as stack:
        files = {name: stack.enter_context(writer(folder / f"{name}.parquet", data, cut.parts)) for name in SPLITS}
        kept = windowed if data.kind == "sequence" else alone
        for batch in kept(raw, data, config, leaving, removed):
            for name, chosen in divide(batch, config).items():
                files[name].write(chosen)
                note(targets[name], chosen[data.target], data)
    return {
        "format": FORMAT,
        "data_hash": data_hash,
        **edges,
        "rows": {
            "raw": row_groups.rows(raw),
            "removed": {why: removed[why] for why in sorted(removed) if removed[why]},
        },
        "splits": {
            name: {
                "rows": files[name].rows,
                "hash": id_sets.survey(folder / f"{name}.parquet")[0],
                **{key: targets[name][key] for key in sorted(targets[name])},
            }
            for name in SPLITS
        },
    }


def writer(path: Path, data: Data, parts: int) -> AbstractContextManager[row_groups.Writer | shuffled.Ordered]:
    """The writer of a split, beside raw.parquet. parts: the number of parts of a large table, else 1."""
    schema = row_groups.with_metadata(rows.split_schema(data), row_groups.metadata(path.with_name("raw.parquet")))
    large = parts > 1 and path.stem == "train"
    return shuffled.Ordered(path, schema, parts) if large else row_groups.Writer(path, schema)


@dataclass(frozen=True)
class Leaving:
    """Reasons to leave rows out besides their values: set aside, a repeated row, or the model's own code."""

    marked: tuple[id_sets.Marks, id_sets.Marks]
    keeps: user_code.Chooser | None


def alone(
    raw: Path, data: Data, config: Clean, leaving: Leaving, removed: Counter[str], words: tuple[str, ...] = ()
) -> Iterator[pa.RecordBatch]:
    """The rows that stay, without windows. removed: counts the reasons of the others. words: reasons to ignore."""
    start = 0
    for batch in row_groups.batches(raw):
        here = (start, start + batch.num_rows)
        start = here[1]
        reason = reasons(batch, data, config, *(marks.between(*here) for marks in leaving.marked))
        reason[np.isin(reason, words)] = ""
        if leaving.keeps is not None:
            reason[(reason == "") & ~leaving.keeps(batch)] = "own code"
        removed.update(word for word in reason.tolist() if word)
        yield batch.filter(pa.array(reason == ""))


def windowed(raw: Path, data: Data, config: Clean, leaving: Leaving, removed: Counter[str]) -> Iterator[pa.RecordBatch]:
    """The windows that stay. A row that lacks values is still part of other rows' windows."""

    def read() -> Iterator[pa.RecordBatch]:
        removed.clear()  # it is read more than once
        return alone(raw, data, config, leaving, removed, ("missing target", "missing value"))

    lost: Counter[str] = Counter()
    for table in windows.windows(read, data, raw.parent, lost):
        whole = np.ones(table.num_rows, bool)
        if config.missing == "drop":
            for name in (*data.past_numbers, *data.past_categories):
                whole &= windows.present(table[name]).all(axis=1)
        lost["missing value"] += int((~whole).sum())
        yield from table.filter(pa.array(whole)).combine_chunks().to_batches()
    removed.update(lost)


def settled(
    raw: Path, data: Data, config: Clean, leaving: Leaving, former: Edges | None, where: str
) -> tuple[Clean, dict[str, Any]]:
    """The settings with fixed instants, and the edges for the report; a split that does not move stays as it is.

    They come from the rows that a split can hold. Of a sequence these are the rows with a target: those of its
    beginning, which have no window, count too. Raises DataError for what is no date, and for too few rows.
    """
    split = config.split
    if not isinstance(split, TimeSplit) or (moving := split.moving) is None:
        return config, {}
    ignored = ("missing value",) if data.kind == "sequence" else ()
    read = alone(raw, data, config, leaving, Counter(), ignored)
    times = np.concatenate([np.empty(0, np.int64), *(_times(batch, moving.column) for batch in read)])
    edges = time_edges.settle(times, moving, former, where, moving.column in data.sensitive)
    return config.model_copy(update={"split": split.at(edges)}), {"edges": edges.content(moving)}


def note(seen: dict[str, Any], target: pa.Array, data: Data) -> None:
    """Add the targets of some rows to a split's record: rows of each class, or the smallest and largest number."""
    if data.task == "classification":
        counts = Counter(seen.get("classes", {})) + Counter(str(value) for value in target.to_pylist())
        seen["classes"] = dict(sorted(counts.items()))
    elif len(target):
        low, high = pc.min_max(target).as_py().values()
        seen["smallest"] = min(low, seen.get("smallest", low))
        seen["largest"] = max(high, seen.get("largest", high))


def reasons(batch: pa.RecordBatch, data: Data, config: Clean, aside: np.ndarray, repeated: np.ndarray) -> np.ndarray:
    """Why each row is removed [rows]: an empty word for one that stays. aside and repeated: [rows, bool]."""
    reason = np.full(batch.num_rows, "", dtype="<U20")
    if config.missing == "drop":
        for name in data.shown:
            reason[_is_null(batch[name])] = "missing value"
    reason[_is_null(batch[data.target])] = "missing target"
    if config.duplicates == "drop":
        reason[repeated] = "duplicate"
    reason[aside] = "quarantined"
    return reason


def _is_null(column: pa.Array) -> np.ndarray:
    return np.asarray(pc.is_null(column).to_numpy(zero_copy_only=False))


def divide(batch: pa.RecordBatch, config: Clean) -> dict[str, pa.RecordBatch]:
    """The rows of each split. Raises DataError for a value that names no split."""
    by: dict[str, Callable[[pa.RecordBatch, Any], np.ndarray]] = {
        "hash": _by_hash,
        "time": _by_time,
        "given": _by_given,
    }
    split = by[config.split.by](batch, config.split)
    return {name: batch.filter(pa.array(split == name)) for name in SPLITS}


def _by_hash(batch: pa.RecordBatch, split: HashSplit) -> np.ndarray:
    ids = rows.identify(batch, split.key) if split.key else rows.ids_of(batch["row_id"])
    position = rows.fractions(split.seed, ids)
    return np.select([position < split.test, position < split.test + split.validation], ["test", "validation"], "train")


def _by_time(batch: pa.RecordBatch, split: TimeSplit) -> np.ndarray:
    edges = [time_edges.microseconds(instant(text)) for text in (split.validation_from, split.test_from)]
    return np.array(SPLITS)[np.searchsorted(edges, _times(batch, split.column), side="right")]


def _times(batch: pa.RecordBatch, column: str) -> np.ndarray:
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


def check_report(report: dict[str, Any], data: Data, config: Clean, where: str) -> None:
    """Raises DataError if a split is empty or lacks a class of another split, or if all targets are equal."""
    again = _repair(config, where)
    found = report["splits"]
    for name in SPLITS:
        if not found[name]["rows"]:
            removed = ", ".join(f"{count} {why}" for why, count in report["rows"]["removed"].items()) or "none"
            raise DataError(f"The {name} split is empty: {report['rows']['raw']} raw rows, removed: {removed}.", again)
    if data.task == "classification":
        _check_classes({name: found[name]["classes"] for name in SPLITS}, data, again)
    elif found["train"]["smallest"] == found["train"]["largest"]:
        raise DataError(
            f"The target {data.target!r} is {found['train']['smallest']} in every training row: there is nothing to "
            "learn.",
            "Add rows with another value to the source.",
        )


def _check_classes(classes: dict[str, dict[str, int]], data: Data, again: str) -> None:
    every = sorted(set().union(*classes.values()))
    if len(every) < 2:
        raise DataError(
            f"The target {data.target!r} has one class, {every[0]!r}: there is nothing to learn.",
            "Add rows of another class to the source.",
        )
    for name, present in classes.items():
        if absent := [label for label in every if label not in present]:
            raise DataError(f"The {name} split has no row of class {', '.join(map(repr, absent))}.", again)


def _repair(config: Clean, where: str) -> str:
    if isinstance(config.split, TimeSplit) and config.split.moving:
        return f"Write larger windows under clean.split in {where} (validation, test), or add rows."
    if isinstance(config.split, TimeSplit):
        return f"Move clean.split.validation_from or test_from in {where}, or add rows."
    return f"Change clean.split.seed (now {config.split.seed}) or the shares in {where}, or add rows."
