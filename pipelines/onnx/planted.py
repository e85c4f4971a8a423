"""Rows that test data may lack: every column missing once, and every word unknown once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

NEVER = "a word \N{EM DASH} that no model has ever seen"
MOST_BYTES = 16 << 20  # of rows at once
Arrays = dict[str, np.ndarray]  # as predictor.to_arrays gives them


@dataclass(frozen=True)
class Change:
    """A change of one row: all values of a column, or in a window those from a step on."""

    array: str
    column: int
    value: Any
    step: int | None = None  # of a window: the first one that is changed

    def make(self, arrays: Arrays, row: int) -> None:
        place = (row, self.column) if self.step is None else (row, slice(self.step, None), self.column)
        arrays[self.array][place] = self.value


def rows(arrays: Arrays) -> Iterator[Arrays]:
    """Copies of the given rows, one for each change, and at the end one with all columns missing and one with all words
    unknown; some rows at a time. Nothing for images."""
    size = next((len(values) for values in arrays.values()), 0)
    kinds = [[change] for change in _changes(arrays)]
    if not size or not kinds:
        return
    missing = [change for (change,) in kinds if change.value != NEVER and not change.step]
    unknown = [change for (change,) in kinds if change.value == NEVER and not change.step]
    wanted = [*kinds, missing, unknown]
    at_once = max(1, MOST_BYTES * size // max(1, sum(values.nbytes for values in arrays.values())))
    for start in range(0, len(wanted), at_once):
        some = wanted[start : start + at_once]
        taken = np.arange(start, start + len(some)) % size
        found = {name: values[taken].copy() for name, values in arrays.items()}
        for row, changes in enumerate(some):
            for change in changes:
                change.make(found, row)
        yield found


def _changes(arrays: Arrays) -> Iterator[Change]:
    for name, values in sorted(arrays.items()):
        if name == "image":
            continue
        steps = [None] if values.ndim == 2 else [0, values.shape[1] - 1, values.shape[1] // 2]
        for column in range(values.shape[-1]):
            for value in ["", NEVER] if values.dtype == object else [np.nan]:
                yield from (Change(name, column, value, step) for step in steps)
