"""A date in one column and a time of day in another: together they are one instant."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa

from flows.new.column_types import COMPACT, ISO, Column

FORMS = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%H.%M.%S", "%I:%M:%S %p", "%I:%M %p", "%Hh%M")
OF_ISO = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f")  # which follow a date of ISO in an instant of ISO
POINT, DIGITS = "%H.%M", re.compile(r"\d\d\.\d\d")  # of times that are numbers, too
MOST_WORDS = 2000  # that are tried


@dataclass(frozen=True)
class Joined:
    name: str
    date: str
    time: str
    form: str  # of the text that is made of both, with a blank between them


def found(table: pa.Table, columns: list[Column]) -> list[Joined]:
    """The pairs of columns that are one instant each. table: as `ingest` would see its text; columns: without the
    target."""
    days = [c for c in columns if c.role == "date" and _is_text(table, c.name) and _is_day(table, c)]
    times = {c.name: form for c in columns if _is_text(table, c.name) and (form := time_form(table[c.name]))}
    order = {name: place for place, name in enumerate(table.column_names)}
    pairs: list[tuple[Column, str]] = []
    for name in times:
        near = [day for day in days if abs(order[day.name] - order[name]) == 1 or len(days) == len(times) == 1]
        if near and (day := near[0]) not in [taken for taken, _ in pairs]:
            pairs.append((day, name))
    if not pairs and len(days) == 1:
        pairs = [(days[0], name) for name in _with_points(table, columns, days[0].name)][:1]
    return [_joined(table, day, name, times.get(name, POINT)) for day, name in pairs]


def joined(table: pa.Table, one: Joined) -> pa.Table:
    """The table with the instants in place of their parts."""
    parts = [table[name].to_pandas().astype(object).str.strip() for name in (one.date, one.time)]
    missing = parts[0].isna() | parts[1].isna() | parts[0].eq("") | parts[1].eq("")
    text = (parts[0].str.cat(parts[1], sep=" ")).astype(object).mask(missing, None)
    place = table.column_names.index(one.date)
    table = table.set_column(place, one.name, pa.array(text.tolist(), pa.string()))
    return table.drop_columns([one.time])


def time_form(column: pa.ChunkedArray) -> str:
    """How the times of day in a column of text are written; "" where they are none."""
    words = [word.strip() for word in column.unique().to_pylist()[:MOST_WORDS] if word and word.strip()]
    if len(words) < 2 or not re.match(r"\d{1,2}[:.h]\d\d", words[0]):
        return ""
    return next((form for form in FORMS if _fits(words, form)), "")


def _fits(words: list[str], form: str) -> bool:
    return bool(pd.to_datetime(pd.Series(words), format=form, errors="coerce").notna().all())


def _with_points(table: pa.Table, columns: list[Column], day: str) -> Iterator[str]:
    """Columns of numbers such as 18.30 that are times of day: the day alone does not tell rows apart, both do."""
    for column in columns:
        if column.role != "number" or column.missing or not _is_text(table, column.name):
            continue
        words = [word.strip() for word in table[column.name].unique().to_pylist()]
        pairs = table.select([day, column.name]).to_pandas()
        alone = not pairs.duplicated().any() and pairs[day].duplicated().any()
        if alone and all(map(DIGITS.fullmatch, words)) and _fits(words, POINT):
            yield column.name


def _joined(table: pa.Table, day: Column, time: str, form: str) -> Joined:
    name = f"{day.name}_{time}"
    while name in table.column_names:
        name += "_at"
    if day.form == ISO and form in OF_ISO:
        words = [word.strip() for word in table[time].unique().to_pylist() if word]
        padded = all(re.match(r"\d\d:", word) for word in words)
        return Joined(name, day.name, time, ISO if padded else f"%Y-%m-%d {form}")
    return Joined(name, day.name, time, f"{'%Y-%m-%d' if day.form == ISO else day.form} {form}")


def _is_text(table: pa.Table, name: str) -> bool:
    return bool(pa.types.is_string(table[name].type) or pa.types.is_large_string(table[name].type))


def _is_day(table: pa.Table, column: Column) -> bool:
    """Whether a date column has no time of day."""
    if column.form not in (ISO, COMPACT):
        return not re.search("%[HIMSp]", column.form)
    words = [word.strip() for word in table[column.name].unique().to_pylist()[:MOST_WORDS] if word]
    return column.form == COMPACT or all(re.fullmatch(r"\d{4}-\d\d-\d\d", word) for word in words if word)
