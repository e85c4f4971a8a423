"""Lines of answered rows -> Arrow columns.

A column whose values are all numbers is a double, any other one is text; a prediction of whole numbers stays whole.
What is no single value is its JSON.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa

EXACT = 2**53  # a larger whole number may be no double
MOST_ROWS, MOST_BYTES = 8_192, 8_000_000  # of the lines that become one batch
PROBABILITY = "probability_"
EMPTY: tuple[Any, ...] = ("", [], {}, None)  # fields of an answer that say nothing
FIXED = {
    "id": pa.string(),
    "at": pa.timestamp("us", "UTC"),
    "version": pa.int64(),
    "model_hash": pa.string(),
}
FORM = "served_as"  # of a line: the smaller form that answered; absent where the version itself did
KNOWN = ("prediction", "probabilities", "unknown")  # fields of an answer that have columns of their own


# What the values of a column are, so far. Values of two kinds are of the greater one.
NONE, WHOLE, NUMBER, TEXT = range(4)
TYPES = (pa.null(), pa.int64(), pa.float64(), pa.string())
KINDS = {type(None): NONE, float: NUMBER, str: TEXT, bool: TEXT, dict: TEXT, list: TEXT}
Kinds = dict[str, int]


@dataclass
class Shape:
    """The columns of some lines."""

    prediction: int = NONE
    classes: dict[str, None] = field(default_factory=dict)  # in the order in which they came
    more: Kinds = field(default_factory=dict)  # fields of answers that are not in KNOWN
    row: Kinds = field(default_factory=dict)

    def take(self, record: dict[str, Any]) -> None:
        """Add what one line has."""
        answer = record["answer"]
        self.prediction = max(self.prediction, kind(answer["prediction"]))
        self.classes |= dict.fromkeys(answer["probabilities"])
        _add(self.more, {name: value for name, value in answer.items() if name not in KNOWN and value not in EMPTY})
        _add(self.more, {FORM: record[FORM]} if FORM in record else {})
        _add(self.row, record["row"])

    def join(self, schema: pa.Schema) -> None:
        """Add what a closed file has."""
        for one in schema:
            if one.name == "prediction":
                self.prediction = max(self.prediction, TYPES.index(one.type))
            elif one.name == "row":
                _join(self.row, list(one.type))
            elif one.name.startswith(PROBABILITY):
                self.classes[one.name.removeprefix(PROBABILITY)] = None
            elif one.name != "unknown" and one.name not in FIXED:
                _join(self.more, [one])

    def schema(self) -> pa.Schema:
        """id, at, version, model_hash, prediction, probability_<class>, unknown, further fields of answers, row."""
        row = pa.struct([(name, TYPES[_double(found)]) for name, found in self.row.items()])
        fields = [
            *FIXED.items(),
            ("prediction", TYPES[self.prediction]),
            *((PROBABILITY + name, pa.float32()) for name in self.classes),
            ("unknown", pa.list_(pa.string())),
            *((name, TYPES[_double(found)]) for name, found in self.more.items()),
            *([("row", row)] if self.row else []),  # Parquet knows no struct without fields
        ]
        return pa.schema(fields)


def kind(value: Any) -> int:
    found = KINDS.get(type(value))
    if found is None:  # a whole number
        return WHOLE if abs(value) <= EXACT else TEXT
    return found


def record(line: bytes) -> dict[str, Any] | None:
    """The content of a line; None if it is torn."""
    try:
        found = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) and ("gap" in found or "answer" in found) else None


def batches(lines: Iterable[bytes], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The answered rows of some lines, in their order. Torn lines and gaps are passed over."""
    kept: list[dict[str, Any]] = []
    size = 0
    for line in lines:
        if (found := record(line)) is None or "answer" not in found:
            continue
        kept.append(found)
        size += len(line)
        if len(kept) == MOST_ROWS or size >= MOST_BYTES:
            yield batch(kept, schema)
            kept, size = [], 0
    if kept:
        yield batch(kept, schema)


def batch(records: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.RecordBatch:
    """Lines as columns. A column that a line lacks is null there."""
    return pa.RecordBatch.from_arrays([_column(records, one) for one in schema], schema=schema)


def fitted(found: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """A batch of one file with the columns of several. Numbers become text where another file has text."""
    return pa.RecordBatch.from_arrays([_fitted(found, one) for one in schema], schema=schema)


def _column(records: Sequence[dict[str, Any]], one: pa.Field) -> pa.Array:
    if one.name == "row":
        rows = [record["row"] for record in records]
        parts = [_cells([row.get(part.name) for row in rows], part.type) for part in one.type]
        return pa.StructArray.from_arrays(parts, fields=list(one.type))
    if one.name == "at":
        return pa.array([datetime.fromisoformat(record["at"]) for record in records], one.type)
    if one.name in FIXED:
        return pa.array([record[one.name] for record in records], one.type)
    if one.name == FORM:
        return pa.array([record.get(FORM) for record in records], pa.string())
    answers = [record["answer"] for record in records]
    if one.name == "unknown":
        return pa.array([answer["unknown"] for answer in answers], one.type)
    if one.name.startswith(PROBABILITY):
        name = one.name.removeprefix(PROBABILITY)
        return pa.array([answer["probabilities"].get(name) for answer in answers], one.type)
    return _cells([answer.get(one.name) for answer in answers], one.type)


def _cells(values: list[Any], type_: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, type_)
    except (pa.ArrowTypeError, pa.ArrowInvalid):  # a column of texts with other values
        return pa.array([None if value is None else text(value) for value in values], type_)


def text(value: Any) -> str:
    """A value in a column of texts: a number as CSV files write it, so that 1.0 is `1`; what is no single value as
    JSON."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT:
        value = int(value)
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def _fitted(found: pa.RecordBatch, one: pa.Field) -> pa.Array:
    if one.name not in found.schema.names:
        return pa.nulls(len(found), one.type)
    column = found[one.name]
    if one.name != "row":
        return _as(column, one.type)
    parts = {part.name: column.field(part.name) for part in column.type}
    fields = [
        _as(parts[part.name], part.type) if part.name in parts else pa.nulls(len(found), part.type) for part in one.type
    ]
    return pa.StructArray.from_arrays(fields, fields=list(one.type))


def _as(column: pa.Array, type_: pa.DataType) -> pa.Array:
    if type_ == pa.string() and column.type in (pa.int64(), pa.float64()):
        return _cells(column.to_pylist(), type_)
    return column.cast(type_)


def _double(found: int) -> int:
    """Whole numbers of a raw column are doubles, as in raw.parquet."""
    return NUMBER if found == WHOLE else found


def _add(kinds: Kinds, values: dict[str, Any]) -> None:
    for name, value in values.items():
        found = kind(value)
        if found > kinds.get(name, -1):
            kinds[name] = found


def _join(kinds: Kinds, fields: list[pa.Field]) -> None:
    for one in fields:
        kinds[one.name] = max(kinds.get(one.name, NONE), TYPES.index(one.type))
