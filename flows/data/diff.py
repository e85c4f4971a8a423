"""Two raw tables side by side: the rows that they share, and the statistics of every column.

Row identities are compared range by range, values one column at a time: a large table is never wholly in memory.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from pipelines.table import id_sets, row_groups

FREQUENT = 5  # the most frequent values of a column that are shown


def rows(one: Path, other: Path, held: int = id_sets.HELD) -> dict[str, int]:
    """How many rows are `only_a`, `only_b` and in `both`. A row that one table has twice and the other once counts once
    in both. held: how many identities of a table may be in memory.
    """
    counts, shared = (row_groups.rows(one), row_groups.rows(other)), 0
    for parts in id_sets.together((id_sets.of(one), id_sets.of(other)), counts, held):
        (ids, times), (others, other_times) = (np.unique(found, return_counts=True) for found, _ in parts)
        _, here, there = np.intersect1d(ids, others, assume_unique=True, return_indices=True)
        shared += int(np.minimum(times[here], other_times[there]).sum())
    return {"only_a": counts[0] - shared, "only_b": counts[1] - shared, "both": shared}


def columns(one: Path, other: Path) -> list[dict[str, Any]]:
    """An entry for each column except row_id, first those of the first table: `column`, `a` and `b` (its statistics in
    each table, None if the table lacks it), `differs`."""
    both = [(path, _fields(path)) for path in (one, other)]
    result = []
    for name in both[0][1] | both[1][1]:
        a, b = (statistics(path, fields[name]) if name in fields else None for path, fields in both)
        result.append({"column": name, "a": a, "b": b, "differs": a != b})
    return result


def _fields(path: Path) -> dict[str, pa.Field]:
    with row_groups.opened(path) as file:
        return {field.name: field for field in file.schema_arrow if field.name != "row_id"}


def statistics(path: Path, field: pa.Field) -> dict[str, Any]:
    """`kind` (number, integer, text, image), `missing`, and of numbers `mean`, `standard_deviation` (of a sample),
    `smallest`, `largest`, None where there are too few; of images the same of their brightness, the mean of all values
    of an image; of others `distinct` and the most `frequent`. The order of the rows does not matter.
    """
    if pa.types.is_fixed_size_binary(field.type):
        return {"kind": "image", "missing": 0} | _of_numbers(_brightness(path, field.name))
    values = pa.chunked_array([batch[field.name] for batch in row_groups.batches(path, [field.name])], field.type)
    known = values.drop_null().to_pandas()
    if pa.types.is_floating(field.type):
        return {"kind": "number", "missing": values.null_count} | _of_numbers(known.to_numpy())
    kind = "integer" if pa.types.is_integer(field.type) else "text"
    return {"kind": kind, "missing": values.null_count} | _of_values(known)


def _brightness(path: Path, name: str) -> np.ndarray:
    """The brightness of each image [rows]."""
    batches = row_groups.batches(path, [name])
    pixels = (np.frombuffer(b"".join(batch[name].to_pylist()), np.uint8).reshape(len(batch), -1) for batch in batches)
    return np.concatenate([of_batch.mean(axis=1) for of_batch in pixels])


def _of_numbers(values: np.ndarray) -> dict[str, float | None]:
    known = pd.Series(np.sort(values))  # the last bits of a sum depend on the order
    found = {
        "mean": known.mean(),
        "standard_deviation": known.std(),
        "smallest": known.min(),
        "largest": known.max(),
    }
    return {name: float(value) if np.isfinite(value) else None for name, value in found.items()}


def _of_values(known: pd.Series) -> dict[str, Any]:
    counts = known.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    shares = (counts / max(1, len(known))).head(FREQUENT)
    frequent = [{"value": value, "share": share} for value, share in zip(shares.index.tolist(), shares, strict=True)]
    return {"distinct": len(counts), "frequent": frequent}
