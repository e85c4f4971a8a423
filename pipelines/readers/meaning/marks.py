"""Marks: values such as -200, 9999 or 1900-01-01 that stand for a missing one in single columns.

`is_mark` (values.py) judges one value, `without` the columns of a batch; both by the same definition.
"""

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.readers.layout import Layout
from pipelines.readers.meaning.values import Mark, is_mark

__all__ = ["is_mark", "without"]


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
