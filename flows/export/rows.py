"""The rows by which an export is checked: those that are kept with the version, and some with gaps planted in them."""

import json
from collections.abc import Collection, Iterator
from typing import Any

import pyarrow as pa

from flows.deployment import examples
from pipelines.onnx.planted import NEVER

Row = dict[str, Any]


def golden(kept: pa.Table, about: dict[str, Any]) -> list[Row]:
    """The kept rows as reader.py takes them. kept: with every column of the model. about: model.json."""
    if about["kind"] == "image":
        height, width, channels = about["shape"]
        return [{"image": _nested(pixels, height, width, channels)} for pixels in kept["image"].to_pylist()]
    names = columns(about)
    return [{name: _plain(row[name]) for name in names} for row in kept.select(names).to_pylist()]


def columns(about: dict[str, Any]) -> list[str]:
    """The columns of a row of the model; of a picture only `image`."""
    past = about.get("past", {"numbers": [], "categories": []})
    known = [*about["numbers"], *about["categories"], *about.get("dates", []), *past["numbers"], *past["categories"]]
    return ["image"] if about["kind"] == "image" else known


def planted(rows: list[Row], about: dict[str, Any]) -> Iterator[Row]:
    """Copies of some rows: each column missing once, each word unknown once, and all of them at once. None of
    pictures."""
    if about["kind"] == "image" or not rows:
        return
    words = {*about["categories"], *about.get("past", {}).get("categories", [])}
    changes: list[dict[str, Any]] = [{name: None} for name in columns(about)]
    changes += [{name: NEVER} for name in sorted(words)]
    changes += [dict.fromkeys(columns(about)), dict.fromkeys(sorted(words), NEVER)]
    for place, change in enumerate(changes):
        row = rows[place % len(rows)]
        yield row | {name: _filled(row[name], value) for name, value in change.items()}


def _filled(before: Any, value: Any) -> Any:
    """A missing value or a word; in a window it stands in the newer half, and the older one stays."""
    if not isinstance(before, list):
        return value
    half = len(before) // 2
    return [*before[:half], *[value] * (len(before) - half)]


def example(rows: list[Row], sensitive: Collection[str]) -> Row:
    """The first row in which the fewest values are missing, without those of sensitive columns."""
    return examples.first([row | {name: _emptied(row[name]) for name in sensitive if name in row} for row in rows])


def _emptied(value: Any) -> Any:
    return [None] * len(value) if isinstance(value, list) else None


def text(rows: list[Row]) -> str:
    return json.dumps(rows, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    """As JSON has it: null for a value that is missing."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return None if value is None or value != value else value


def _nested(pixels: bytes, height: int, width: int, channels: int) -> list[list[list[int]]]:
    line = width * channels
    return [
        [list(pixels[start : start + channels]) for start in range(row * line, (row + 1) * line, channels)]
        for row in range(height)
    ]
