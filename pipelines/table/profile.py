"""The profile of a table: the distribution of each column, small enough to keep and compare.

It reads one column and one row group at a time. Counts, mean, smallest and largest cover all rows. In a table of more
than MOST_ROWS rows, quantiles and words come from about so many, chosen by their identity (never by their place), and
the profile has their number.
"""

import json
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config.data import PIXELS, Data
from pipelines.config.settings import FORMAT
from pipelines.table import row_groups

MOST_ROWS = 1_000_000  # rows for quantiles and words
STEPS = 100  # quantiles are known at every hundredth
MOST_WORDS = 30  # the most frequent words of a column
MOST_LETTERS = 100  # of a word

Profile = dict[str, Any]
Column = dict[str, Any]


def profile(path: Path, data: Data, least: int = 1) -> Profile:
    """`format`, `rows`, `sampled` (rows behind quantiles and words), and `columns` by name (FORMATS.md).

    least: only words that so many rows share are named.
    """
    kept, total = _chosen(path), row_groups.rows(path)
    columns: dict[str, Column] = {}
    if data.kind == "image":
        columns |= _of_images(path, kept)
    for name, values in row_groups.by_column(path, [*data.columns, data.target]):
        hidden = name in data.sensitive
        number = data.columns.get(name) == "number" or (name == data.target and data.task == "regression")
        measured = _number(values, kept) if number else _words(values, kept, least)
        columns[name] = {"kind": measured["kind"], "missing": measured["missing"]} if hidden else measured
    return {
        "format": FORMAT,
        "rows": total,
        "sampled": total if kept is None else len(kept),
        "columns": dict(sorted(columns.items())),
    }


def without(found: Profile | None, names: list[str]) -> Profile | None:
    """A profile without the values of some columns. It may be older than their mark as sensitive."""
    if found is None:
        return None
    columns = {
        name: {key: column[key] for key in ("kind", "missing")} if name in names else column
        for name, column in found["columns"].items()
    }
    return found | {"columns": columns}


