"""The columns of a version, as somebody who asks it for an answer needs them: names, roles, ranges, words.

They are written when a version is published, and kept with it as evidence/columns.json. For a version of an older
Ratchet they are made from what is there. No value of a sensitive column is in them.
"""

import json
from pathlib import Path
from typing import Any, TypeGuard

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config.data import Data
from pipelines.config.settings import FORMAT
from pipelines.table.profile import Profile

NAME = "columns.json"
MOST_WORDS = 100  # of a column
FACTS = ("kind", "task", "target", "label", "shape", "window", "horizon", "step", "time", "series", "lags", "baseline")


def describe(
    data: Data, model: Path, instants: dict[str, list[str]], found: Profile | None, golden: pa.Table | None
) -> dict[str, Any]:
    """The content of columns.json, without an example (docs/reference/state.md).

    model: the model folder. found: the profile of the data; golden: a few rows, for a version without a profile.
    """
    about = json.loads((model / "model.json").read_text(encoding="utf-8"))
    known = vocabularies(model, about)
    columns = (found or {}).get("columns", {})
    return {
        "format": FORMAT,
        **{name: getattr(data, name) for name in FACTS},
        "classes": about["classes"],
        "columns": [
            _column(name, role, data, columns.get(name, {}), _golden(golden, name), known.get(name, []))
            for name, role in roles(data).items()
        ],
        "instants": instants,
    }


def roles(data: Data) -> dict[str, str]:
    """The columns of a raw row, and what each is: number, category or date. An image has none but the image."""
    if data.kind == "image":
        return {}
    needed = set(data.series)
    wanted = {name: role for name, role in data.columns.items() if role != "carried" or name in needed}
    found = {name: "category" if role == "carried" else str(role) for name, role in wanted.items()}
    return found | ({data.target: "number"} if data.kind == "sequence" else {})


def without(found: dict[str, Any], sensitive: list[str]) -> dict[str, Any]:
    """The same without the values of columns that were marked as sensitive later."""
    columns = [_bare(column) if column["name"] in sensitive else column for column in found["columns"]]
    return found | {"columns": columns}


def _bare(column: dict[str, Any]) -> dict[str, Any]:
    return column | {"least": None, "most": None, "words": [], "more_words": 0, "sensitive": True}


def _column(
    name: str, role: str, data: Data, measured: dict[str, Any], golden: pa.ChunkedArray | None, known: list[str]
) -> dict[str, Any]:
    hidden = name in data.sensitive
    ends = [] if hidden or role != "number" else _numbers(measured, golden)
    words = [] if hidden or role != "category" else _words(measured, golden, known)
    total = max(len(known), measured.get("distinct", 0) if not known else 0, len(words))
    return {
        "name": name,
        "role": role,
        "least": min(ends, default=None),
        "most": max(ends, default=None),
        "words": words[:MOST_WORDS],
        "more_words": total - min(len(words), MOST_WORDS) if words else 0,
        "whole": bool(ends) and all(float(value).is_integer() for value in ends),
        "sensitive": hidden,
        "missing": bool(measured.get("missing", 0) or (golden is not None and golden.null_count)),
    }


def _numbers(measured: dict[str, Any], golden: pa.ChunkedArray | None) -> list[float]:
    """Values of a column: its quantiles, the smallest and the largest among them, and those of the golden rows."""
    rows = [] if golden is None or not pa.types.is_floating(golden.type) else golden.drop_null().to_pylist()
    quantiles = measured.get("quantiles", [])
    return [*quantiles, *(value for value in rows if value == value)]


def _words(measured: dict[str, Any], golden: pa.ChunkedArray | None, known: list[str]) -> list[str]:
    """The words of a column, the most frequent first. known: those that the model has learned, in any order."""
    often = list(measured.get("words", {}))
    if not known:
        return often or (sorted(pc.unique(golden.drop_null()).to_pylist()) if _has_texts(golden) else [])
    learned = set(known)
    first = [word for word in often if word in learned]
    return [*first, *sorted(learned - set(first))]


def _has_texts(golden: pa.ChunkedArray | None) -> TypeGuard[pa.ChunkedArray]:
    return golden is not None and (pa.types.is_string(golden.type) or pa.types.is_large_string(golden.type))


def _golden(golden: pa.Table | None, name: str) -> pa.ChunkedArray | None:
    return golden[name] if golden is not None and name in golden.schema.names else None


def vocabularies(model: Path, about: dict[str, Any]) -> dict[str, list[str]]:
    """The words that a model has learned of each category; {} of more than a hundred categories, which share one list
    (pipelines/model/features.py). about: its model.json."""
    layers = json.loads((model / "architecture.json").read_text(encoding="utf-8")).get("config", {}).get("layers", [])
    found = {
        layer["config"]["name"]: layer["config"]["vocabulary"]
        for layer in layers
        if layer["class_name"] == "StringLookup"
    }
    ordered = [*about.get("past", {}).get("categories", []), *about["categories"]]
    names = {name: f"category_{place}" for place, name in enumerate(ordered)}
    return {name: [word for word in found[layer] if word] for name, layer in names.items() if layer in found}
