"""The raw columns of a model, as they sit in the arrays that its network takes (`to_arrays` of predictor.py).

Explanations swap whole columns between rows of these arrays and ask the model again, so the same code explains a
Keras model and its ONNX file: both answer the same arrays.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]  # each [rows, ...]
Answers = Callable[[Arrays], np.ndarray]  # Arrays -> float32 [rows, outputs], outputs 1 for a regression


@dataclass(frozen=True)
class Column:
    """One raw column: its values are arrays[array][..., place], [rows], or [rows, window] of the past."""

    name: str
    array: str
    place: int


def columns(about: dict[str, Any]) -> list[Column]:
    """The raw columns of model.json: numbers, categories, dates, past numbers, past categories. None of pictures."""
    past = about.get("past", {"numbers": [], "categories": []})
    names = {
        "numbers": about["numbers"],
        "categories": about["categories"],
        "dates": about.get("dates", []),
        "past_numbers": past["numbers"],
        "past_categories": past["categories"],
    }
    if about["kind"] == "image":
        return []
    return [Column(name, array, place) for array, found in names.items() for place, name in enumerate(found)]


def values(arrays: Arrays, column: Column) -> np.ndarray:
    """The values of a column: [rows], or [rows, window] of the past. A view."""
    return arrays[column.array][..., column.place]


def swapped(arrays: Arrays, chosen: Column | Iterable[Column], others: Arrays) -> Arrays:
    """The rows with the values of the chosen columns taken from others, which has as many rows (see `rows`).

    Arrays without a chosen column are not copied.
    """
    result = dict(arrays)
    for column in [chosen] if isinstance(chosen, Column) else chosen:
        if result[column.array] is arrays[column.array]:
            result[column.array] = arrays[column.array].copy()
        result[column.array][..., column.place] = others[column.array][..., column.place]
    return result


def rows(arrays: Arrays, which: Any) -> Arrays:
    """Some rows, in the order of which: indices [n], a mask [rows], or a slice."""
    return {name: found[which] for name, found in arrays.items()}


def count(arrays: Arrays) -> int:
    """How many rows there are. Raises StopIteration for no arrays at all."""
    return len(next(iter(arrays.values())))
