"""Marks: values such as -200, 9999 or 1900-01-01 that stand for a missing one in single columns.

`is_mark` judges one value, `without` the columns of a batch; both by the same definition.
"""

from collections.abc import Sequence
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.readers import numbers
from pipelines.readers.layout import Layout

Mark = str | int | float


def is_mark(value: Any, marks: Sequence[Mark], layout: Layout) -> bool:
    """Whether a value is one of the marks: the same text, the same number however it is written, or the same day."""
    if value is None:
        return False
    if isinstance(value, date):  # an instant is one, too
        return any(value.isoformat()[:10] == str(mark)[:10] for mark in marks)
    text = str(value).strip()
    number = _number(text, layout)
    return any(text == str(mark) or (number is not None and number == _number(str(mark), None)) for mark in marks)


def without(batch: pa.RecordBatch, marks: dict[str, list[Mark]], layout: Layout) -> pa.RecordBatch:
    """The batch with null in place of the marks of each column. A column that is not there is none of its business."""
    for name, values in marks.items():
        for place in batch.schema.get_all_field_indices(name):
            column = batch.column(place)
            coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
            wrong = [is_mark(value, values, layout) for value in coded.dictionary.to_pylist()]
            found = pc.fill_null(pa.array(wrong, pa.bool_()).take(coded.indices), False)
            batch = batch.set_column(place, name, pc.if_else(found, pa.scalar(None, column.type), column))
    return batch


def _number(text: str, layout: Layout | None) -> float | None:
    """layout: None for a mark, which a YAML has as programs write it."""
    try:
        return float(numbers.plain(text, layout.decimal, layout.thousands) if layout else text)
    except ValueError:
        return None
