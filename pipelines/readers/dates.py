"""Dates: text in a declared form, or parts in several columns -> instants in UTC, as the ISO text of raw.parquet.

An instant depends only on the text and the declared time zone, never on the zone of this machine.
"""

import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import field_validator

from pipelines.config.section import Section
from pipelines.errors import DataError
from pipelines.readers.meaning import values as raw_values
from pipelines.table import rows

if TYPE_CHECKING:  # half a second to import, and needed only where there are dates
    import pandas as pd

ISO = "ISO"
PARTS = ("year", "month", "day", "hour", "minute", "second")
OFFSET = re.compile(r"\d[Tt ]\d.*(?:[Zz]|[+-]\d\d(?::?\d\d)?)$")  # at the end of an ISO instant
WHOLE = "%Y-%m-%dT%H:%M:%S+00:00"  # for a timestamp in whole seconds; Arrow adds six digits to one in microseconds


class Dates(Section):
    """The keys of `ingest:` that say how dates are written."""

    dates: dict[str, str] = {}
    """How the dates of a column are written: `ISO`, or a format such as `"%d.%m.%Y %H:%M"`. A date column that is
    not listed is ISO."""
    instants: dict[str, list[str]] = {}
    """Date columns that are made of others. Two of them, or any that `dates` lists by the new name, are texts, such as
    a date and a time of day: with a blank between them they are written as `dates` says. Else one or three to six are
    numbers: year, month, day, hour, minute, second. The parts are left out unless `data.columns` lists them. A file
    without any of the parts may have the date itself."""
    timezone: str | None = None
    """The time zone of dates without an offset, such as Europe/Berlin. Without it such dates are refused."""
    ambiguous: Literal["refuse", "earlier", "later"] = "refuse"
    """Which of two instants is meant by a date without an offset in the hour that comes twice, when clocks in
    `timezone` are put back. A date in the hour that clocks leave out is always refused."""

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        try:
            return name if name is None else ZoneInfo(name).key
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"{name!r} is not a time zone: write one such as UTC or Europe/Berlin") from error

    @field_validator("instants")
    @classmethod
    def _parts_in_order(cls, found: dict[str, list[str]]) -> dict[str, list[str]]:
        for name, parts in found.items():
            if not 1 <= len(parts) <= len(PARTS):
                raise ValueError(f"{name!r} needs from one to six columns: {', '.join(PARTS)}, in this order")
        return found


def read(
    batch: pa.RecordBatch,
    names: list[str],
    config: Any,
    first: int,
    kept: list[str],
    hidden: Collection[str] = (),
) -> pa.RecordBatch:
    """The batch with its date columns `names` as ISO text in UTC; a missing one is null.

    config: of ingest, with `missing`. first: the number of the first row, for messages. Parts of an instant are left
    out unless `kept` lists them. hidden: columns whose values no message shows. Raises DataError naming the row, the
    column and the wrong value.
    """
    rows.check_once(batch.schema.names)
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    for name in names:
        try:
            if name in config.instants and not _is_whole(name, columns, config):
                columns[name] = _joined(name, columns, config, first)
            elif name in columns and (name not in config.instants or config.reader == 1):
                columns[name] = _read(name, columns[name], config, first)
        except _Wrong as error:
            told = (
                "a sensitive value does not fit" if {name, *config.instants.get(name, [])} & {*hidden} else error.told
            )
            raise DataError(f"Row {error.row}, column {name!r}: {told}.", error.do) from error
    parts = {part for name in names for part in config.instants.get(name, [])} - set(kept)
    chosen = {name: values for name, values in columns.items() if name not in parts}
    return pa.RecordBatch.from_arrays(list(chosen.values()), names=list(chosen))


class _Wrong(Exception):
    """A value that is no date, or none that is known. told: with the value."""

    def __init__(self, row: int, told: str, do: str):
        super().__init__(told)
        self.row, self.told, self.do = row, told, do


def _read(name: str, column: pa.Array, config: Any, first: int) -> pa.Array:
    import pandas as pd

    values = column.to_pandas()
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        found = pd.to_datetime(values)
        return _text(found.dt.tz_convert("UTC") if found.dt.tz else _local(name, found, values, config, first))
    text = values.astype("str").str.strip().mask(values.isna())
    text = text.mask(text.isin(config.missing))
    form = config.dates.get(name, ISO)
    known = "ISO8601" if form == ISO else form
    try:
        found = pd.to_datetime(text, format=known, utc=True, errors="coerce")
    except ValueError as error:
        raise DataError(
            f"{form!r}, declared for the dates in {name!r}, is not a date format: {error}.",
            "Correct `ingest: dates:` in the model's YAML.",
        ) from error
    _check(name, text, found, first, f"not a date of the form {form}")
    with_offset = text.str.contains(OFFSET).fillna(False).astype(bool) if form == ISO else "%z" in form
    naive = found.notna() & ~pd.Series(with_offset, found.index)
    if naive.any():
        found = found.where(~naive, _local(name, found.where(naive).dt.tz_localize(None), text, config, first))
    return _text(found)


