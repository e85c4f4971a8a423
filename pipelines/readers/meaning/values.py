"""What a raw value means, one value at a time: for rows that arrive in a program or over the network.

readers/value_columns.py says the same of whole columns, for files; a property test holds the two equal. Every
registered version carries a copy of this file and answers by it, so it imports nothing but the standard library.

A value is first the text that a CSV file would hold of it (`spelled`), so that it means the same in every format.
READERS has a function for each role. A model keeps the reader that it was made with.
"""

import hashlib
import hmac
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache
from numbers import Integral, Real
from typing import Any
from zoneinfo import ZoneInfo

READER = 2  # the newest, which `ratchet new` declares
EXACT = 2**53  # whole numbers up to here are doubles
BOOLEANS = dict.fromkeys(("true", "True", "TRUE"), "true") | dict.fromkeys(("false", "False", "FALSE"), "false")
WHOLE = re.compile(r"(-?(?:0|[1-9][0-9]*))\.0+")  # a whole number as floats are written
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", re.ASCII)
NOT_FINITE = re.compile(r"[+-]?(inf|infinity)", re.IGNORECASE)
NO_NUMBER = re.compile(r"[+-]?nan", re.IGNORECASE)
LABEL = re.compile(r"\+?(-?[0-9]+)(\.0*)?", re.ASCII)
HASHED = re.compile(r"h_[0-9a-f]{32}")
MASK = "***"  # in place of letters, however many there are
CLOCK = r"([0-9]{1,2})(?::?([0-9]{2})(?::?([0-9]{2})(?:\.([0-9]{1,9}))?)?)?( ?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?))?"
ISO = re.compile(rf"([0-9]{{4}})[-/]([0-9]{{1,2}})(?:[-/]([0-9]{{1,2}})(?:[T ]{CLOCK})?)?")
STORED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}(\.[0-9]{6})?\+00:00")  # an instant as raw.parquet has it
BLANKS = " \u00a0\u2009\u202f"  # that stand between thousands: of a keyboard, not broken, thin, narrow
APOSTROPHES = "'\u2019"
MINUS = str.maketrans("\u2212\ufe63\uff0d\u2010\u2011\u2013", "------")
GROUPS = {" ": f"[{BLANKS}]", "'": f"[{APOSTROPHES}]"}
EXAMPLE = 1234.5
Mark = str | int | float
REPAIR = "Correct the source, or declare the mark as missing under `ingest: missing:`."

KEY = "Set RATCHET_HASH_KEY to the file of the key that the model's YAML names under `ingest: hash_key:`."
DATES = "Correct the source, or `dates` or `missing` under `ingest:` in the model's YAML."
ZONE = "Declare the time zone of the dates under `ingest: timezone:`, such as UTC or Europe/Berlin."
WRITTEN = "Write all numbers alike, or correct `ingest: decimal:` and `ingest: thousands:` in the model's YAML."
ALL = "Correct the source, or `ingest: timezone:` in the model's YAML."
TWICE = "Say which of the two is meant: `ingest: ambiguous: earlier`, or `later`. Or write dates with their offset."


class Misfit(ValueError):
    """A value that is not what its column holds: "is not a number", and what to do about it."""

    def __init__(self, what: str, do: str = REPAIR, shown: str = ""):
        """shown: the end of the sentence, which holds something of the value."""
        super().__init__(what + shown)
        self.bare, self.do = what, do


@dataclass(frozen=True)
class Rules:
    """How the values of one model are written: the keys of `ingest:` that matter for a single row."""

    reader: int = 1
    missing: tuple[str, ...] = ()
    dates: dict[str, str] = field(default_factory=dict)  # column -> ISO, or a format of strptime
    timezone: str = ""
    ambiguous: str = "refuse"  # or earlier, later
    decimal: str = "."
    thousands: str = ""
    marks: Mapping[str, Sequence[Any]] = field(default_factory=dict)  # column -> its own marks of a missing value
    private: Mapping[str, Any] = field(default_factory=dict)  # column -> hash, {mask: {first, last}} or {bin: ...}
    key: bytes = field(default=b"", repr=False, compare=False)  # of the hashes
    moments: dict[str, frozenset[str]] = field(default_factory=dict, repr=False, compare=False)  # marked_moments so far

    @cached_property
    def numeric_marks(self) -> frozenset[float]:
        """The numbers that stand for a missing value, however they are written."""
        known = self.missing if self.reader > 1 else ()
        return frozenset(float(mark) for mark in known if NUMBER.fullmatch(mark))


