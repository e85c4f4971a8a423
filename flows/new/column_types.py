"""What each column of a table is, as far as its values tell; no name of a column means anything here.

Every answer has its reason, for the YAML that `ratchet new` writes.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from flows.new.relations import identifiers
from pipelines.model.statistics import MOST_WORDS
from pipelines.readers.meaning import value_columns, value_kinds
from pipelines.readers.meaning.values import BOOLEANS, READER, Rules, text

FEWEST_ROWS = 50  # fewer cannot be parted into three splits that say anything
MARKS = {"?", "-", "--", ".", "*", "n.a.", "none", "nil", "missing", "unknown", "undefined", "not available", "inf"}
MARKS |= {"-inf", "infinity", "#n/a", "#na", "(null)", "\\n"}  # of a missing number, in lower case
SYMBOLS = {"?", "#n/a", "#na", "(null)", "\\n"}  # those that mean nothing else among words
NEARLY = 0.99  # the share of numbers from which a few words among them are marks of a missing one
FEW_MARKS = 3
LOWEST = 0.05  # of the range of a number: where at least half as many rows as of even values lie there, it ends there
CODE = re.compile(r"0\d+")  # a postal code or an account: its leading zero is lost in a number
GROUPED = re.compile(r"-?\d{1,3}([.,' ]\d{3})*([.,]\d+)?|-?\d+,\d+")
SIGNED = re.compile(r"(?=.*[%$€£¥])[-+]?[$€£¥]? ?[-+]?\d[\d.,' ]*[%$€£¥]?")
FEW_WORDS = 20  # up to which numbers with a sign may be meant as words: 5 %, 10 % and 20 %
DAYS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d")
MONTH_DAYS = ("%d %b %Y", "%b %d, %Y", "%b %d %Y", "%d-%b-%Y", "%d/%b/%Y", "%d.%b.%Y", "%Y-%b-%d", "%Y %b %d", "%d%b%Y")
NAMED_DAYS = (*MONTH_DAYS, *(form.replace("%b", "%B") for form in MONTH_DAYS))
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p", " %H.%M", " %H.%M.%S")
MONTHS = tuple(
    form.replace("%b", month)
    for month in ("%b", "%B", "%m")
    for form in ("%b %Y", "%b-%Y", "%b/%Y", "%b.%Y", "%b, %Y", "%Y %b", "%Y-%b", "%Y/%b")
)
SHORT_MONTHS = ("%b-%y", "%b %y", "%B-%y", "%B %y")  # where the two digits cannot be days
TRIED = 5  # words by which most forms are ruled out
ISO = "ISO"
COMPACT = "%Y%m%d"  # of a date that looks like a number
SHORT_YEAR = re.compile(r"\d{1,2}([./-])\d{1,2}\1\d{2}")
EXACT = 2**53  # the largest whole number up to which a double holds each


@dataclass(frozen=True)
class Column:
    """role: number, category, date, or ignore for one that no model should see."""

    name: str
    role: str
    why: str
    missing: float = 0.0  # share of the rows
    low: float = 0.0  # of a number
    high: float = 0.0
    words: tuple[str, ...] = ()  # of a category, the most frequent first
    marks: tuple[str, ...] = ()  # words that stand for a missing value
    form: str = ""  # of a date: ISO, or as strptime takes it
    ends: bool = False  # whether many values lie at the lower end of a number's range: it may well end there
    whole: bool = False  # whether all numbers are whole
    key: bool = False  # whether it names the row, and nothing else
    names: bool = False  # whether it holds words, more than a model can learn: they may name what rows are about


def columns(table: pa.Table, missing: list[str]) -> list[Column]:
    """table: as a file has it, text or typed. missing: words that stand for no value everywhere."""
    return [column(name, table[name], missing) for name in table.column_names]


def column(name: str, values: pa.ChunkedArray, missing: list[str]) -> Column:
    if why := value_kinds.problem(values):
        return Column(name, "ignore", why)
    found = cells(values, missing)
    counts = found.value_counts()
    share = float(found.isna().mean())
    if not len(counts):
        return Column(name, "ignore", "no value in any row", 1.0)
    if len(counts) == 1 and not share:
        return Column(name, "ignore", f"constant: {_shown(counts.index[0])} in every row")
    if pa.types.is_temporal(values.type):
        return Column(name, "date", "instants", share, form=ISO)
    words = counts.index.astype(str)
    if _compact(words) and (found.dtype == object or not share):
        return Column(name, "date", f"such as {words[0]}" + _absent(share), share, form=COMPACT)
    if pd.api.types.is_numeric_dtype(found) and not pd.api.types.is_bool_dtype(found):
        return _number(name, counts, share, len(found), ())
    numeric, marks = _numeric(words, counts.to_numpy())
    if numeric is not None:
        used = counts[~words.isin(marks)]
        away = float(counts[words.isin(marks)].sum() / len(found))
        return _number(name, pd.Series(used.to_numpy(), numeric), share + away, len(found), marks)
    return _text(name, counts, share, len(found))


def cells(values: pa.ChunkedArray, missing: list[str]) -> pd.Series:
    """The cells as `ingest` would see them: text without blanks around it, null for a missing value."""
    found = words(values, missing)
    return values.to_pandas() if found is None else found.to_pandas().astype(object).replace(BOOLEANS)


def words(values: pa.ChunkedArray, missing: list[str]) -> pa.ChunkedArray | None:
    """The cells as text; None if they are stored as numbers or instants."""
    rules = Rules(1, tuple(missing))  # reader 2 would make 18 of 18.00, which may be a time of day
    found = [value_columns.words(part, rules) for part in values.chunks]
    return pa.chunked_array(found, pa.string()) if found and found[0] is not None else None


def as_read(words: pd.Series) -> pd.Series:
    """Words as `ingest` writes them: 1.0 as 1."""
    read = {word: text(word, Rules(READER)) or word for word in words.unique()}
    return words.map(read)


def _numeric(words: pd.Index, counts: np.ndarray) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """The words as numbers, and those left out as marks of a missing one; (None, ()) if they are no numbers."""
    found = pd.to_numeric(pd.Series(words), errors="coerce").to_numpy(float)
    if words.str.fullmatch(CODE.pattern).any():
        return None, ()
    is_number = np.isfinite(found)
    rest = tuple(words[~is_number])
    known = all(word.lower() in MARKS for word in rest)
    nearly = len(rest) <= FEW_MARKS and counts[is_number].sum() >= NEARLY * counts.sum()
    if is_number.any() and (known or nearly):
        return found[is_number], rest
    return None, ()


def _compact(words: pd.Index) -> bool:
    """Whether they are days such as 20240131: of other numbers hardly one in thirty could be."""
    if len(words) < 3 or not words.str.fullmatch(r"(19|20)\d{6}").all():
        return False
    return bool(pd.to_datetime(pd.Series(words), format=COMPACT, errors="coerce").notna().all())


def _number(name: str, counts: pd.Series, share: float, total: int, marks: tuple[str, ...]) -> Column:
    """counts: by number, how often it occurs."""
    values = counts.index.to_numpy(float)
    low, high = float(values.min()), float(values.max())
    if len(values) == 1 and not share:
        return Column(name, "ignore", f"constant: {low:.15g} in every row", marks=marks)
    whole = bool((values == np.round(values)).all())
    if whole and max(abs(low), abs(high)) > EXACT:
        return Column(name, "ignore", "whole numbers beyond 2^53: an identifier, not an amount", share)
    times = counts.to_numpy(float)
    present = int(times.sum())
    by_lot = len(values) == present >= FEWEST_ROWS and _scattered(values)
    if whole and (by_lot or identifiers.handed_out(values, times)):
        why = f"{len(values):,} different whole numbers in {present:,} rows: an identifier"
        return Column(name, "ignore", why, share, key=True)
    why = f"{low:.6g} to {high:.6g}" + (f", {len(values)} different ones" if len(values) <= 20 else "")
    why += f"; missing where it says {', '.join(map(repr, marks))}" if marks else ""
    why += _absent(share)
    return Column(name, "number", why, share, low, high, marks=marks, ends=ends(values, times), whole=whole)


def ends(values: np.ndarray, times: np.ndarray) -> bool:
    """Whether the range of numbers ends where their least lies, as that of counts and prices, not of temperatures.

    values: the different ones; times: how often each occurs.
    """
    low, high = float(values.min()), float(values.max())
    near = float(times[values <= low + LOWEST * (high - low)].sum() / times.sum())
    return near >= LOWEST / 2


def _scattered(values: np.ndarray) -> bool:
    """Whether whole numbers are all of one length and lie about evenly, as numbers that somebody drew by lot do."""
    digits = {len(str(int(abs(value)))) for value in (values.min(), values.max())}
    if len(digits) > 1 or digits.pop() < 5:
        return False
    from scipy.stats import kstest

    return bool(kstest(values, "uniform", args=(values.min(), np.ptp(values))).statistic < 0.05)


def _text(name: str, counts: pd.Series, share: float, total: int) -> Column:
    words = counts.index.astype(str)
    if (form := date_form(words)) is not None:
        if not form:
            why = f"dates in which day and month cannot be told apart, or of several forms, such as {_shown(words[0])}"
            return Column(name, "ignore", f"{why}: write them as 2026-01-31 in the source", share)
        return Column(name, "date", f"such as {_shown(words[0])}" + _absent(share), share, form=form)
    present = int(counts.sum())
    if why := written_otherwise(words):
        return Column(name, "ignore", why, share)
    if len(words) > 0.9 * present and present >= FEWEST_ROWS:
        key = bool(np.mean([" " in word for word in words[:1000]]) <= 0.5)
        kind = "an identifier" if key else "free text"
        return Column(name, "ignore", f"{len(words):,} different texts in {present:,} rows: {kind}", share, key=key)
    if len(words) > MOST_WORDS or len(words) > 0.5 * present > 25:
        why = f"{len(words):,} different words: too many for {present:,} rows"
        return Column(name, "ignore", why, share, names=True)
    marks = tuple(word for word in words if word.lower() in SYMBOLS)
    kept = tuple(dict.fromkeys(as_read(pd.Series([word for word in words if word not in marks], dtype=object))))
    share += float(counts[words.isin(marks)].sum() / total)
    why = f"{len(kept)} words{alike(kept)}" + (
        f"; missing where it says {', '.join(map(repr, marks))}" if marks else ""
    )
    return Column(name, "category", why + _absent(share), share, words=kept, marks=marks)


def alike(words: Sequence[str]) -> str:
    """The end of a reason: two words that differ only in capital letters, leading zeros, or how accents are stored."""
    first: dict[str, str] = {}
    for word in words:
        plain = unicodedata.normalize("NFKC", word).casefold()
        if (other := first.setdefault(plain.lstrip("0") if plain.isdecimal() else plain, word)) != word:
            return f"; look: {_shown(other)} and {_shown(word)} are two words"
    return ""


def written_otherwise(words: pd.Index) -> str:
    """What to do about words that are numbers, but not as a program writes them; "" if they are none."""
    grouped = all(map(GROUPED.fullmatch, words)) and not all(map(str.isdigit, words))
    signed = len(words) > FEW_WORDS and all(map(SIGNED.fullmatch, words))
    if not (grouped or signed):
        return ""
    what = "a comma or blanks" if grouped else "a sign"
    return f"numbers with {what}, such as {_shown(words[0])}: write them as 1234.5 in the source"


def date_form(words: pd.Index) -> str | None:
    """How the dates among texts are written; "" if several readings fit or none fits all, None if they are no dates."""
    sample = pd.Series(words[:2000])
    if not sample.str.contains(r"\d", regex=True).all() or not sample.str.len().between(6, 40).all():
        return None
    if pd.to_datetime(sample, format="ISO8601", errors="coerce", utc=True).notna().all():
        return ISO if sample.str.contains("-").all() else None
    if all(map(SHORT_YEAR.fullmatch, sample)):
        return ""
    tried = [form for form in _forms() if _reads(sample[:TRIED], form).notna().any()]
    read = {form: _reads(sample, form) for form in [*tried, "ISO8601"]}
    fitting = [form for form, found in read.items() if found.notna().all()]
    if fitting and all(read[form].equals(read[fitting[0]]) for form in fitting):
        return fitting[0]
    several = np.any([found.notna().to_numpy() for found in read.values()], axis=0).mean() > 0.95
    return "" if fitting or several else None


def _reads(sample: pd.Series, form: str) -> pd.Series:
    return pd.to_datetime(sample, format=form, errors="coerce", utc=True)


def instants(values: pa.ChunkedArray, column: Column, missing: list[str]) -> pd.Series:
    """A date column's instants, as if written in UTC; NaT where there is none."""
    form = "ISO8601" if column.form == ISO else column.form
    return pd.to_datetime(cells(values, missing), utc=True, format=form).rename(column.name)


def _forms() -> list[str]:
    days = [day + time for day in (*DAYS, *NAMED_DAYS) for time in TIMES]
    return [*days, *MONTHS, *SHORT_MONTHS]


def _absent(share: float) -> str:
    return f"; {share:.1%} missing" if share else ""


def _shown(value: Any) -> str:
    """A value in a reason, not too long."""
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def left_out(column: Column, why: str) -> Column:
    """The column as one that no model should see."""
    return replace(column, role="ignore", why=why)


def marks(found: list[Column], missing: list[str]) -> list[str]:
    """All words that stand for a missing value."""
    return [*missing, *sorted({mark for column in found for mark in column.marks} - {*missing})]
