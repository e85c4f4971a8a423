"""Golden rows as somebody would send them: plain JSON objects in the form that the address `predict` takes.

A sensitive value is null, as if it were missing.
"""

import base64
import io
import json
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from flows.registry import columns
from pipelines.config.data import Data
from pipelines.table.series import step_grid, windows

MOST_BYTES = 4_000_000  # of all examples as JSON: 200 large images or long windows would be too much for a page
PICTURES = {1: "L", 3: "RGB"}  # Pillow's mode by the number of channels
EXACT = 2**53  # whole numbers up to here are exact as doubles
Row = dict[str, Any]


def rows(data: Data, golden: pa.Table, sensitive: Collection[str]) -> list[Row]:
    """The examples, as many as MOST_BYTES allow and at least one of those that there are.

    golden: evidence/golden.parquet of a version. sensitive: the columns to leave empty.
    """
    made = {"image": _images, "sequence": _forecasts, "table": _plain}[data.kind]
    found: list[Row] = []
    size = 0
    for row in made(data, golden, set(sensitive)):
        size += len(json.dumps(row))
        if found and size > MOST_BYTES:
            break
        found.append(row)
    return found


def first(found: list[Row]) -> Row:
    """The first example in which the fewest values are missing; {} if there is none."""
    return min(found, key=_missing, default={})


def _missing(row: Row) -> int:
    return sum(value is None for part in row.get("rows", [row]) for value in part.values())


def _plain(data: Data, golden: pa.Table, sensitive: set[str]) -> Iterator[Row]:
    names = list(columns.roles(data))
    for row in golden.to_pylist():
        yield {name: None if name in sensitive else _value(row.get(name)) for name in names}


def _value(value: Any) -> Any:
    """As JSON has it: a whole number without a point, a missing value as null."""
    if value is None or value != value:
        return None
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < EXACT else value


def _images(data: Data, golden: pa.Table, sensitive: set[str]) -> Iterator[Row]:
    for pixels in golden["image"].to_pylist():
        yield {"image": _picture(np.frombuffer(pixels, np.uint8).reshape(data.shape))}


def _picture(pixels: np.ndarray) -> Any:
    """A PNG as base64, or nested lists where PNG has no such number of channels. pixels: uint8 [height, width, c]."""
    mode = PICTURES.get(pixels.shape[2])
    if mode is None:
        return pixels.tolist()
    file = io.BytesIO()
    Image.fromarray(pixels[:, :, 0] if mode == "L" else pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


# ------------------------------------------------------------------ the rows before a forecast


def _forecasts(data: Data, golden: pa.Table, sensitive: set[str]) -> Iterator[Row]:
    """Each window as the rows that it was made of. Its last target must be known: a forecast goes on from there."""
    for row, at in zip(golden.to_pylist(), windows.instants(golden[data.time].combine_chunks()).tolist(), strict=True):
        if _value(row[data.past_target][-1]) is not None:
            known = [*_seasons(data, row), *_window(data, row)]
            yield {"rows": [_whole(data, row, values, at, steps, sensitive) for steps, values in known]}


def _window(data: Data, row: Row) -> Iterator[tuple[int, Row]]:
    """The rows of the window, the oldest first, and how many steps each comes before the forecast. A step without any
    value has no row."""
    names = {data.past_target: data.target} | {name: name for name in (*data.numbers, *data.past_categories)}
    for place in range(data.window):
        values = {name: _value(row[column][place]) for column, name in names.items() if column in row}
        if any(value is not None for value in values.values()):
            yield data.horizon + data.window - 1 - place, values


def _seasons(data: Data, row: Row) -> Iterator[tuple[int, Row]]:
    """The rows one season before, where they are older than the window: only their target is known."""
    older = {steps: _value(row[name]) for name, steps in data.lags.items() if steps >= data.horizon + data.window}
    for steps, target in sorted(older.items(), reverse=True):
        if target is not None:
            yield steps, {data.target: target}


def _whole(data: Data, row: Row, values: Row, at: int, steps: int, sensitive: set[str]) -> Row:
    """A raw row with all its columns. at: the instant of the forecast, in microseconds since 1970."""
    known = values | {name: row.get(name) for name in data.series} | {data.time: _instant(data, at, steps)}
    return {name: None if name in sensitive else known.get(name) for name in columns.roles(data)}


def _instant(data: Data, at: int, steps: int) -> str:
    """So many steps before `at`, as ISO text in UTC. at: microseconds since 1970."""
    before = step_grid.later(at, -steps, data.step)
    return f"{np.datetime64(before, 'us').item().isoformat()}+00:00"