def spelled(value: Any) -> str | None:
    """The text of any value, as a CSV file would hold it; None where there is none. Raises Misfit for bytes that are no
    text, and for what is no single value."""
    if _absent(value):
        return None
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool) or type(value).__name__ == "bool":  # NumPy's
        return "true" if value else "false"
    if isinstance(value, Integral):
        return str(int(value))
    if isinstance(value, Decimal):
        return _decimal(value)
    if isinstance(value, Real):
        return _float(shortest(value))
    if isinstance(value, bytes | bytearray):
        return _decoded(bytes(value))
    return _instant(value)


def _absent(value: Any) -> bool:
    kind = type(value).__name__
    return (
        value is None or kind in ("NAType", "NaTType") or (kind == "datetime64" and value != value)
    )  # of pandas, NumPy


def shortest(value: Any) -> float:
    """A float of any width, by the fewest digits that tell it apart: 0.1 is 0.1 in 32 bits too."""
    return float(value) if isinstance(value, float) else float(str(value))


def _float(value: float) -> str | None:
    if value != value:
        return None
    return str(int(value)) if abs(value) < EXACT and value.is_integer() else repr(value)


def _decimal(value: Decimal) -> str | None:
    if value.is_nan():
        return None
    return str(int(value)) if value.is_finite() and value == value.to_integral_value() else format(value, "f")


def _decoded(value: bytes) -> str:
    try:
        return value.decode().strip()
    except UnicodeDecodeError as error:
        raise Misfit(
            "is no text in UTF-8", "Write it as text in UTF-8, or list the column under `ingest: ignore:`."
        ) from error


def _instant(value: Any) -> str:
    """A date or a time, in UTC where it has an offset."""
    if type(value).__name__ == "datetime64":  # NumPy's
        value = value.astype("datetime64[us]").item()
    if isinstance(value, datetime):
        return str(bare(value) if value.tzinfo is None else bare(value).astimezone(UTC))
    if isinstance(value, date):
        return str(value)
    raise Misfit(f"is of type {type(value).__name__}, which is no single value")


def bare(value: datetime) -> datetime:
    """Without what pandas adds, such as nanoseconds."""
    parts = value.year, value.month, value.day, value.hour, value.minute, value.second, value.microsecond
    return datetime(*parts, tzinfo=value.tzinfo, fold=value.fold)


def _marked(value: Any, written: str, rules: Rules) -> bool:
    """Whether it stands for a missing value: the first reader looks for marks only among texts."""
    return written in rules.missing and (rules.reader > 1 or isinstance(value, str))


def _boolean(value: Any, written: str, rules: Rules) -> bool | None:
    """What it says, if it says yes or no; to the first reader a text does not."""
    if rules.reader == 1 and isinstance(value, str):
        return None
    return {"true": True, "false": False}.get(BOOLEANS.get(written, ""))


def text(value: Any, rules: Rules) -> str | None:
    """A category, a class or a carried value; None where it is missing."""
    found = spelled(value)
    if found is None or _marked(value, found, rules):
        return None
    if rules.reader == 1:
        return found
    if whole := WHOLE.fullmatch(found):
        found = str(int(whole[1]))
    found = BOOLEANS.get(found, found)
    return None if found in rules.missing else found


def number(value: Any, rules: Rules) -> float | None:
    """A double. Raises Misfit for what is no number, is not finite, or has more digits than a double keeps."""
    found = _number(value, rules)
    if found is not None and found in (float("inf"), float("-inf")):
        raise Misfit("is not a finite number")
    return None if found is None or found in rules.numeric_marks else found


def _number(value: Any, rules: Rules) -> float | None:
    if isinstance(value, Real) and not isinstance(value, bool | Integral):
        found = shortest(value) if rules.reader > 1 else float(value)
        return None if found != found else found
    written = spelled(value)
    if written is None or _marked(value, written, rules) or NO_NUMBER.fullmatch(written):
        return None
    if NOT_FINITE.fullmatch(written):
        return float("inf")
    if (boolean := _boolean(value, written, rules)) is not None:
        return float(boolean)
    digits = _as_written(written, rules) if isinstance(value, str) else written
    if not NUMBER.fullmatch(digits):
        raise Misfit("is not a number")
    return _exact(digits)


def _as_written(text: str, rules: Rules) -> str:
    """The text of a number as programs write it."""
    try:
        return plain(text, rules.decimal, rules.thousands)
    except ValueError as error:
        told = f"is not written like {example(rules.decimal, rules.thousands)}, as numbers are declared"
        raise Misfit(told, WRITTEN) from error


def _exact(written: str) -> float:
    found, digits = float(written), written.lstrip("+-")
    if len(digits) > 15 and digits.isdigit() and int(found) != int(written):
        raise Misfit(
            "has more digits than a number keeps here",
            "If it is an identity, declare the column as category or carried. Else round it in the source.",
            f" (it would become {int(found)})",
        )
    return found


