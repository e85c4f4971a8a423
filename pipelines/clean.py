"""Clean: take out the rows that cannot be used, and give every other row to one split.

    python -m pipelines clean digits

    data/<model>/raw.parquet, quarantine.parquet  ->  train.parquet, validation.parquet, test.parquet, clean.json

No value is changed here: what changes values is part of the model. The split of a row is a function of the
seed and the row alone, so rows that arrive later, another order, or copies never move a row that was there.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, model_validator

from pipelines import identities, rows, settings, tables
from pipelines.errors import DataError
from pipelines.settings import FORMAT, Data, Section

SPLITS = ("train", "validation", "test")
Share = Annotated[float, Field(gt=0, lt=1)]


class HashSplit(Section):
    """Fixed thresholds on a hash of the seed and the row, or of `key`: the columns that name an entity or group."""

    by: Literal["hash"] = "hash"
    seed: int = 0
    validation: Share = 0.2
    test: Share = 0.2
    key: list[str] = []

    @model_validator(mode="after")
    def _leaves_rows_to_train_on(self) -> "HashSplit":
        if self.validation + self.test >= 1:
            raise ValueError(f"validation {self.validation:g} and test {self.test:g} leave nothing to train on")
        return self


class TimeSplit(Section):
    """Rows before `validation_from` train; rows from `test_from` on test. Both are fixed instants with a zone."""

    by: Literal["time"]
    column: str
    validation_from: str
    test_from: str

    @model_validator(mode="after")
    def _in_order(self) -> "TimeSplit":
        if instant(self.validation_from) >= instant(self.test_from):
            raise ValueError(f"validation_from {self.validation_from} is not before test_from {self.test_from}")
        return self


class GivenSplit(Section):
    """A column of the source says `train` or `test` (or `validation`); a share of `train` becomes validation."""

    by: Literal["given"]
    column: str
    seed: int = 0
    validation: Share = 0.2


class Clean(Section):
    duplicates: Literal["drop", "keep"] = "drop"
    missing: Literal["keep", "drop"] = "keep"  # rows that lack a feature; a kept one is filled in by the model
    split: Annotated[HashSplit | TimeSplit | GivenSplit, Field(discriminator="by")]


def run(model: str) -> None:
    data = settings.load(model, "data", Data)
    config = settings.load(model, "clean", Clean)
    folder = Path("data") / model
    report = clean(folder, data, config)
    check_report(report, data, config, f"models/{model}.yaml")
    (folder / "clean.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def clean(folder: Path, data: Data, config: Clean) -> dict[str, Any]:
    """Write the three splits; returns the report: hashes, rows and classes of each split, rows removed and why."""
    raw = folder / "raw.parquet"
    aside = {
        row_id for batch in tables.batches(folder / "quarantine.parquet") for row_id in batch["row_id"].to_pylist()
    }
    data_hash, repeated = identities.survey(raw)
    schema = rows.raw_schema(data)
    removed: Counter[str] = Counter()
    classes: dict[str, Counter[str]] = {name: Counter() for name in SPLITS}
    with ExitStack() as stack:
        files = {name: stack.enter_context(tables.Writer(folder / f"{name}.parquet", schema)) for name in SPLITS}
        start = 0
        for batch in tables.batches(raw):
            duplicate = repeated[start : start + batch.num_rows]
            start += batch.num_rows
            reason = reasons(batch, data, config, aside, duplicate)
            removed.update(word for word in reason.tolist() if word)
            split = np.where(reason == "", splits(batch, config), "")
            for name in SPLITS:
                chosen = batch.filter(pa.array(split == name))
                files[name].write(chosen)
                if data.task == "classification":
                    classes[name].update(str(value) for value in chosen[data.target].to_pylist())
    return {
        "format": FORMAT,
        "data_hash": data_hash,
        "rows": {"raw": start, "removed": dict(sorted(removed.items()))},
        "splits": {
            name: {
                "rows": files[name].rows,
                "hash": identities.survey(folder / f"{name}.parquet")[0],
                "classes": dict(sorted(classes[name].items())),
            }
            for name in SPLITS
        },
    }


def reasons(batch: pa.RecordBatch, data: Data, config: Clean, aside: set[str], repeated: np.ndarray) -> np.ndarray:
    """Why each row is removed: an empty word for one that stays."""
    reason = np.full(batch.num_rows, "", dtype="<U20")
    if config.missing == "drop":
        for name in data.features:
            reason[pc.is_null(batch[name]).to_numpy(zero_copy_only=False)] = "missing value"
    if config.duplicates == "drop":
        reason[repeated] = "duplicate"
    quarantined = np.array([row_id in aside for row_id in batch["row_id"].to_pylist()], bool)
    reason[quarantined] = "quarantined"
    return reason


def splits(batch: pa.RecordBatch, config: Clean) -> np.ndarray:
    """The split of each row of a batch. Raises DataError for a value that names none."""
    by: dict[str, Callable[[pa.RecordBatch, Any], list[str]]] = {
        "hash": _by_hash,
        "time": _by_time,
        "given": _by_given,
    }
    return np.array(by[config.split.by](batch, config.split), dtype="<U20")


def _by_hash(batch: pa.RecordBatch, split: HashSplit) -> list[str]:
    ids = rows.identify(batch, split.key) if split.key else batch["row_id"].to_pylist()
    positions = (rows.fraction(split.seed, row_id) for row_id in ids)
    edge = split.test + split.validation
    return ["test" if u < split.test else "validation" if u < edge else "train" for u in positions]


def _by_time(batch: pa.RecordBatch, split: TimeSplit) -> list[str]:
    first, second = instant(split.validation_from), instant(split.test_from)
    instants = (instant(value) for value in batch[split.column].to_pylist())
    return ["train" if at < first else "validation" if at < second else "test" for at in instants]


def _by_given(batch: pa.RecordBatch, split: GivenSplit) -> list[str]:
    return list(_given(batch[split.column].to_pylist(), batch["row_id"].to_pylist(), split))


def _given(values: list[str], ids: list[str], split: GivenSplit) -> Iterator[str]:
    for value, row_id in zip(values, ids, strict=True):
        if value not in SPLITS:
            raise DataError(
                f"Row {row_id}: the split column {split.column!r} holds {value!r}.",
                f"It may hold {', '.join(SPLITS)}.",
            )
        becomes = value == "train" and rows.fraction(split.seed, row_id) < split.validation
        yield "validation" if becomes else value


def instant(text: str) -> datetime:
    """An instant with a zone. Raises ValueError for anything else."""
    at = datetime.fromisoformat(str(text))
    if at.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone: write it as 2026-01-31T00:00:00+00:00")
    return at


def check_report(report: dict[str, Any], data: Data, config: Clean, where: str) -> None:
    """Raises DataError when a split is empty, or lacks a class that another has."""
    again = f"Change split.seed or the shares in {where} (seed is {getattr(config.split, 'seed', 'not used')}), or add rows."
    found = report["splits"]
    for name in SPLITS:
        if not found[name]["rows"]:
            removed = ", ".join(f"{count} {why}" for why, count in report["rows"]["removed"].items()) or "none"
            raise DataError(f"The {name} split is empty: {report['rows']['raw']} raw rows, removed: {removed}.", again)
    if data.task == "classification":
        every = sorted(set().union(*(found[name]["classes"] for name in SPLITS)))
        if len(every) < 2:
            raise DataError(f"The target {data.target!r} has one class, {every[0]!r}: there is nothing to learn.")
        for name in SPLITS:
            if absent := [label for label in every if label not in found[name]["classes"]]:
                raise DataError(f"The {name} split has no row of class {', '.join(map(repr, absent))}.", again)
