"""What raw values mean, a column at a time: the definition of readers/values.py, from reader 2 on.

Columns of the usual kinds are converted as a whole. Whatever else there is goes through the functions of values.py,
once for each different value.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.readers import dates
from pipelines.readers.meaning import value_kinds, values
from pipelines.readers.meaning.values import Misfit, Rules
from pipelines.table import rows

WHOLE = rf"^{values.WHOLE.pattern}$"
HEAD = 1_000  # values that show whether a column repeats its words


def typed(batch: pa.RecordBatch, schema: pa.Schema, roles: dict[str, str], rules: Rules, first: int) -> pa.RecordBatch:
    """The columns of `schema`, in its order and types. roles: of the columns but an image; first: the number of the
    first row, for messages.

    Raises DataError naming the row, the column and the value that does not fit, or a column that is missing,
    undeclared, or of a kind that holds no single values.
    """
    rows.check_columns(batch.schema.names, schema.names)
    value_kinds.check(batch.schema, schema.names)
    columns = [_column(batch.column(field.name), field, roles.get(field.name, ""), rules, first) for field in schema]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _column(column: pa.Array, field: pa.Field, role: str, rules: Rules, first: int) -> pa.Array:
    if not role:
        return rows.typed_column(column, field, [], first)
    found = _plainly(column, field, role, rules, first)
    if field.name not in rules.private:
        return found
    return _each(found, lambda value: values.hidden(value, rules, field.name), field, first)


def _plainly(column: pa.Array, field: pa.Field, role: str, rules: Rules, first: int) -> pa.Array:
    """The column before it is hidden."""
    found = _plain(column)
    with suppress(pa.ArrowException):
        if (result := FAST[role](found, field.name, rules)) is not None:
            return result
    if rows.is_text(found.type) and not _is_utf8(found):
        found = found.cast(pa.large_binary())
    return _each(found, lambda value: values.plainly(value, role, rules, field.name), field, first)


def _plain(column: pa.Array) -> pa.Array:
    """Without a dictionary; text in one type; a float of 16 or 32 bits as the double of the same shortest decimal."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _plain(column.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        return _plain(pc.run_end_decode(column))
    if rows.is_text(kind):
        return column.cast(pa.large_string())
    if pa.types.is_float16(kind):
        texts = column.cast(pa.float32()).to_numpy(zero_copy_only=False).astype("float16").astype(str)
        return pc.if_else(column.is_valid(), pa.array(texts, pa.string()).cast(pa.float64()), None)
    return column.cast(pa.string()).cast(pa.float64()) if pa.types.is_float32(kind) else column


def _is_utf8(column: pa.Array) -> bool:
    """Whether text is what it says; a file may hold other bytes."""
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def words(column: pa.Array, rules: Rules) -> pa.Array | None:
    """Text, bytes or booleans as the words of a category; None for a column of another kind. Raises DataError."""
    found = _plain(column)
    if not (rows.is_text(found.type) or value_kinds.is_bytes(found.type) or pa.types.is_boolean(found.type)):
        return None
    return _column(found, pa.field("", pa.string()), "category", rules, 1)


def _numbers(column: pa.Array, name: str, rules: Rules) -> pa.Array | None:
    """None where not every value is plainly a number."""
    if rows.is_text(column.type):
        column = rows.trimmed(column, list(rules.missing))
        if (rules.decimal, rules.thousands) != (".", "") or _long(column):
            return None
    elif not (pa.types.is_integer(column.type) or pa.types.is_float64(column.type)):
        return None
    found = column.cast(pa.float64())  # also refuses whole numbers that do not fit
    known = pc.if_else(pc.is_nan(found), pa.scalar(None, pa.float64()), found)
    return None if pc.any(pc.is_inf(known)).as_py() else _without(known, sorted(rules.numeric_marks))


def _long(column: pa.Array) -> bool:
    """Whether some text is a whole number that may not fit into a double."""
    if (pc.max(pc.binary_length(column)).as_py() or 0) <= rows.DOUBLE_DIGITS:
        return False
    return bool(pc.any(pc.match_substring_regex(column, rf"^[+-]?\d{{{rows.DOUBLE_DIGITS + 1},}}$")).as_py())


def _without(found: pa.Array, marks: list[Any]) -> pa.Array:
    """Null where a mark of a missing value stands."""
    if not marks:
        return found
    return pc.if_else(pc.is_in(found, pa.array(marks, found.type)), pa.scalar(None, found.type), found)