def whole(value: Any, rules: Rules) -> int | None:
    """A class that is a whole number of 64 bits."""
    written = spelled(value)
    if written is None or _marked(value, written, rules):
        return None
    if (boolean := _boolean(value, written, rules)) is not None:
        return int(boolean)
    found = LABEL.fullmatch(_as_written(written, rules) if isinstance(value, str) else written)
    if not found or not -(2**63) <= int(found[1]) < 2**63:
        raise Misfit("is not a whole number of 64 bits")
    return None if found[1] in rules.missing and rules.reader > 1 else int(found[1])


def moment(value: Any, rules: Rules, name: str) -> str | None:
    """An instant, as ISO text in UTC. Raises Misfit for what is none, or for one whose time zone is unknown."""
    if type(value).__name__ == "datetime64" and not _absent(value):
        value = value.astype("datetime64[us]").item()
    if isinstance(value, date) and not _absent(value):
        found = bare(value) if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
    else:
        written = spelled(value)
        if not written or written in rules.missing:
            return None
        found = parsed(written, rules.dates.get(name, "ISO"))
    stored = iso(found if found.tzinfo else local(found, rules))
    return None if stored in marked_moments(name, rules) else stored


def marked_moments(name: str, rules: Rules) -> frozenset[str]:
    """The instants that stand for a missing value in a column of dates, however they are written."""
    if name not in rules.moments:
        found = set()
        for mark in rules.missing if rules.reader > 1 else ():
            with suppress(Misfit):
                at = parsed(mark, rules.dates.get(name, "ISO"))
                found.add(iso(at if at.tzinfo else local(at, rules)))
        rules.moments[name] = frozenset(found)
    return rules.moments[name]


def joined(parts: Iterable[Any], rules: Rules, name: str) -> str | None:
    """One instant, of values of their own (`ingest: instants:`); None if one is missing."""
    return hidden(_joined(parts, rules, name), rules, name)


def _joined(parts: Iterable[Any], rules: Rules, name: str) -> str | None:
    found = [spelled(part) for part in parts]
    if any(part is None or part in rules.missing for part in found):
        return None
    written = [re.sub(r"^([0-9]+)\.0$", r"\1", str(part)) for part in found]
    if name in rules.dates or len(written) == 2:
        at = parsed(" ".join(written), rules.dates.get(name, "ISO"))
        return iso(at if at.tzinfo else local(at, rules))
    try:
        numbers = [int(part) for part in written]
        at = datetime(*numbers, *(1, 1, 1)[len(numbers) : 3])  # type: ignore[arg-type]
    except ValueError as error:
        raise Misfit("is not a date", DATES) from error
    return iso(local(at, rules))


def parsed(written: str, form: str) -> datetime:
    """With an offset where the text has one."""
    try:
        return _iso(written) if form == "ISO" or STORED.fullmatch(written) else datetime.strptime(written, form)
    except ValueError as error:
        raise Misfit(f"is not a date of the form {form}", DATES) from error


def _iso(written: str) -> datetime:
    found = ISO.fullmatch(written)
    if not found:
        raise ValueError(written)
    year, month, day, hour, minute, second = (int(part or "0") for part in found.groups()[:6])
    fraction = int((found[7] or "0")[:6].ljust(6, "0"))
    offset = datetime.fromisoformat(f"2000-01-01T00:00{_offset(found[8])}").tzinfo if found[8] else None
    return datetime(year, month, day or 1, hour, minute, second, fraction, offset)


def _offset(written: str) -> str:
    digits = written.strip().replace(":", "")
    return "+00:00" if digits == "Z" else f"{digits[:3]}:{digits[3:] or '00'}"


def local(found: datetime, rules: Rules) -> datetime:
    """By the clock of the declared time zone."""
    if not rules.timezone:
        raise Misfit("has no offset, so its time zone is unknown", ZONE)
    zone = ZoneInfo(rules.timezone)
    first, second = found.replace(tzinfo=zone, fold=0), found.replace(tzinfo=zone, fold=1)
    before, after = (one.utcoffset() for one in (first, second))
    if before == after:
        return first
    if before < after:  # type: ignore[operator]
        raise Misfit(f"is a time that does not exist: clocks in {rules.timezone} were put forward over it", ALL)
    if rules.ambiguous == "refuse":
        raise Misfit(f"is a time that comes twice: clocks in {rules.timezone} were put back over it", TWICE)
    return first if rules.ambiguous == "earlier" else second


def iso(found: datetime) -> str:
    try:
        return found.astimezone(UTC).isoformat(timespec="auto")
    except OverflowError as error:
        raise Misfit("is a date outside of the years 1 to 9999") from error


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


