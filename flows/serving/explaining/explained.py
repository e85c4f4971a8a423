"""Explained: why one version answers a row as it does, and what would change the answer.

The contributions are Shapley values of the raw columns (pipelines/explaining/shapley.py), of a picture those of its
patches. With the base, the mean answer over the background rows, they add up to the answer. The background is rows of
the training split that were kept with the version (explanations/background.parquet).
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

import numpy as np

from flows.serving import version_code
from flows.serving.engine.engine import Engine
from flows.serving.explaining import kept
from flows.serving.problem import Problem
from flows.serving.rows.batch import Batch
from flows.serving.rows.reader import RowReader
from flows.serving.version import Version
from pipelines.explaining import ORDERS, counterfactual, shapley
from pipelines.explaining.columns import Answers, Arrays, Column, columns, count, rows
from pipelines.explaining.counterfactual import Change
from pipelines.explaining.pictures import patches

BACKGROUND = "background.parquet"
SEED = 0
MOST_ROWS = 512  # of a call of the engine: a network of pictures holds much for each
MOST_PICTURES = 100  # of the examples, which are the background of pictures that were kept without one
NO_PICTURE = "A picture has no columns that could be changed one by one."
NO_CHANGE = "No change of one or two columns to values of the training rows changes the answer."


class Explained:
    """One version that is loaded."""

    def __init__(self, version: Version, reader: RowReader, engine: Engine):
        """Raises Problem if the version has no background."""
        self._version, self._reader, self._engine = version, reader, engine
        self._about, self._classes = reader.about, reader.classes
        self._told = kept.about(version)
        self._hidden = reader.columns.sensitive
        picture = self._about["kind"] == "image"
        if picture and not self._told.get("background"):
            examples = json.loads((version.folder / "examples.json").read_text(encoding="utf-8"))["rows"]
            self._background, absent = reader.read(examples[:MOST_PICTURES]).arrays, frozenset[str]()
        else:
            self._background, absent = _background(version, self._about, self._told)
        self._grid = patches.grid(self._about["shape"]) if picture else None
        found = self._grid.columns if self._grid else columns(self._about)
        # What a sensitive column contributes would tell its value, and a column that the background was kept without
        # has none to compare with: both always have the row's own value.
        self._columns = [column for column in found if column.name not in absent | self._hidden]
        if not self._columns:
            raise kept.without(version)

    def close(self) -> None:
        """Free what it holds."""
        self._engine.close()

    def explain(self, asked: Sequence[Any]) -> dict[str, Any]:
        """The explanations of raw rows, and how they were made. Raises Problem for rows that do not fit."""
        batch = self._reader.read(asked)
        found = [self._one(batch, place) for place in range(batch.size)]
        exact = len(self._columns) <= shapley.EXACT
        return {
            "explanations": found,
            "method": "shapley",
            "exact": exact,
            "orders": None if exact else ORDERS,
            "seed": SEED,
            "background": shapley.begun_from(count(self._background), len(self._columns), ORDERS),
        }

    def _one(self, batch: Batch, place: int) -> dict[str, Any]:
        row = rows(batch.arrays, [place])
        given = self._answers(row)[0]
        if not np.isfinite(given).all():
            told = f"The answer to row {place + 1} is not a finite number."
            raise Problem(
                400, "no-answer", "The model has no answer", told, "Look for extreme values in the row.", place + 1
            )
        output = int(given.argmax())
        return self._answer(given, batch, place) | self._contributions(row, output) | self._counterfactual(row)

    def _answer(self, given: np.ndarray, batch: Batch, place: int) -> dict[str, Any]:
        """As `predict` says it. given: [outputs]."""
        names = [str(name) for name in self._classes]
        said: dict[str, Any] = {"prediction": self._class(given)}
        said["probabilities"] = dict(zip(names, given.tolist(), strict=True)) if names else {}
        said["unknown"] = list(batch.unknown[place])
        return said | ({"time": batch.times[place]} if batch.times else {})

    def _class(self, given: np.ndarray) -> Any:
        return self._classes[int(given.argmax())] if self._classes else float(given[0])

    def _contributions(self, row: Arrays, output: int) -> dict[str, Any]:
        """Of one output: the probability of the class that is the answer, or the number."""
        answers: Answers = self._answers
        background = self._background
        if self._grid:
            row, background = self._grid.cut(row), self._grid.cut(background)
            answers = self._grid.answers(answers)
        found = shapley.contributions(answers, row, background, self._columns, ORDERS, SEED)
        values = found.values[0, :, output].tolist()
        base = float(found.base[0, output])
        return {
            "output": self._classes[output] if self._classes else None,
            "answer": float(answers(row)[0, output]),
            "base": base,
            "contributions": {column.name: value for column, value in zip(self._columns, values, strict=True)},
            **({"grid": {"tops": self._grid.tops, "lefts": self._grid.lefts}} if self._grid else {}),
            "error": float(found.error[0]),
        }

    def _counterfactual(self, row: Arrays) -> dict[str, Any]:
        if self._grid:
            return {"counterfactual": None, "why": NO_PICTURE}
        allowed = [column for column in self._columns if self._may_change(column)]
        found = counterfactual.smallest(self._answers, row, self._background, allowed, by=self._unit)
        if found is None:
            return {"counterfactual": None, "why": NO_CHANGE}
        said = {"changes": [_change(one) for one in found.changes], "prediction": self._class(found.answer)}
        if self._classes:
            said["probability"] = float(found.answer.max())
        return {"counterfactual": said, "why": ""}

    def _may_change(self, column: Column) -> bool:
        """Not one that the YAML calls fixed, and no instant of a forecast."""
        moment = self._about["kind"] == "sequence" and column.array == "dates"
        return not moment and column.name not in self._told.get("fixed", [])

    @cached_property
    def _unit(self) -> float:
        """By how much a number must move to be another answer: one standard deviation of the answers to the background
        rows."""
        return 0.0 if self._classes else float(self._answers(self._background).std(dtype=np.float64))

    def _answers(self, arrays: Arrays) -> np.ndarray:
        """[rows, outputs]."""
        parts = [
            self._engine.answers(rows(arrays, slice(start, start + MOST_ROWS)))
            for start in range(0, count(arrays), MOST_ROWS)
        ]
        return np.concatenate(parts)


def _background(version: Version, about: Mapping[str, Any], told: Mapping[str, Any]) -> tuple[Arrays, frozenset[str]]:
    """Rows of the training split as arrays, and the columns that they were kept without. Raises Problem."""
    import pandas as pd  # half a second, in this process alone

    path = version.folder / kept.FOLDER / str(told.get("background") or BACKGROUND)
    if not path.is_file():
        raise kept.without(version)
    table = pd.read_parquet(path)
    absent = {column.name for column in columns(dict(about))} - set(table.columns)
    window = about.get("past", {}).get("window", 0)
    past = {*about.get("past", {}).get("numbers", []), *about.get("past", {}).get("categories", [])}
    for name in sorted(absent):
        table[name] = pd.Series(
            [[None] * window if name in past else None] * len(table), index=table.index, dtype=object
        )
    predictor = version_code.module(version.folder / "model" / "predictor.py")
    return predictor.to_arrays(table, dict(about)), frozenset(absent)


def _change(one: Change) -> dict[str, Any]:
    said = {"column": one.column.name, "before": _said(one.column, one.before), "after": _said(one.column, one.after)}
    return said | ({"step": "last"} if one.column.array.startswith("past_") else {})


def _said(column: Column, value: Any) -> Any:
    """A value as JSON has it: a date as ISO text in UTC, a whole number without a point, a missing one as null."""
    if value != value or value == "":
        return None
    if column.array == "dates":
        return datetime.fromtimestamp(value, UTC).isoformat()
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < 2**53 else value
