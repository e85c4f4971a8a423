"""First rows: the beginning of a file, how it is written, and what its values mean."""

import difflib
import re
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa

from flows.new import yaml_comments
from flows.new.text_files import dialect, meaning
from flows.new.text_files.dialect import Reading
from flows.new.wanted import Wanted
from pipelines.config import user_code
from pipelines.errors import DataError, RequestError
from pipelines.ingest import Ingest
from pipelines.readers import sources
from pipelines.readers.layout import NO_QUOTES
from pipelines.readers.reader import Reader
from pipelines.table import rows

LOOKED_AT = 200_000  # rows, from the beginning of the file,
MOST_BYTES = 1 << 30  # or as many as take so much memory
LONGEST = 1000  # letters of a column's name
MOST_NAMES = 50  # of columns, in a message


def read(wanted: Wanted, reader: Reader) -> tuple[pa.Table, bool, Reading]:
    """The first rows, whether there are more, and how they are read.

    Quotes that close nowhere are letters like others, where several lines have some and all lines are rows without.
    """
    if not reader.named:
        reading = Reading(wanted.given)
        return *head(_batches(wanted.data, reading), wanted.data), reading
    reading = dialect.sniff(wanted.data, wanted.names, wanted.target, wanted.given)
    try:
        return *head(_batches(wanted.data, reading), wanted.data), reading
    except DataError as error:
        without = reading.with_key("quote", NO_QUOTES, "a quote is not closed, so they are letters like others")
        if "quote" in reading.keys or not dialect.has_quotes(wanted.data, reading.keys.get("encoding", "utf-8")):
            raise
        with suppress(DataError):
            return *head(_batches(wanted.data, without), wanted.data), without
        raise error


def _batches(path: Path, reading: Reading) -> Iterable[pa.RecordBatch]:
    config = Ingest.model_validate({"source": "-", **yaml_comments.plain(reading.keys)})
    return sources.read(path, config.delimiter, config.encoding, config.names, layout=config)


def understood(table: pa.Table, reading: Reading, wanted: Wanted, more: bool) -> tuple[pa.Table, pa.Table, Reading]:
    """The rows as the file has them, the same as they are meant, and the reading with the keys that say so."""
    given, missing = wanted.given, reading.keys.get("missing", rows.MISSING)
    if sources.reader_of(wanted.data) == sources.READERS["csv"]:
        table, reading = meaning.rows(table, reading, given)
    seen, reading = meaning.numbers(table, reading, wanted.target, given, missing)
    if not more and sources.reader_of(wanted.data) == sources.READERS["csv"]:
        table, seen, reading = meaning.total(table, seen, reading, given)
    if "decimal" in reading.keys and sources.reader_of(wanted.data) == sources.READERS["lines"]:
        table, _ = head(_batches(wanted.data, reading), wanted.data)
    seen, reading = meaning.instants(seen, reading, wanted.target, missing)
    seen, reading = meaning.without_marks(seen, reading, missing)
    return table, seen, reading


def counted(target: str, table: pa.Table, reading: Reading) -> str:
    """The target, which may be counted where the file has no names: 1 is the first column, -1 the last."""
    names = table.column_names
    if target in names or not reading.why.get("names") or not re.fullmatch(r"-?[1-9]\d*", target):
        return target
    place = int(target)
    return names[place - 1 if place > 0 else place] if abs(place) <= len(names) else target


def head(batches: Iterable[pa.RecordBatch], path: Path) -> tuple[pa.Table, bool]:
    """The first rows, as the source has them, and whether there are more."""
    found, count, size = [], 0, 0
    for batch in batches:
        found.append(batch)
        count, size = count + batch.num_rows, size + batch.nbytes
        if count > LOOKED_AT or size > MOST_BYTES:
            return pa.Table.from_batches(found).slice(0, LOOKED_AT), True
    if not count:
        raise DataError(f"{path} holds no row.", "Put rows into it.")
    return pa.Table.from_batches(found), False


def check_names(table: pa.Table, wanted: list[str], reading: Reading) -> None:
    """wanted: the target, and what rows are grouped by. Raises RequestError for a name that cannot be meant."""
    there = table.column_names
    rows.check_columns(there, there)
    for name in wanted:
        if name not in there:
            raise RequestError(f"There is no column {name!r}{_near(name, there)}.", _read_as(there, reading))
        if means_something(name):
            raise RequestError(f"The column {name!r} has a name with a meaning of its own here.", "Rename it.")
    for name in there:
        if len(name) > LONGEST:
            raise DataError(
                f"A column has a name of {len(name):,} letters: {name[:40]}...", "Shorten it in the source."
            )
    if wanted[0] in wanted[1:]:
        raise RequestError(f"{wanted[0]!r} is the --target, and cannot be a --group too.", "Choose another one.")


def _near(name: str, there: list[str]) -> str:
    """The end of a sentence about an unknown column: a similar one, or all of them in their order."""
    near = difflib.get_close_matches(name, there, n=1)
    shown = ", ".join(there[:MOST_NAMES]) + (f" and {len(there) - MOST_NAMES} more" if len(there) > MOST_NAMES else "")
    return f" (did you mean {near[0]!r}?)" if near and not name.lstrip("-").isdecimal() else f" (known: {shown})"


def _read_as(there: list[str], reading: Reading) -> str:
    """What else may be wrong with how a text was read, where a column is not in it."""
    if reading.why.get("names"):
        return (
            "The first line was taken for a row: where it holds names, one of them is to be the --target. Where it "
            "does not, --target may count: 1 is the first column, -1 the last."
        )
    parted = "Cells are parted by a comma, a semicolon, a tab or |: here are none. Another sign: --delimiter."
    return parted if len(there) == 1 else ""


def means_something(name: str) -> bool:
    return name in ("", "row_id") or name.startswith(user_code.OWN)
