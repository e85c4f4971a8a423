"""A version that is loaded: its reader, its engine and its batcher belong together, so no batch mixes versions."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from flows.serving.answer import Answer
from flows.serving.engine.batcher import Batcher
from flows.serving.problem import Problem
from flows.serving.rows import batch as batches
from flows.serving.rows.batch import Batch
from flows.serving.rows.reader import RowReader
from flows.serving.version import Version

PIECE = 64  # rows of a large request that are read and computed before others have their turn
DRAIN_SECONDS = 0.05


@dataclass(frozen=True)
class Answered:
    """The answers to a request. parts: if two versions gave them, those of each, with their places in the request; the
    first is of `version`."""

    version: Version
    answers: list[Answer]
    batch: Batch
    parts: "tuple[tuple[Answered, tuple[int, ...]], ...]" = ()


class Loaded:
    """One version, ready to answer."""

    def __init__(self, version: Version, reader: RowReader, batcher: Batcher):
        self.version, self._reader, self._batcher = version, reader, batcher
        self._requests = 0  # under way

    @property
    def problem(self) -> str:
        """Why it does not answer now; "" if it does."""
        return self._batcher.problem

    async def answer(self, rows: Sequence[Any]) -> Answered:
        """Raises Problem."""
        if not rows:
            raise Problem(400, "empty", "A request without rows", "The request holds no row.", "Send one or more.")
        self._requests += 1
        try:
            return await self._answered(rows)
        finally:
            self._requests -= 1

    async def drained(self) -> None:
        """Wait until the last request is answered, then free what is held."""
        while self._requests:
            await asyncio.sleep(DRAIN_SECONDS)
        await asyncio.to_thread(self._batcher.close)  # a child takes a while to end

    async def _answered(self, rows: Sequence[Any]) -> Answered:
        parts, values = [], []
        for start in range(0, len(rows), PIECE):
            part = self._reader.read(rows[start : start + PIECE], start)
            values.append(await self._batcher.answers(part.arrays, part.size))
            parts.append(part)
        batch = batches.joined(parts)
        found = values[0] if len(values) == 1 else np.concatenate(values)
        _check_finite(found)
        return Answered(self.version, _answers(found, self._reader.classes, batch), batch)


def _check_finite(values: np.ndarray) -> None:
    """Raises Problem for an answer that is no number: values may be too large for the model."""
    if np.isfinite(values).all():
        return
    row = int(np.argwhere(~np.isfinite(values))[0][0]) + 1
    told = f"The answer to row {row} is not a finite number."
    raise Problem(400, "no-answer", "The model has no answer", told, "Look for extreme values in the row.", row=row)


def _answers(values: np.ndarray, classes: Sequence[str | int], batch: Batch) -> list[Answer]:
    """values [rows, outputs] -> one answer for each row."""
    times = batch.times or [""] * batch.size
    if not classes:
        numbers = zip(values[:, 0].tolist(), batch.unknown, times, strict=True)
        return [Answer(number, {}, unknown, time) for number, unknown, time in numbers]
    names = [str(name) for name in classes]
    found = zip(values.argmax(axis=1).tolist(), values.tolist(), batch.unknown, times, strict=True)
    return [
        Answer(classes[best], dict(zip(names, row, strict=True)), unknown, time) for best, row, unknown, time in found
    ]
