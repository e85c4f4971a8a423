"""Kinds of columns without single values that a model could learn from, such as lists: refused with what to do."""

from collections.abc import Callable, Iterable

import pyarrow as pa

from pipelines.errors import DataError

KINDS: list[tuple[Callable[[pa.DataType], bool], str, str]] = [  # the kind, what it holds, and the repair
    (pa.types.is_struct, "objects", "write each of their parts as a column of its own"),
    (pa.types.is_map, "maps", "write each of their keys as a column of its own"),
    (pa.types.is_nested, "lists", "write each of their values as a column of its own, or a number that sums them up"),
    (pa.types.is_time, "times of day", "write them as a number, such as seconds since midnight, or as text"),
    (pa.types.is_duration, "durations", "write them as a number, such as seconds"),
    (pa.types.is_interval, "spans of months and days", "write them as a number, such as days"),
]


def refused(kind: pa.DataType) -> tuple[str, str]:
    """What such a column holds, and what to do about it; "" and "" for one that can be read."""
    if pa.types.is_dictionary(kind) or pa.types.is_run_end_encoded(kind):
        return refused(kind.value_type)
    return next(((what, do) for fits, what, do in KINDS if fits(kind)), ("", ""))


def is_bytes(kind: pa.DataType) -> bool:
    found = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary)
    return any(fits(kind) for fits in found)


def problem(column: pa.ChunkedArray) -> str:
    """Why a column cannot be read, and what to do; "" for one that can."""
    what, do = refused(column.type)
    if not what and (is_bytes(column.type) or pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        try:
            column.cast(pa.large_binary()).cast(pa.large_string())
        except pa.ArrowException:
            what, do = "bytes that are no text in UTF-8", "write them as text in UTF-8"
    return f"{what} ({column.type}): in the source {do}" if what else ""


def check(schema: pa.Schema, names: Iterable[str]) -> None:
    """Raises DataError for the first of these columns that cannot be read."""
    for name in names:
        kind = schema.field(name).type
        what, do = refused(kind)
        if what:
            raise DataError(
                f"Column {name!r} holds {what} ({kind}), which are no single values.",
                f"In the source {do}; or list the column under `ingest: ignore:`.",
            )