def is_mark(value: Any, marks: Sequence[Mark], layout: Any) -> bool:
    """Whether a value is one of the marks: the same text, the same number however it is written, or the same day.

    layout: with `decimal` and `thousands`.
    """
    if value is None:
        return False
    if isinstance(value, date):  # an instant is one, too
        return any(value.isoformat()[:10] == str(mark)[:10] for mark in marks)
    text = str(value).strip()
    number = _as_number(text, layout)
    return any(text == str(mark) or (number is not None and number == _as_number(str(mark), None)) for mark in marks)


def _as_number(text: str, layout: Any) -> float | None:
    """layout: None for a mark, which a YAML has as programs write it."""
    try:
        return float(plain(text, layout.decimal, layout.thousands) if layout else text)
    except ValueError:
        return None


READERS: dict[str, Callable[[Any, Rules], Any]] = {
    "number": number,
    "category": text,
    "carried": text,
    "text": text,
    "integer": whole,
}


def one(value: Any, role: str, rules: Rules, name: str) -> Any:
    """A value by its role: a double, text, or a whole number; None where it is missing. Raises Misfit."""
    return hidden(plainly(value, role, rules, name), rules, name)


def plainly(value: Any, role: str, rules: Rules, name: str) -> Any:
    """The same before it is hidden."""
    if name in rules.marks and is_mark(value, rules.marks[name], rules):
        return None
    return moment(value, rules, name) if role == "date" else READERS[role](value, rules)


def hidden(value: Any, rules: Rules, name: str) -> Any:
    """A value that was read, as it is kept of a private column (`ingest: private:`): never the value itself.

    What was hidden before stays as it is, so that rows which were pinned or logged so may be read again.
    """
    how = rules.private.get(name)
    if value is None or how is None:
        return value
    if how == "hash":
        return hashed(value, rules.key, name)
    if "mask" in how:
        return masked(value, how["mask"].get("first", 0), how["mask"].get("last", 0))
    found = floored(value, how["bin"], rules) if isinstance(value, str) else binned(value, how["bin"])
    return None if _reads_as_missing(found, rules, name) else found


def _reads_as_missing(found: Any, rules: Rules, name: str) -> bool:
    """Whether the start of a bin is a mark of a missing value: it would be one when it is read again."""
    if isinstance(found, str):
        return found in marked_moments(name, rules)
    marks = [_as_number(str(mark), None) for mark in rules.marks.get(name, ())]
    return found in rules.numeric_marks or found in marks


def hashed(value: str, key: bytes, name: str) -> str:
    """HMAC-SHA-256 over column and value, its first 128 bits: without the key nobody can try values out."""
    if HASHED.fullmatch(value):
        return value
    if not key:
        raise Misfit("cannot be hashed: the key is not here", KEY)
    content = f"{name}\0{value}".encode(errors="surrogatepass")
    return f"h_{hmac.new(key, content, hashlib.sha256).hexdigest()[:32]}"


def masked(value: str, first: int, last: int) -> str:
    """The first and the last letters, and stars between them; nothing but stars of a value that is hardly longer."""
    begin, end = value[:first], value[len(value) - last :]
    if value in (MASK, begin + MASK + end) and len(value) in (len(MASK), first + len(MASK) + last):
        return value
    return begin + MASK + end if len(value) > first + last else MASK


def binned(value: float, edges: float | Sequence[float]) -> float:
    """The largest start of a bin that is not above the value. edges: the starts, or the width from zero on.

    A value below the first start counts as that.
    """
    if isinstance(edges, Sequence):
        return float(max((edge for edge in edges if edge <= value), default=edges[0]))
    if abs(value) / edges >= EXACT:  # wider than the gaps between doubles
        return value
    steps = math.floor(value / edges)  # by one off at most
    steps += (steps + 1) * edges <= value
    steps -= steps * edges > value
    return float(steps * edges)


def floored(value: str, unit: str, rules: Rules) -> str:
    """The start of the day, week, month, quarter or year that an instant lies in, by the declared clock."""
    zone = ZoneInfo(rules.timezone or "UTC")
    at = datetime.fromisoformat(value).astimezone(zone)
    day = datetime(at.year, at.month, at.day)
    if unit == "week":
        day -= timedelta(days=day.weekday()) if day.toordinal() > day.weekday() else timedelta()
    elif unit != "day":
        day = day.replace(day=1, month={"month": day.month, "quarter": 3 * ((day.month - 1) // 3) + 1}.get(unit, 1))
    return iso(day.replace(tzinfo=zone))


def read(cells: Iterable[Any], role: str, rules: Rules, name: str) -> list[Any]:
    """The cells of a column by its role. Raises ValueError naming row, column and value."""
    result = []
    for row, value in enumerate(cells):
        try:
            result.append(one(value, role, rules, name))
        except Misfit as error:
            shown, told = ("the value", error.bare) if name in rules.private else (repr(value)[:60], str(error))
            raise ValueError(f"row {row}, column {name!r}: {shown} {told}") from error
    return result