def text(found: Any) -> str:
    """As JSON, a line for each column: a person reads it, and git compares it."""
    head = {key: value for key, value in found.items() if key != "columns"}
    lines = [f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in head.items()]
    columns = [f"    {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in _columns(found)]
    lines.append('"columns": {\n' + ",\n".join(columns) + "\n  }")
    return "{\n  " + ",\n  ".join(lines) + "\n}"


def _columns(found: Profile) -> list[tuple[str, Column]]:
    return list(found["columns"].items())


def _chosen(path: Path) -> np.ndarray | None:
    """The numbers of the rows for quantiles and words; None for all rows."""
    total = row_groups.rows(path)
    if total <= MOST_ROWS:
        return None
    below = f"{int(MOST_ROWS / total * 2**32):08x}"  # of the first digits of an identity, which are a hash
    found, start = [], 0
    for batch in row_groups.batches(path, ["row_id"]):
        found.append(start + np.flatnonzero(pc.less(pc.utf8_slice_codeunits(batch["row_id"], 0, 8), below)))
        start += batch.num_rows
    return np.concatenate(found)


def _parts(arrays: Iterator[pa.Array], kept: np.ndarray | None) -> Iterator[tuple[pa.Array, pa.Array]]:
    """Each array, and its chosen values."""
    start = 0
    for array in arrays:
        stop = start + len(array)
        if kept is None:
            yield array, array
        else:
            low, high = np.searchsorted(kept, (start, stop))
            yield array, array.take(pa.array(kept[low:high] - start))
        start = stop


def _number(arrays: Iterator[pa.Array], kept: np.ndarray | None) -> Column:
    found = _Number()
    for every, chosen in _parts(arrays, kept):
        found.add(every, chosen)
    return found.column()


class _Number:
    """The statistics of a column of numbers so far. Only its chosen values are in memory."""

    def __init__(self) -> None:
        self._missing, self._count = 0, 0
        self._sums: list[float] = []
        self._ends: list[float] = []
        self._held = [np.empty(0)]

    def add(self, every: pa.Array, chosen: pa.Array) -> None:
        known = every.drop_null()
        self._missing += every.null_count
        self._count += len(known)
        if len(known):
            self._sums.append(pc.sum(known).as_py())
            self._ends += pc.min_max(known).as_py().values()
        self._held.append(chosen.drop_null().to_numpy(zero_copy_only=False).astype(float))

    def column(self) -> Column:
        found = np.concatenate(self._held)
        if not len(found):
            return {"kind": "number", "missing": self._missing, "mean": None, "quantiles": []}
        quantiles = np.quantile(found, np.linspace(0, 1, STEPS + 1), method="inverted_cdf")
        quantiles[0], quantiles[-1] = min(self._ends), max(self._ends)
        mean = math.fsum(self._sums) / self._count
        return {
            "kind": "number",
            "missing": self._missing,
            "mean": _short(mean) if math.isfinite(mean) else None,
            "quantiles": [_short(value) for value in quantiles.tolist()],
        }


def _short(value: float) -> float:
    return float(f"{value:.9g}")


def _words(arrays: Iterator[pa.Array], kept: np.ndarray | None, least: int) -> Column:
    missing, counts = 0, Counter[str]()
    for every, chosen in _parts(arrays, kept):
        missing += every.null_count
        for entry in pc.value_counts(chosen.drop_null()):
            counts[str(entry["values"].as_py())[:MOST_LETTERS]] += entry["counts"].as_py()
    common = sorted(((-count, word) for word, count in counts.items() if count >= least))[:MOST_WORDS]
    return {
        "kind": "word",
        "missing": missing,
        "distinct": len(counts),
        "known": sum(counts.values()),
        "words": {word: -count for count, word in common},
    }


def _of_images(path: Path, kept: np.ndarray | None) -> dict[str, Column]:
    """The columns of images for rules: the smallest, largest and mean value of each image."""
    found = {name: _Number() for name in PIXELS}
    for every, chosen in _parts((_pixels(images) for (images,) in row_groups.batches(path, ["image"])), kept):
        for name, column in found.items():
            column.add(every.field(name), chosen.field(name))
    return {name: column.column() for name, column in found.items()}


def _pixels(images: pa.Array) -> pa.StructArray:
    """The columns PIXELS of some images."""
    values = np.frombuffer(b"".join(images.to_pylist()), np.uint8).reshape(len(images), -1)
    columns = (values.min(axis=1), values.max(axis=1), values.mean(axis=1))
    return pa.StructArray.from_arrays([column.astype(float) for column in columns], PIXELS)


def distance(before: Profile, now: Profile, name: str) -> float | None:
    """How far a column has moved, from 0 to 1; None if it is not in both or its values are not known.

    Numbers: the Kolmogorov-Smirnov statistic (scipy), to about 0.01. Words: the total variation, with all unlisted
    words as one. If the share of missing values moved more, that counts.
    """
    a, b = before["columns"].get(name), now["columns"].get(name)
    if not a or not b or a["kind"] != b["kind"] or not before["rows"] or not now["rows"]:
        return None
    gone = abs(a["missing"] / before["rows"] - b["missing"] / now["rows"])
    moved = _ks(a, b) if a["kind"] == "number" else _total_variation(a, b)
    return None if moved is None else round(max(gone, moved), 6)


def _ks(a: Column, b: Column) -> float | None:
    from scipy.stats import ks_2samp

    pair = a.get("quantiles"), b.get("quantiles")
    return float(ks_2samp(*pair, method="asymp").statistic) if pair[0] and pair[1] else None


def _total_variation(a: Column, b: Column) -> float | None:
    if not a.get("words") or not b.get("words"):
        return None
    names = set(a["words"]) | set(b["words"])
    for one in (a, b):
        if sum(one["words"].values()) < one["known"]:  # it may have words that it does not list
            names &= set(one["words"])
    shares = [np.array([one["words"].get(name, 0) / one["known"] for name in sorted(names)]) for one in (a, b)]
    rest = [1 - share.sum() for share in shares]
    return float(np.abs(shares[0] - shares[1]).sum() + abs(rest[0] - rest[1])) / 2


def reference(pin: Path) -> Profile | None:
    """The profile of the last good version, which is pinned together with the data; None for the first data."""
    content = json.loads(pin.read_text(encoding="utf-8")) if pin.exists() else {}
    return content.get("reference")