def _words(column: pa.Array, name: str, rules: Rules) -> pa.Array | None:
    """None where a word may have another spelling too."""
    if pa.types.is_integer(column.type):
        return _without(column.cast(pa.string()), list(rules.missing))
    if not rows.is_text(column.type):
        return None
    if _repeats(column):  # each different word is looked at once
        coded = column.dictionary_encode()
        known = _words(coded.dictionary, name, rules)
        return known if known is None else known.take(coded.indices)
    found = rows.trimmed(column, list(rules.missing))
    odd = pc.or_(pc.match_substring_regex(found, WHOLE), pc.is_in(found, pa.array([*values.BOOLEANS], found.type)))
    return None if pc.any(odd).as_py() else found.cast(pa.string())


def _repeats(column: pa.Array) -> bool:
    """Whether most values at the head of a column stand there more than once."""
    head = column.slice(0, HEAD)
    return len(head) == HEAD and bool(2 * pc.count_distinct(head, mode="all").as_py() < HEAD)


def _labels(column: pa.Array, name: str, rules: Rules) -> pa.Array | None:
    return column.cast(pa.int64()) if pa.types.is_integer(column.type) and not rules.numeric_marks else None


def _moments(column: pa.Array, name: str, rules: Rules) -> pa.Array | None:
    """As ISO text in UTC."""
    form = rules.dates.get(name, dates.ISO)
    if rows.is_text(column.type):
        column = rows.trimmed(column, list(rules.missing))
        column = _of_iso(column) if form == dates.ISO else _of_form(column, form)
    if column is None or not (pa.types.is_timestamp(column.type) or pa.types.is_date(column.type)):
        return None
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("s") if pa.types.is_date32(column.type) else pa.timestamp("ms"))
    column = pc.floor_temporal(column, unit="microsecond") if column.type.unit == "ns" else column
    if column.type.tz is None:
        if not rules.timezone or (rules.timezone != "UTC" and not _clocks_known(column)):
            return None
        known = {"earlier": "earliest", "later": "latest"}.get(rules.ambiguous, "raise")
        column = pc.assume_timezone(column, rules.timezone, ambiguous=known, nonexistent="raise")
    found = dates.text(column.cast(pa.timestamp("us", "UTC")).cast(pa.timestamp("us")))
    return _without(found, sorted(values.marked_moments(name, rules)))


def _clocks_known(column: pa.Array) -> bool:
    """Whether Arrow knows the changes of clocks at these times: its table of them ends."""
    years = pc.min_max(pc.year(column)).as_py()
    return years["min"] is None or (years["min"] >= 1970 and years["max"] < 2037)


def _of_iso(column: pa.Array) -> pa.Array | None:
    """Text as naive times, or as instants; None where only some have an offset. Raises ArrowException for others."""
    offset = pc.match_substring_regex(column, r":.*[Z+-]|[Z]$")
    if pc.any(offset).as_py():
        return column.cast(pa.timestamp("us", "UTC")) if pc.all(offset).as_py() else None
    return column.cast(pa.timestamp("us"))


def _of_form(column: pa.Array, form: str) -> pa.Array | None:
    """Text as naive times, or as instants; None if some text is of another form."""
    import pandas as pd

    try:
        found = pd.to_datetime(column.to_pandas(), format=form, errors="coerce", utc="%z" in form)
    except ValueError:
        return None
    result = pa.array(found, pa.timestamp("us", "UTC" if "%z" in form else None), from_pandas=True, safe=False)
    return result if result.null_count == column.null_count else None


FAST: dict[str, Callable[[pa.Array, str, Rules], pa.Array | None]] = {
    "number": _numbers,
    "category": _words,
    "carried": _words,
    "text": _words,
    "integer": _labels,
    "date": _moments,
}


def _each(column: pa.Array, one: Callable[[Any], Any], field: pa.Field, first: int) -> pa.Array:
    """Through a function of values.py, once for each different value. Raises DataError for the first misfit."""
    coded = column.dictionary_encode()
    found: list[Any] = []
    wrong: dict[int, Misfit] = {}
    for place, value in enumerate(coded.dictionary.to_pylist()):
        try:
            found.append(one(value))
        except Misfit as error:
            found.append(None)
            wrong[place] = error
    if wrong:
        row = pc.index(pc.is_in(coded.indices, pa.array([*wrong], coded.indices.type)), True).as_py()
        why = wrong[coded.indices[row].as_py()]
        told = why.bare if rows.is_sensitive(field) else str(why)
        raise rows.misfit(column[row], field, first + row, told, why.do)
    return pa.array(found, field.type).take(coded.indices)
