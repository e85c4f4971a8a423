"""What cells mean beyond their text: numbers of another writing, marks of a missing one, a date and a time of day."""

from dataclasses import replace
from typing import Any

import pyarrow as pa

from flows.new import column_types
from flows.new.column_types import Column
from flows.new.text_files import below, far_marks, number_writing, time_of_day
from flows.new.text_files.dialect import Reading
from flows.new.yaml_comments import Said
from pipelines.readers.formats import text
from pipelines.readers.layout import Layout
from pipelines.readers.meaning import marks


def rows(table: pa.Table, reading: Reading, given: dict[str, Any]) -> tuple[pa.Table, Reading]:
    """The rows of a CSV file without those that have no value, and the reading that leaves them out."""
    if "blank_rows" in given:
        return table, reading
    filled = [text.without_blank(batch) for batch in table.to_batches()]
    kept = pa.Table.from_batches(filled, table.schema)
    if len(kept) in (0, len(table)):
        return table, reading
    return kept, reading.with_key("blank_rows", "drop", f"{len(table) - len(kept):,} rows have no value in any column")


def numbers(
    table: pa.Table, reading: Reading, target: str, given: dict[str, Any], missing: list[str]
) -> tuple[pa.Table, Reading]:
    """The table with its numbers as programs write them, and the reading that says how the file writes them."""
    writing = number_writing.found(table, reading.keys.get("delimiter", ","), target, given, missing)
    reading = replace(reading, lost=writing.lost)
    if "decimal" not in given and writing.decimal != ".":
        reading = reading.with_key("decimal", writing.decimal, writing.why)
    if "thousands" not in given and writing.thousands:
        reading = reading.with_key("thousands", writing.thousands, writing.why)
    return number_writing.as_programs_write(table, writing, missing), reading


def total(
    table: pa.Table, seen: pa.Table, reading: Reading, given: dict[str, Any]
) -> tuple[pa.Table, pa.Table, Reading]:
    """Both tables without a last row that is the sum of the others, and the reading that leaves it out."""
    why = "" if "skip_end" in given else below.is_total(seen)
    if not why:
        return table, seen, reading
    lines = reading.keys.get("skip_end", 0) + 1
    return table.slice(0, len(table) - 1), seen.slice(0, len(seen) - 1), reading.with_key("skip_end", lines, why)


def instants(seen: pa.Table, reading: Reading, target: str, missing: list[str]) -> tuple[pa.Table, Reading]:
    """The table with instants in place of dates and times of day, and the reading that joins them."""
    columns = column_types.columns(seen.drop_columns([target]), missing)
    for one in time_of_day.found(seen, columns):
        seen = time_of_day.joined(seen, one)
        parts = {one.name: Said([one.date, one.time], "a date, and a time of day")}
        reading = reading.with_key("instants", reading.keys.get("instants", {}) | parts, "")
        reading = replace(reading, forms=reading.forms | {one.name: one.form})
    return seen, reading


def columns(seen: pa.Table, reading: Reading, missing: list[str]) -> list[Column]:
    """What each column is; a date that is made of two columns is one, whatever its texts look like."""
    found = []
    for column in column_types.columns(seen, missing):
        if column.name in reading.forms:
            why = f"such as {seen[column.name][0]}"
            column = replace(column, role="date", form=reading.forms[column.name], why=why)
        if column.name in reading.lost:
            column = column_types.left_out(column, reading.lost[column.name])
        found.append(column)
    return found


def without_marks(seen: pa.Table, reading: Reading, missing: list[str]) -> tuple[pa.Table, Reading]:
    """The table without the values that stand for a missing one, and the reading that says which they are."""
    found = far_marks.found(seen, columns(seen, reading, missing))
    if not found:
        return seen, reading
    told = {name: Said(one.marks, one.why) for name, one in found.items()}
    plain = {name: one.marks for name, one in found.items()}
    batches = [marks.without(batch, plain, Layout()) for batch in seen.to_batches()]
    return pa.Table.from_batches(batches, seen.schema), reading.with_key("marks", told, "")
