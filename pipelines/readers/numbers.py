"""Numbers as people write them -> as programs write them: `1.234,5` -> `1234.5`, `−5` -> `-5`, `٣` -> `3`.

`plain` takes one text, `read` the columns of a batch; both by the same definition.
"""

import re
from functools import lru_cache

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.errors import DataError
from pipelines.readers.layout import Layout
from pipelines.table import rows

BLANKS = " \u00a0\u2009\u202f"  # that stand between thousands: of a keyboard, not broken, thin, narrow
APOSTROPHES = "'\u2019"
MINUS = str.maketrans("\u2212\ufe63\uff0d\u2010\u2011\u2013", "------")
GROUPS = {" ": f"[{BLANKS}]", "'": f"[{APOSTROPHES}]"}
EXAMPLE = 1234.5


def plain(text: str, decimal: str = ".", thousands: str = "") -> str:
    """A text without blanks around it as a program writes it, where it is a number; another text as it is.

    Raises ValueError for a number that is written otherwise, such as `1.5` where `decimal` is a comma.
    """
    found = text if text.isascii() else _ascii(text, decimal)
    if _pattern(decimal, thousands).fullmatch(found):
        return re.sub(_group(thousands), "", found).replace(decimal, ".") if thousands else found.replace(decimal, ".")
    if (decimal, thousands) != (".", "") and _pattern(".", "").fullmatch(found):
        raise ValueError(f"{text!r} is not written like {example(decimal, thousands)}")
    return text


def is_plain(text: str) -> bool:
    """Whether a text is a number as programs write it."""
    return bool(_pattern(".", "").fullmatch(text))


def example(decimal: str, thousands: str) -> str:
    """How 1234.5 is written."""
    return f"{EXAMPLE:,}".replace(",", "t").replace(".", decimal).replace("t", thousands)


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


def _ascii(text: str, decimal: str) -> str:
    """Digits, signs and points of any script as those of ASCII."""
    found = text.translate(MINUS).replace("\u066b", decimal).replace("\u066c", "")
    return "".join(str(int(sign)) if sign.isdecimal() else sign for sign in found)


@lru_cache(maxsize=64)
def _pattern(decimal: str, thousands: str) -> re.Pattern[str]:
    whole = r"\d+"
    if thousands:
        sign = _group(thousands)
        lakhs = rf"|\d{{1,2}}({sign}\d\d)+{sign}\d{{3}}" if thousands == "," else ""  # as in India
        whole = rf"(\d{{1,3}}({sign}\d{{3}})+{lakhs}|\d+)"
    return re.compile(rf"[-+]?({whole}({re.escape(decimal)}\d*)?|{re.escape(decimal)}\d+)([eE][-+]?\d+)?", re.ASCII)


def _group(thousands: str) -> str:
    return GROUPS.get(thousands, re.escape(thousands))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
