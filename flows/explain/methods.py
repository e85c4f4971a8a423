"""The ways to explain an answer: each gives a base and, for each column, what it adds to that."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from flows.predict.answering import answers as answering
from flows.serving.engine.onnx import OnnxEngine
from pipelines.errors import RequestError
from pipelines.explaining import gradients, shapley
from pipelines.explaining.columns import Answers, Arrays, Column, columns, count, rows
from pipelines.explaining.parts import Parts
from pipelines.explaining.pictures import patches
from pipelines.hardware import device

MOST_BACKGROUND = 100  # rows of the background that are used
AGAINST, FOR = "speaks against the answer", "speaks for it"


class Method(Protocol):
    """columns: names of what is explained. told: the method, in words."""

    columns: list[str]
    told: str

    def of(self, given: Arrays, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """base float64 [rows] and contributions float64 [rows, columns] to one output of each row, outputs [rows]."""


@dataclass(frozen=True)
class Version:
    """folder: its model folder; serving: its serving files, or None; both checked. about: its model.json. background:
    rows as arrays. hidden: columns that are not explained."""

    folder: Path
    serving: Path | None
    about: dict[str, Any]
    background: Arrays
    hidden: list[str]

    @property
    def shown(self) -> list[Column]:
        return [column for column in columns(self.about) if column.name not in self.hidden]

    @property
    def nearest(self) -> Arrays:
        """The rows of the background that are used."""
        there = count(self.background)
        return rows(self.background, shapley.spread(there, min(there, MOST_BACKGROUND)))


def answers_of(version: Version) -> tuple[Answers, str]:
    """The model as a function of arrays, and what computes it, in words: its ONNX file where it has one."""
    graph = version.serving / "model.onnx" if version.serving else None
    if graph is not None and graph.is_file():
        return OnnxEngine(graph.read_bytes()).answers, "ONNX Runtime, on the CPU"
    loaded, told = _keras(version)

    def computed(arrays: Arrays) -> np.ndarray:
        found: np.ndarray = loaded._batch(arrays, 0, count(arrays))
        return found

    return computed, told


def _keras(version: Version) -> tuple[Any, str]:
    choice = device.prepare(device.of_model(version.folder, "cpu"), seed=0)
    return answering.loaded(version.folder), choice.told


class Shapley:
    """Shapley values of the raw columns, of a picture those of its patches."""

    def __init__(self, version: Version, answers: Answers, orders: int, seed: int):
        """Raises RequestError if there is no column to explain."""
        self._orders, self._seed = orders, seed
        grid = patches.grid(version.about["shape"]) if version.about["kind"] == "image" else None
        self._cut: Callable[[Arrays], Arrays] = grid.cut if grid else dict
        self._answers = grid.answers(answers) if grid else answers
        self._columns = grid.columns if grid else version.shown
        if not self._columns:
            raise RequestError("Every column of this model is sensitive: there is none to explain.", "")
        self.columns = [column.name for column in self._columns]
        exact = len(self._columns) <= shapley.EXACT
        self._background = self._cut(version.nearest if not exact else version.background)
        pairs = shapley.begun_from(count(self._background), len(self._columns), orders)
        how = "every coalition" if exact else f"{2 * pairs:,} orders"
        rows_of = min(pairs, count(self._background))
        self.told = f"Shapley values, {how} of {len(self._columns)} columns from {rows_of} rows"

    def of(self, given: Arrays, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        cut = self._cut(given)
        found = shapley.contributions(self._answers, cut, self._background, self._columns, self._orders, self._seed)
        every = np.arange(len(outputs))
        return found.base[every, outputs], found.values[every, :, outputs]


class Gradients:
    """Integrated gradients of the raw columns."""

    def __init__(self, version: Version):
        """Raises RequestError if there is no column to explain, or columns that may not be."""
        if len(version.shown) < len(columns(version.about)):
            raise RequestError(
                "Integrated gradients would tell what sensitive columns add.",
                "Use `--method shapley`, which leaves such columns out.",
            )
        self._parts = Parts(_keras(version)[0].model)
        self._columns, self._background = version.shown, version.nearest
        self.columns = [column.name for column in self._columns]
        self.told = f"integrated gradients, {gradients.STEPS} steps from each of {count(self._background)} rows"

    def of(self, given: Arrays, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = gradients.of_rows(self._parts, given, self._background, self._columns, outputs)
        return found.base, found.values


class Pixels:
    """Integrated gradients of the pixels of pictures, drawn: a PNG for each. What all pixels add is one column."""

    def __init__(self, version: Version, into: Path):
        self._parts = Parts(_keras(version)[0].model)
        self._into, self._number = into, 0
        self._baseline = {"image": gradients.mean_picture(version.background["image"])}
        self.columns = ["all pixels"]
        self.told = (
            f"integrated gradients, {gradients.STEPS} steps from the mean of {count(version.background)} pictures"
        )

    def of(self, given: Arrays, outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = gradients.of_pictures(self._parts, given, self._baseline, outputs)
        self._into.mkdir(exist_ok=True)
        for picture, values in zip(given["image"], found.values, strict=True):
            self._number += 1
            self._draw(picture, values.sum(axis=2), self._into / name_of(self._number))
        return found.base, found.values.reshape(len(outputs), -1).sum(axis=1, keepdims=True)

    def _draw(self, picture: np.ndarray, values: np.ndarray, path: Path) -> None:
        from pipelines.explaining.pictures import sheet
        from pipelines.explaining.pictures.sheet import Block, Tile

        tiles = [Tile(picture, title="picture"), Tile(sheet.summed(values), "signed", "what its pixels add")]
        title = f"Picture {self._number}"
        sheet.save([Block(title, [tiles])], 2, path, ("signed", AGAINST, FOR))


def name_of(number: int) -> str:
    """The PNG of a picture, by its place among the rows, from 1."""
    return f"{number:06d}.png"
