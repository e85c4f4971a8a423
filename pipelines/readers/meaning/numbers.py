"""Numbers as people write them -> as programs write them: `1.234,5` -> `1234.5`, `−5` -> `-5`, `٣` -> `3`.

`plain` (values.py) takes one text, `read` the columns of a batch; both by the same definition.
"""

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import DataError
from pipelines.readers.layout import Layout
from pipelines.readers.meaning.values import example, is_plain, plain
from pipelines.table import rows

__all__ = ["example", "is_plain", "plain", "read"]


def read(batch: pa.RecordBatch, wanted: pa.Schema, layout: Layout, missing: list[str], first: int) -> pa.RecordBatch:
    """The batch with its texts that should be numbers as programs write them.

    wanted: the declared columns. first: the number of the first row, for messages. Raises DataError for a number that
    is written otherwise than declared.
    """
    for field in wanted:
        for place in batch.schema.get_all_field_indices(field.name):
            column = batch.column(place)
            if _is_number(field.type) and _is_text(column.type):
                batch = batch.set_column(place, field.name, _column(column, field, layout, missing, first))
    return batch


def _column(column: pa.Array, field: pa.Field, layout: Layout, missing: list[str], first: int) -> pa.Array:
    signs = layout.decimal, layout.thousands
    values = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
    if signs == (".", "") and pc.all(pc.string_is_ascii(values)).as_py() in (True, None):
        return column
    coded = pc.utf8_trim_whitespace(values).dictionary_encode()
    known = {*missing}
    found: list[str | None] = []
    for text in coded.dictionary.to_pylist():
        try:
            found.append(text if text in known else plain(text, *signs))
        except ValueError:
            row = first + pc.index(coded.indices, len(found)).as_py()
            shown = "a sensitive value" if rows.is_sensitive(field) else repr(text[:60])
            raise DataError(
                f"Row {row}, column {field.name!r}: {shown} is not written like {example(*signs)}, as numbers are "
                "declared.",
                "Write all numbers alike, or correct `ingest: decimal:` and `ingest: thousands:` in the model's YAML.",
            ) from None
    return pa.array(found, pa.string()).take(coded.indices)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
