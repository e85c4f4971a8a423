"""Raw rows: their stored types, and the identity of each.

A raw row is one row of raw.parquet. `typed` converts the values of a source (text of a CSV file, any numeric type of a
Parquet file) to the declared types; training and prediction use the same function. `identify` gives each row its
`row_id`: the first 128 bits of a SHA-256 over its canonical bytes. It does not depend on the order of rows or columns,
on the file's format, or on the version of a library.
"""

import hashlib
import math
import re
from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config.data import Data
from pipelines.errors import DataError
from pipelines.table import canonical

MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL"]  # texts for a missing value, unless declared otherwise
TYPES = {"number": pa.float64(), "category": pa.string(), "date": pa.string()}  # a date: ISO text in UTC
LABELS = {"integer": pa.int64(), "text": pa.string()}
MISMATCH = "Correct the source, or declare the mark as missing under `ingest: missing:`."
DOUBLE_DIGITS = 15  # a whole number of so many digits always fits into a double
SENSITIVE = {"sensitive": "true"}  # marks a field whose values no message shows
READER = b"reader"  # the metadata of a table whose rows were not read by the first reader: its number
ROW_ID = pa.field("row_id", pa.string(), nullable=False)


def target_type(data: Data) -> pa.DataType:
    return pa.float64() if data.task == "regression" else LABELS[data.label]


def feature_schema(data: Data) -> pa.Schema:
    """The raw columns that a model gets, or for a sequence the columns of its windows."""
    if data.kind == "image":
        shape = ",".join(map(str, data.shape))
        return pa.schema([pa.field("image", pa.binary(math.prod(data.shape)), metadata={"shape": shape})])
    return pa.schema([pa.field(name, TYPES[data.columns[name]]) for name in data.shown])


def raw_schema(data: Data) -> pa.Schema:
    """The columns of raw.parquet: row_id, the features, the carried columns, the target."""
    carried = [pa.field(name, pa.string()) for name in data.carried]
    fields = [ROW_ID, *feature_schema(data), *carried, pa.field(data.target, target_type(data))]
    return pa.schema([field.with_metadata(SENSITIVE) if field.name in data.sensitive else field for field in fields])


def split_schema(data: Data) -> pa.Schema:
    """The columns of the split files: those of raw rows; for a sequence those of windows: lists of `window`
    values, and single ones (Data.lags)."""
    if data.kind != "sequence":
        return raw_schema(data)
    lists = {name: pa.list_(pa.float64(), data.window) for name in data.past_numbers}
    lists |= {name: pa.list_(pa.string(), data.window) for name in data.past_categories}
    alone = [pa.field(name, pa.string()) for name in (*data.fixed, *data.dates, *data.carried)]
    lists |= dict.fromkeys(data.lags, pa.float64())
    columns = [pa.field(name, kind) for name, kind in lists.items()]
    return pa.schema([ROW_ID, *columns, *alone, pa.field(data.target, target_type(data))])


