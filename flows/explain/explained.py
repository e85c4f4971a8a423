"""Rows and the contributions of their columns, as a table that is written.

What is explained is one number of each row: the probability of the class that the model answers, or the number that it
answers. It is the sum of `base` and of the contributions; `error` says how exactly. A sensitive column has no
contribution, since that would tell its value: it keeps the row's own value, also in the base.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from flows.explain import methods
from flows.explain.methods import Gradients, Method, Pixels, Shapley, Version
from flows.predict import writer
from flows.predict.answering import arrays as rows_as_arrays
from pipelines.config.data import Data
from pipelines.errors import DataError, RequestError
from pipelines.explaining import counterfactual
from pipelines.explaining.columns import Answers, Arrays, Column, rows
from pipelines.explaining.counterfactual import Change

SHOWN, TOP = 3, 3  # rows that the person is shown, and columns of each
BEFORE = "contribution_"  # a column may have the name of another one of the file
CHANGE, PICTURE = "change", "picture"  # columns that are there if they are asked for
NONE = "no change of one or two columns changes the answer"


@dataclass(frozen=True)
class Settings:
    """As asked.Wanted has them. fixed: columns that the smallest change leaves alone."""

    method: str
    orders: int
    seed: int
    change: bool
    fixed: list[str] = field(default_factory=list)


def of_version(
    folder: Path, serving: Path | None, background: pa.Table, settings: Settings, hidden: list[str], pictures: Path
) -> "Explainer":
    """The explainer of a version, by the checked files. pictures: a folder that is made if there are some.

    Raises RequestError for a method that does not go with the model.
    """
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    version = Version(folder, serving, about, rows_as_arrays.to_arrays(background, about), hidden)
    is_picture = about["kind"] == "image"
    if settings.change and is_picture:
        raise RequestError("A picture has no columns that could be changed one by one.", "Leave out --counterfactual.")
    answers, told = methods.answers_of(version)
    method: Method
    if settings.method == "shapley" or not (settings.method or is_picture):
        method = Shapley(version, answers, settings.orders, settings.seed)
    else:
        method = Pixels(version, pictures) if is_picture else Gradients(version)
        told = "TensorFlow, on the CPU"
    return Explainer(version, answers, method, settings, told)


@dataclass
class Explainer:
    """One version and a method. hardware: what computes, in words. The others are what is known so far: the largest
    error, the first rows as the person is shown them, and how many there were."""

    version: Version
    answers: Answers
    method: Method
    settings: Settings
    hardware: str
    largest: float = 0.0
    first: list[dict[str, Any]] = field(default_factory=list)
    rows: int = 0

    def schema(self, data: Data) -> pa.Schema:
        """row_id, of a sequence series and time, prediction, answer, base, contributions, their error; change and
        picture where they are asked for."""
        numbers = ["answer", "base", *(BEFORE + name for name in self.method.columns), "error"]
        texts = [CHANGE] * self.settings.change + [PICTURE] * isinstance(self.method, Pixels)
        return pa.schema(
            [
                *writer.schema(data, [], {}),
                *((name, pa.float64()) for name in numbers),
                *((name, pa.string()) for name in texts),
            ]
        )

    def explained(self, table: pa.Table, schema: pa.Schema) -> pa.Table:
        """Typed rows, explained. Raises DataError for an answer that is no number."""
        given, classes = rows_as_arrays.to_arrays(table, self.version.about), self.version.about["classes"]
        answers = np.asarray(self.answers(given), np.float64)
        outputs = answers.argmax(axis=1) if classes else np.zeros(len(answers), int)
        answer = answers[np.arange(len(outputs)), outputs]
        base, shares = self.method.of(given, outputs)
        self._check(np.column_stack([answers, base, shares]), table)
        kind = schema.field("prediction").type
        made = {
            "prediction": pa.array(classes, kind).take(pa.array(outputs)) if classes else pa.array(answer, kind),
            "answer": pa.array(answer),
            "base": pa.array(base),
            "error": pa.array(np.abs(answer - base - shares.sum(axis=1))),
        }
        made |= {BEFORE + name: pa.array(shares[:, place]) for place, name in enumerate(self.method.columns)}
        if self.settings.change:
            made[CHANGE] = pa.array([self._change(rows(given, [place])) for place in range(len(outputs))])
        if isinstance(self.method, Pixels):
            numbers = range(self.rows + 1, self.rows + 1 + len(outputs))
            made[PICTURE] = pa.array([methods.name_of(number) for number in numbers])
        columns = [made[name] if name in made else table[name] for name in schema.names]
        found = pa.Table.from_arrays(columns, schema=schema)
        self._note(found)
        return found

    def told(self) -> dict[str, Any]:
        """What is said of all rows: method, hardware, explains, contributions, largest_error, first."""
        of = (
            "the probability of the class that is predicted"
            if self.version.about["classes"]
            else "the predicted number"
        )
        return {
            "method": self.method.told,
            "hardware": self.hardware,
            "explains": of,
            "contributions": self.method.columns,
            "largest_error": self.largest,
            "first": self.first,
        }

    def _check(self, numbers: np.ndarray, table: pa.Table) -> None:
        wrong = ~np.isfinite(numbers).all(axis=1)
        if wrong.any():
            row = int(wrong.argmax())
            raise DataError(
                f"The answer to row {self.rows + row + 1} (row_id {table['row_id'][row].as_py()}), or to one with some "
                "of its values, is no finite number: its values lie too far from those that the model was trained on.",
                "Look at that row, and correct it or take it out.",
            )

    def _note(self, found: pa.Table) -> None:
        self.largest = max(self.largest, float(max(found["error"].to_pylist())))
        for row in found.slice(0, max(0, SHOWN - self.rows)).to_pylist():
            shares = {name: row[BEFORE + name] for name in self.method.columns}
            top = sorted(shares, key=lambda name: -abs(shares[name]))[:TOP]
            said = {name: row[name] for name in ("row_id", "prediction", "answer", "base")}
            self.first.append(said | {"top": {name: shares[name] for name in top}})
        self.rows += len(found)

    def _change(self, row: Arrays) -> str:
        """The smallest change that turns the answer, in words."""
        found = counterfactual.smallest(self.answers, row, self.version.background, self._free, by=self._unit)
        if found is None:
            return NONE
        classes = self.version.about["classes"]
        now = classes[int(found.answer.argmax())] if classes else f"{float(found.answer[0]):.6g}"
        return f"{' and '.join(map(_words, found.changes))}: {now}"

    @property
    def _free(self) -> list[Column]:
        """The columns that may be changed: those that are shown, but no instant of a forecast."""
        forecast = self.version.about["kind"] == "sequence"
        return [
            column
            for column in self.version.shown
            if not (forecast and column.array == "dates") and column.name not in self.settings.fixed
        ]

    @cached_property
    def _unit(self) -> float:
        """By how much a number must move to be another answer: one standard deviation of the answers to the
        background."""
        if self.version.about["classes"]:
            return 0.0
        return float(np.asarray(self.answers(self.version.background), np.float64).std())


def _words(change: Change) -> str:
    """Such as `tenure 14 instead of 2`."""
    last = ", last step," if change.column.array.startswith("past_") else ""
    return f"{change.column.name}{last} {_said(change, change.after)} instead of {_said(change, change.before)}"


def _said(change: Change, value: float | str) -> str:
    if value != value or value == "":
        return "none"
    if change.column.array == "dates":
        return datetime.fromtimestamp(float(value), UTC).isoformat()
    return value if isinstance(value, str) else f"{value:.6g}"