def _is_whole(name: str, columns: dict[str, pa.Array], config: Any) -> bool:
    """Whether a date that is made of several columns is there itself, and none of these: in a file of learned rows."""
    return name in columns and columns.keys().isdisjoint(config.instants[name])


def _joined(name: str, columns: dict[str, pa.Array], config: Any, first: int) -> pa.Array:
    """One instant of each row, from whole numbers in several columns."""
    import pandas as pd

    wanted = config.instants[name]
    if absent := [part for part in wanted if part not in columns]:
        raise DataError(
            f"The data have no column {absent[0]!r}, a part of {name!r}.",
            "Correct `ingest: instants:` in the model's YAML.",
        )
    if name in columns:
        raise DataError(
            f"The data have a column {name!r} already, but `ingest: instants:` makes it from {', '.join(wanted)}.",
            "Choose another name under `ingest: instants:`.",
        )
    cells = pd.DataFrame({part: columns[column].to_pandas() for part, column in zip(PARTS, wanted, strict=False)})
    text = cells.astype("str").apply(lambda column: column.str.strip())
    missing = (cells.isna() | text.isin(config.missing)).any(axis=1)
    if name in config.dates or len(wanted) == 2:
        whole = text.replace(r"^(\d+)\.0$", r"\1", regex=True)  # a whole number that a null made a double
        whole = whole.iloc[:, 0].str.cat(whole.iloc[:, 1:], sep=" ").mask(missing)
        return _read(name, pa.array(whole, pa.string(), from_pandas=True), config, first)
    numbers = text.apply(pd.to_numeric, errors="coerce")
    numbers = numbers.where(numbers.eq(numbers.round()))
    begins = {part: 1 for part in ("month", "day") if part not in numbers}
    found = pd.to_datetime(numbers.assign(**begins), errors="coerce").mask(missing)
    shown = text.iloc[:, 0].str.cat(text.iloc[:, 1:], sep="-", na_rep="").mask(missing)
    _check(name, shown, found, first, f"not a date made of {', '.join(wanted)}")
    return _text(_local(name, found, shown, config, first))


def _local(name: str, found: "pd.Series", shown: "pd.Series", config: Any, first: int) -> "pd.Series":
    """Dates without an offset -> instants, by the clock of the declared zone."""
    if config.timezone is None:
        if not found.notna().any():
            return found.dt.tz_localize("UTC")
        row = int(found.notna().to_numpy().argmax())
        raise _Wrong(
            first + row,
            f"{str(shown.iloc[row])!r} has no offset, so its time zone is unknown",
            "Declare the time zone of the dates under `ingest: timezone:`, such as UTC or Europe/Berlin.",
        )
    there = found.dt.tz_localize(config.timezone, ambiguous="NaT", nonexistent="NaT").dt.tz_convert("UTC")
    rules = raw_values.Rules(timezone=config.timezone, ambiguous=config.ambiguous)
    for row in (found.notna() & there.isna()).to_numpy().nonzero()[0].tolist():  # when clocks change
        try:
            there.iloc[row] = raw_values.local(found.iloc[row].to_pydatetime(), rules)
        except raw_values.Misfit as error:
            raise _Wrong(first + row, f"{str(shown.iloc[row])!r} {error}", error.do) from error
    return there


def _check(name: str, text: "pd.Series", found: "pd.Series", first: int, why: str) -> None:
    """Raises _Wrong for the first text that did not become a date."""
    wrong = (text.notna() & found.isna()).to_numpy()
    if wrong.any():
        row = int(wrong.argmax())
        raise _Wrong(
            first + row,
            f"{str(text.iloc[row])!r}: {why}",
            "Correct the source, or `dates`, `timezone` or `missing` under `ingest:` in the model's YAML.",
        )


def _text(found: "pd.Series") -> pa.Array:
    return text(pa.array(found.dt.tz_localize(None), pa.timestamp("us"), from_pandas=True, safe=False))


def text(exact: pa.Array) -> pa.Array:
    """Instants as ISO text in UTC, with a fraction only if there is one, so that an instant has one spelling.

    exact: timestamps in microseconds, without a zone.
    """
    seconds = exact.cast(pa.timestamp("s"), safe=False)
    whole = pc.equal(seconds.cast(pa.timestamp("us")), exact)
    return pc.if_else(whole, pc.strftime(seconds, WHOLE), pc.strftime(exact, WHOLE))
