"""Raw rows: the types they are stored in, and the identity of each.

A raw row is one row of raw.parquet. `typed` turns what a source holds (text of a CSV file, any numeric
type of a Parquet file) into the declared types, and is the same function for training and prediction.
`identify` gives each row its `row_id`: the first 128 bits of a SHA-256 over its canonical values, which
do not depend on the order of rows or columns, on the file's format, or on any library's version.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import DataError
from pipelines.settings import Data

MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL"]  # text cells that hold no value, unless declared otherwise
TYPES = {"number": pa.float64(), "category": pa.string()}
LABELS = {"integer": pa.int64(), "text": pa.string()}
ROW_ID = pa.field("row_id", pa.string(), nullable=False)


def target_type(data: Data) -> pa.DataType:
    return pa.float64() if data.task == "regression" else LABELS[data.label]


def feature_schema(data: Data) -> pa.Schema:
    """What a model is given: the raw columns without the target."""
    if data.kind == "image":
        height, width, channels = data.shape
        return pa.schema([pa.field("image", pa.binary(height * width * channels))])
    return pa.schema([pa.field(name, TYPES[data.columns[name]]) for name in data.features])


def raw_schema(data: Data) -> pa.Schema:
    """What raw.parquet and the split files hold: row_id, the features, what is carried along, the target."""
    carried = [pa.field(name, pa.string()) for name in data.carried]
    return pa.schema([ROW_ID, *feature_schema(data), *carried, pa.field(data.target, target_type(data))])


def typed(batch: pa.RecordBatch, schema: pa.Schema, missing: list[str], first: int = 1) -> pa.RecordBatch:
    """The columns of `schema`, in its order and types; `first` is the number of the first row, for messages.

    Raises DataError naming the row, the column and the value that does not fit, or the columns that are
    missing or not declared.
    """
    _check_columns(batch.schema.names, schema.names)
    columns = [_typed(batch.column(field.name), field, missing, first) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _check_columns(present: list[str], wanted: list[str]) -> None:
    absent = [name for name in wanted if name not in present]
    extra = [name for name in present if name not in wanted]
    twice = sorted({name for name in present if present.count(name) > 1})
    if absent:
        raise DataError(
            f"The data have no column {_names(absent)}; there are {_names(present)}.",
            "Correct the source, or `data:` in the model's YAML.",
        )
    if twice:
        raise DataError(f"The data have more than one column {_names(twice)}.", "Rename one in the source.")
    if extra:
        raise DataError(
            f"The data have undeclared columns: {_names(extra)}.",
            "Declare them under `data: columns:`, or list them under `ingest: ignore:`.",
        )


def _names(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"


def _typed(values: pa.Array, field: pa.Field, missing: list[str], first: int) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        values = pc.utf8_trim_whitespace(values)
        holds_none = pc.is_in(values, value_set=pa.array(missing, values.type))
        values = pc.if_else(holds_none, pa.scalar(None, values.type), values)
    try:
        result = values.cast(field.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise _misfit(values, field, first) from error
    if pa.types.is_floating(field.type):
        return _finite(result, field, first)
    return result


def _finite(values: pa.Array, field: pa.Field, first: int) -> pa.Array:
    """NaN is a missing value; an infinity is refused."""
    values = pc.if_else(pc.is_nan(values), pa.scalar(None, field.type), values)
    infinite = pc.fill_null(pc.is_inf(values), False)
    if pc.any(infinite).as_py():
        row = pc.index(infinite, True).as_py()
        raise DataError(f"Row {first + row}, column {field.name!r}: {values[row]} is not a finite number.")
    return values


def _misfit(values: pa.Array, field: pa.Field, first: int) -> DataError:
    """Which value does not fit: found one by one, only when the whole column did not."""
    for row, value in enumerate(values):
        try:
            pa.array([value.as_py()], values.type).cast(field.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return DataError(
                f"Row {first + row}, column {field.name!r}: {value.as_py()!r} is not {_described(field.type)}.",
                "Correct the source, or declare the mark as missing under `ingest: missing:`.",
            )
    return DataError(f"Column {field.name!r}: {values.type} cannot be read as {_described(field.type)}.")


def _described(kind: pa.DataType) -> str:
    if pa.types.is_floating(kind):
        return "a number"
    if pa.types.is_integer(kind):
        return "a whole number"
    if pa.types.is_fixed_size_binary(kind):
        return f"an image of {kind.byte_width} bytes"
    return f"{kind}"


def identify(batch: pa.RecordBatch, names: list[str]) -> list[str]:
    """The identity of each row by the columns `names`: 32 hexadecimal digits.

    Each value is written as a tag and its bytes: numbers as IEEE doubles (whole numbers beyond 2^53 as
    decimal text), text as UTF-8 behind its length, a missing value as its own tag.
    """
    names = sorted(names)
    start = hashlib.sha256("\x00".join(names).encode())
    cells = [_canonical(batch.column(name)) for name in names]
    ids = []
    for row in zip(*cells, strict=True):
        digest = start.copy()
        digest.update(b"".join(row))
        ids.append(digest.hexdigest()[:32])
    return ids


def _canonical(values: pa.Array) -> Iterator[bytes]:
    if pa.types.is_integer(values.type):
        return (_whole(value) for value in values.to_pylist())
    if pa.types.is_floating(values.type):
        return _doubles(values)
    if pa.types.is_string(values.type):
        return (b"0" if value is None else _sized(value.encode()) for value in values.to_pylist())
    return (b"0" if value is None else _sized(value) for value in values.to_pylist())


def _doubles(values: pa.Array) -> Iterator[bytes]:
    numbers = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    raw = (numbers + 0.0).astype("<f8").tobytes()  # adding 0.0 turns -0.0 into 0.0
    empty = np.isnan(numbers)
    return (b"0" if empty[i] else b"n" + raw[8 * i : 8 * i + 8] for i in range(len(numbers)))


def _whole(value: int | None) -> bytes:
    if value is None:
        return b"0"
    if abs(value) <= 2**53:
        return b"n" + np.float64(value).astype("<f8").tobytes()
    return _sized(str(value).encode())


def _sized(value: bytes) -> bytes:
    return b"t" + len(value).to_bytes(8, "little") + value


def fraction(seed: int, row_id: str) -> float:
    """Where a row falls in [0, 1): a function of the seed and its identity alone."""
    digest = hashlib.sha256(f"{seed}:{row_id}".encode()).digest()
    return int.from_bytes(digest[:8], "little") / 2**64


def content_hash(ids: Any) -> str:
    """The hash of rows held in memory, whatever their order: SHA-256 over their sorted identities."""
    return hashlib.sha256(b"".join(np.sort(np.asarray(ids, dtype="S32")).tolist())).hexdigest()