def typed(batch: pa.RecordBatch, schema: pa.Schema, missing: list[str], first: int = 1) -> pa.RecordBatch:
    """The columns of `schema`, in its order and types; `first` is the number of the first row, for messages.

    Raises DataError naming the row, the column and the value that does not fit, or the columns that are
    missing or not declared.
    """
    check_columns(batch.schema.names, schema.names)
    columns = [typed_column(batch.column(field.name), field, missing, first) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def check_columns(present: list[str], wanted: list[str]) -> None:
    """Raises DataError for a column that is missing, there more than once, or not declared."""
    check_once(present)
    absent = [name for name in wanted if name not in present]
    extra = sorted(set(present) - set(wanted), key=present.index)
    if absent:
        header = "" if len(absent) < len(wanted) else " A file without a header needs `ingest: names:`."
        raise DataError(
            f"The data have no column {_names(absent)}. They have {_names(present)}.",
            f"Correct the source, or `data:` in the model's YAML.{header}",
        )
    if "" in extra:
        raise DataError(
            f"Column {present.index('') + 1} of the data has no name.",
            "Name it in the source. If it is only an index (such as that of pandas), write `ingest: ignore: ['']`.",
        )
    if extra:
        raise DataError(
            f"The data have undeclared columns: {_names(extra)}.",
            "Declare them under `data: columns:`, or list them under `ingest: ignore:`.",
        )


def check_once(present: list[str]) -> None:
    """Raises DataError for a column that is there more than once."""
    if twice := sorted(name for name, count in Counter(present).items() if count > 1):
        raise DataError(f"The data have more than one column {_names(twice)}.", "Rename one in the source.")


def _names(names: list[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"


def typed_column(values: pa.Array, field: pa.Field, missing: list[str], first: int) -> pa.Array:
    if pa.types.is_dictionary(values.type):
        values = values.dictionary_decode()
    if is_text(values.type):
        try:
            values = trimmed(values.cast(pa.large_string()), missing)
        except pa.ArrowInvalid as error:
            what = f"Column {field.name!r} holds bytes that are no text in UTF-8."
            raise DataError(what, "Write them as text in UTF-8 in the source.") from error
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    try:
        result = _cast(values, field.type)
    except pa.ArrowException as error:
        raise _misfit(values, field, first) from error
    if pa.types.is_floating(field.type):
        _check_exact(values, field, first)
        return _finite(result, field, first)
    if pa.types.is_fixed_size_binary(field.type) and result.null_count:
        row = first + pc.index(pc.is_null(result), True).as_py()
        raise DataError(f"Row {row}, column {field.name!r} holds no image.", "Remove the row from the source.")
    return result


def is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def trimmed(values: pa.Array, missing: list[str]) -> pa.Array:
    """Text without spaces around it, and null for the marks of a missing value."""
    values = pc.utf8_trim_whitespace(values)
    holds_none = pc.is_in(values, value_set=pa.array(missing, values.type))
    return pc.if_else(holds_none, pa.scalar(None, values.type), values)


def _cast(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """The same values in a declared type, alike for every file format. Raises ArrowException if one does not fit.

    A whole number is the text `1` whether it is stored as 1 or 1.0. Instants are written in UTC with microseconds.
    """
    if pa.types.is_floating(kind):
        return pc.if_else(pc.is_nan(found := values.cast(kind, safe=False)), pa.scalar(None, kind), found)
    if pa.types.is_integer(kind) and is_text(values.type):
        return pc.replace_substring_regex(values, r"^\+?(-?\d+)(\.0*)?$", r"\1").cast(kind)
    if pa.types.is_string(kind) and pa.types.is_floating(values.type):
        whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**53))
        digits = pc.if_else(whole, values, pa.scalar(0.0, values.type)).cast(pa.int64()).cast(kind)
        return pc.if_else(whole, digits, values.cast(kind))
    if pa.types.is_string(kind) and pa.types.is_timestamp(values.type):
        zone = "UTC" if values.type.tz else None
        return values.cast(pa.timestamp("us", zone)).cast(kind)
    if pa.types.is_fixed_size_binary(kind) and is_text(values.type):
        raise pa.ArrowInvalid("text is no image")
    return values.cast(kind)


def _check_exact(values: pa.Array, field: pa.Field, first: int) -> None:
    """Raises DataError for a whole number that does not fit into a double: two identities could become one number.

    Other numbers are rounded to the nearest double, as everywhere.
    """
    if pa.types.is_integer(values.type) and values.type.bit_width == 64:
        least = -(2**53) if pa.types.is_signed_integer(values.type) else 0
        too_large = pc.greater(values, pa.scalar(2**53, values.type))
        large = pc.or_(too_large, pc.less(values, pa.scalar(least, values.type)))
    elif is_text(values.type) and (pc.max(pc.binary_length(values)).as_py() or 0) > DOUBLE_DIGITS:
        large = pc.match_substring_regex(values, rf"^[+-]?\d{{{DOUBLE_DIGITS + 1},}}$")
    else:
        return
    for row in pc.indices_nonzero(pc.fill_null(large, False)).to_pylist():
        if int(float(whole := int(values[row].as_py()))) != whole:
            told = f"{whole} has more digits than a number keeps here (it would become {int(float(whole))})"
            told = "a sensitive value has more digits than a number keeps here" if is_sensitive(field) else told
            raise DataError(
                f"Row {first + row}, column {field.name!r}: {told}.",
                "If it is an identity, declare the column as category or carried. Else round it in the source.",
            )


def _finite(values: pa.Array, field: pa.Field, first: int) -> pa.Array:
    """The values. Raises DataError for an infinity."""
    infinite = pc.fill_null(pc.is_inf(values), False)
    if pc.any(infinite).as_py():
        row = pc.index(infinite, True).as_py()
        raise DataError(
            f"Row {first + row}, column {field.name!r}: {_shown(values[row], field)} is not a finite number.",
            "Correct the source, or declare the mark as missing under `ingest: missing:`.",
        )
    return values


def _misfit(values: pa.Array, field: pa.Field, first: int) -> DataError:
    """The error for the first value that does not fit. It tries one value after the other."""
    for row in range(len(values)):
        try:
            _cast(values.slice(row, 1), field.type)
        except pa.ArrowException:
            return misfit(values[row], field, first + row, f"is not {_described(field.type)}")
    return DataError(f"Column {field.name!r}: {values.type} cannot be read as {_described(field.type)}.")


def misfit(value: pa.Scalar, field: pa.Field, row: int, what: str, do: str = MISMATCH) -> DataError:
    """The error for one value. what: such as "is not a number"."""
    found = f"{_shown(value, field)} {what}{_looks_like(value, field.type)}"
    return DataError(f"Row {row}, column {field.name!r}: {found}.", do)


LOOKS = {  # texts that look like another kind of number, and the repair
    r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?": 'it looks like commas between thousands: write `ingest: thousands: ","`',
    r"[+-]?(\d+|\d{1,3}(\.\d{3})+),\d+": 'it looks like a decimal comma: write `ingest: decimal: ","`',
    r"[+-]?\d{1,3}([ '\u00a0\u202f]\d{3})+([.,]\d+)?": "it looks like gaps between thousands: see `ingest: thousands:`",
    r"\d{1,4}([-./])\d{1,2}\1\d{1,4}.*": "it looks like a date: declare the column as category or carried",
    r"(?=.*\d)[+-]?[\d.,]+ ?(%|[^\W\d_]+|\W)|[^\w\s] ?[\d.,]+": "it looks like a number with a unit: remove the unit",
}


def _looks_like(value: pa.Scalar, kind: pa.DataType) -> str:
    """The end of a sentence about a text that should be a number."""
    text = value.as_py()
    if not isinstance(text, str) or not pa.types.is_floating(kind):
        return ""
    return next((f"; {what}" for pattern, what in LOOKS.items() if re.fullmatch(pattern, text)), "")


def is_sensitive(field: pa.Field) -> bool:
    return b"sensitive" in (field.metadata or {})


def _shown(value: pa.Scalar, field: pa.Field) -> str:
    """A value for a message: short, without bytes or sensitive content."""
    plain = value.as_py()
    if is_sensitive(field):
        return "a sensitive value"
    if isinstance(plain, bytes):
        return f"a value of {len(plain)} bytes"
    text = repr(plain)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _described(kind: pa.DataType) -> str:
    if pa.types.is_floating(kind):
        return "a number"
    if pa.types.is_integer(kind):
        return "a whole number of 64 bits"
    if pa.types.is_fixed_size_binary(kind):
        return f"an image of {kind.byte_width} bytes"
    return "text"


def identify(batch: pa.RecordBatch, names: list[str]) -> np.ndarray:
    """The identity of each row by the columns `names`: bytes [rows] of 32 hexadecimal digits."""
    names = sorted(names)
    start = hashlib.sha256("\x00".join(names).encode())
    digests = []
    for content, ends in canonical.encode(batch, names):
        view, begin = memoryview(content), 0
        for end in ends.tolist():
            digest = start.copy()
            digest.update(view[begin:end])
            digests.append(digest.digest()[:16])
            begin = end
    return np.frombuffer(b"".join(digests).hex().encode(), "S32")


def id_column(ids: np.ndarray) -> pa.Array:
    """Identities as a column of text."""
    offsets = pa.py_buffer(np.arange(0, 32 * len(ids) + 1, 32, dtype=np.int32))
    return pa.Array.from_buffers(pa.string(), len(ids), [None, offsets, pa.py_buffer(np.ascontiguousarray(ids))])


def ids_of(column: pa.Array) -> np.ndarray:
    """A column of identities as bytes [rows] of 32 hexadecimal digits."""
    return column.cast(pa.binary(32)).to_numpy(zero_copy_only=False).astype("S32")


def fractions(seed: int, ids: np.ndarray) -> np.ndarray:
    """A number in [0, 1) for each row [rows], which depends only on the seed and its identity. ids: from `identify`."""
    start = hashlib.sha256(f"{seed}:".encode())
    digests = []
    for row_id in ids.tolist():
        digest = start.copy()
        digest.update(row_id)
        digests.append(digest.digest()[:8])
    return np.frombuffer(b"".join(digests), "<u8") / 2**64


def content_hash(ids: Any) -> str:
    """The hash of rows held in memory, whatever their order: SHA-256 over their sorted identities."""
    return hashlib.sha256(b"".join(np.sort(np.asarray(ids, dtype="S32")).tolist())).hexdigest()
