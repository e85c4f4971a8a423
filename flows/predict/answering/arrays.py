"""Rows as the arrays that a model's graph takes, made by Arrow: equal to those of pipelines/model/predictor.py.

That file travels with each model, takes rows of pandas one cell after the other, and says what is wrong with a cell.
Here rows have been read and typed. Each different word or date of a column is looked at once.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.model import predictor

ONE_DATE: dict[str, Any] = {"kind": "table", "numbers": [], "categories": [], "dates": ["at"]}
NO_PAST: dict[str, Any] = {"window": 0, "numbers": [], "categories": []}


def to_arrays(table: pa.Table, about: dict[str, Any]) -> dict[str, np.ndarray]:
    """predictor.to_arrays of typed rows, for the same `about`: the same names, shapes, types and values.

    Columns have the types of raw rows or of windows (pipelines/table/rows.py).
    """
    if about["kind"] == "image":
        return {"image": _images(whole(table["image"]), about["shape"])}
    past, dates, result = about.get("past", NO_PAST), about.get("dates", []), {}
    if about["numbers"]:
        result["numbers"] = np.column_stack([_doubles(whole(table[name])) for name in about["numbers"]])
    if about["categories"]:
        result["categories"] = np.column_stack([words(whole(table[name])) for name in about["categories"]])
    if dates:
        result["dates"] = np.column_stack([_seconds(whole(table[name])) for name in dates])
    shape = (table.num_rows, past["window"])
    if past["numbers"]:
        cells = [_doubles(whole(table[name]).flatten()).reshape(shape) for name in past["numbers"]]
        result["past_numbers"] = np.stack(cells, axis=2)
    if past["categories"]:
        cells = [words(whole(table[name]).flatten()).reshape(shape) for name in past["categories"]]
        result["past_categories"] = np.stack(cells, axis=2)
    return result


def whole(column: pa.ChunkedArray) -> pa.Array:
    """A column in one piece."""
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _images(column: pa.Array, shape: list[int]) -> np.ndarray:
    """uint8 [rows, height, width, channels]."""
    size, content = column.type.byte_width, column.buffers()[1]
    flat = np.frombuffer(content, np.uint8) if content else np.empty(0, np.uint8)
    return flat[column.offset * size : (column.offset + len(column)) * size].reshape(-1, *shape)


def _doubles(column: pa.Array) -> np.ndarray:
    """float64 [rows], NaN where missing."""
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)


def words(column: pa.Array) -> np.ndarray:
    """Text [rows], as objects; empty where missing."""
    known, codes = coded(column)
    return np.array(known, object)[codes]


def coded(column: pa.Array) -> tuple[list[str], np.ndarray]:
    """The different words, the empty one last, and for each row [rows] the place of its word there."""
    found = column.dictionary_encode()
    known = found.dictionary.to_pylist()
    return [*known, ""], pc.fill_null(found.indices, len(known)).to_numpy(zero_copy_only=False)


def _seconds(column: pa.Array) -> np.ndarray:
    """Seconds since 1970 [rows], NaN where missing, of ISO text in UTC."""
    import pandas as pd

    known, codes = coded(column)
    return predictor.to_arrays(pd.DataFrame({"at": known}, dtype=object), ONE_DATE)["dates"][codes, 0]
