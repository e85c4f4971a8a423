"""Values: the columns of answered rows, read from the log as the server read them from requests.

The log has values as they came. Each different value goes through the reader of the champion (flows/serving/rows), so a
mark of a missing value is missing here too.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from flows.monitoring.drift.champion import Champion
from flows.serving.rows import cells, known_words, meaning, pictures
from flows.serving.rows.meaning import Meaning
from pipelines.table.summary.columns import NUMBERS, WORDS
from pipelines.table.summary.gather import Gathered

ROWS = "rows"  # the field of a forecast


@dataclass(frozen=True)
class Reader:
    """One column: adds the values of some answered rows to its summary."""

    name: str
    kind: str
    named: Collection[str]
    """The words that are counted one by one."""
    add: Callable[[Gathered, pa.Array], None]


def readers(found: Champion, named: Mapping[str, Collection[str]]) -> list[Reader]:
    """For each watched column. named: the words to count by column; without them those that the model has learned."""
    if found.kind == "image":
        shape = found.about["shape"]
        return [Reader(name, kind, (), _pictures(shape)) for name, kind in found.watched.items()]
    rules = meaning.of_version(found.folder / "reading")
    known = known_words.of_model(found.folder / "model", found.about)
    return [
        Reader(name, kind, named.get(name, known.get(name, ())), _of_kind(name, kind, rules, known.get(name, ())))
        for name, kind in found.watched.items()
    ]


def fields(batch: pa.RecordBatch, found: Champion) -> Mapping[str, pa.Array]:
    """The raw columns of answered rows by name, of a forecast those of the last row with a known target. Columns that
    never came are not there."""
    if "row" not in batch.schema.names:
        return {}
    rows = batch["row"]
    there = {one.name: rows.field(one.name) for one in rows.type}
    if found.kind == "image":
        return {name: there["image"] for name in found.watched if "image" in there}
    return _of_forecasts(there.get(ROWS), found) if found.kind == "sequence" else there


def _of_forecasts(windows: pa.Array | None, found: Champion) -> dict[str, pa.Array]:
    """windows: lists of rows as JSON."""
    if windows is None or pa.types.is_null(windows.type):
        return {}
    last = [_last(text, found.described["target"]) for text in windows.to_pylist()]
    return {name: _texts([row.get(name) for row in last]) for name in found.watched}


def _last(text: str | None, target: str) -> dict[str, Any]:
    try:
        rows = [row for row in orjson.loads(text or "[]") if isinstance(row, dict)]
    except orjson.JSONDecodeError:
        return {}
    known = [row for row in rows if row.get(target) not in (None, "")]
    return dict((known or rows or [{}])[-1])


def _texts(values: list[Any]) -> pa.Array:
    """As the log has a column: doubles, or texts where one value is none."""
    if all(value is None or (isinstance(value, int | float) and not isinstance(value, bool)) for value in values):
        return pa.array(values, pa.float64())
    return pa.array([None if value is None else value if isinstance(value, str) else orjson.dumps(value).decode()
                     for value in values], pa.string())  # fmt: skip


# ------------------------------------------------------------------ one column


def _of_kind(name: str, kind: str, rules: Meaning, known: Collection[str]) -> Callable[[Gathered, pa.Array], None]:
    if kind == WORDS:
        return _words(cells.word(name, rules, known))
    if kind == NUMBERS:
        plain = not rules.altered(name)
        return _numbers(cells.number(name, rules), np.array(sorted(rules.numeric_marks)) if plain else None)
    return _dates(cells.date(name, rules))


def _numbers(read: cells.Number, marks: np.ndarray | None) -> Callable[[Gathered, pa.Array], None]:
    """marks: numbers that stand for a missing value; None if each value has to be asked for."""

    def add(into: Gathered, values: pa.Array) -> None:
        if pa.types.is_float64(values.type) and marks is not None:
            found = values.to_numpy(zero_copy_only=False)
            if not len(marks) or not np.isin(found, marks).any():
                into.add_numbers(found)
                return
        found, unreadable = _each(values, read)
        into.add_numbers(found, unreadable)

    return add


def _each(values: pa.Array, read: cells.Number) -> tuple[np.ndarray, int]:
    """The numbers, NaN where one is missing or cannot be read, and how many cannot."""
    coded = values.dictionary_encode()
    found, wrong = [], []
    for place, value in enumerate(coded.dictionary.to_pylist()):
        try:
            found.append(read(value))
        except cells.UNREADABLE:
            found.append(cells.MISSING)
            wrong.append(place)
    places = coded.indices.fill_null(len(found)).to_numpy(zero_copy_only=False)
    return np.array([*found, cells.MISSING])[places], int(np.isin(places, wrong).sum())


def _dates(read: cells.Number) -> Callable[[Gathered, pa.Array], None]:
    def add(into: Gathered, values: pa.Array) -> None:
        found, unreadable = _each(values, read)
        into.add_dates(len(found), int(np.isnan(found).sum()), unreadable)

    return add


def _words(read: cells.Word) -> Callable[[Gathered, pa.Array], None]:
    def add(into: Gathered, values: pa.Array) -> None:
        words: dict[str, int] = {}
        unknown = unreadable = 0
        missing = values.null_count
        coded = pc.value_counts(values.drop_null())
        for value, count in zip(coded.field(0).to_pylist(), coded.field(1).to_pylist(), strict=True):
            try:
                word, new = read(value)
            except cells.UNREADABLE:
                unreadable, missing = unreadable + count, missing + count
                continue
            if word:
                words[word] = words.get(word, 0) + count
                unknown += count if new else 0
            else:
                missing += count
        into.add_words(words, missing, unknown, unreadable)

    return add


def _pictures(shape: list[int]) -> Callable[[Gathered, pa.Array], None]:
    """The mean value of each picture."""

    def brightness(value: Any) -> float:
        content = orjson.loads(value) if isinstance(value, str) and value.startswith("[") else value
        return float(np.frombuffer(pictures.values(content, shape), np.uint8).mean(dtype=np.float64))

    def add(into: Gathered, values: pa.Array) -> None:
        into.add_numbers(*_each(values, brightness))

    return add
