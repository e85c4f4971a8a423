"""The fields of a table's row: a menu for words, a box for a number, a date with its zone."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flows.web import shown
from flows.web.posted import Posted

MISSING, OTHER, WORD = "missing", "other", "word:"  # the values of a menu; a word has a prefix, so that none is taken
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)  # as JSON writes one
MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:([T ])(\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII)


@dataclass(frozen=True)
class Field:
    """An input of the form. kind: number, menu, text, moment or day; value: what it holds, as a text.

    words: those of a menu; value is one of them, or a word of the user's. hint: what is written below it. zone: that of
    a moment, or "". note: what is odd about the value.
    """

    place: int
    name: str
    kind: str
    value: str
    words: tuple[str, ...] = ()
    hint: str = ""
    note: str = ""

    @property
    def chosen(self) -> str:
        """The entry of a menu that holds the value."""
        if self.value in self.words:
            return WORD + self.value
        return OTHER if self.value else MISSING


def fields(described: Mapping[str, Any], row: Mapping[str, Any]) -> list[Field]:
    """The fields of a model that is described as in columns.json, filled from a raw row."""
    return [_field(place, column, row, described) for place, column in enumerate(inputs(described))]


def row_of(described: Mapping[str, Any], posted: Posted) -> dict[str, Any]:
    """The raw row that was typed. What is no number stays a text: the server says what is wrong with it."""
    return {
        str(column["name"]): _value(posted, place, column, described) for place, column in enumerate(inputs(described))
    }


def inputs(described: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The columns of a raw row in their order; a date that is made of other columns gives way to these, unless the
    example has the date itself."""
    made, example = described.get("instants") or {}, described.get("example") or {}
    instants = {date: parts for date, parts in made.items() if date not in example}
    found: dict[str, dict[str, Any]] = {}
    for column in described["columns"]:
        for part in instants.get(column["name"], ()):
            found.setdefault(part, {**column, "name": part, "role": "part", "of": column["name"]})
        if column["name"] not in instants:
            found[column["name"]] = dict(column)  # a part may be a column of its own: then it is that
    return list(found.values())


def _field(place: int, column: dict[str, Any], row: Mapping[str, Any], described: Mapping[str, Any]) -> Field:
    name, role, value = str(column["name"]), column["role"], spelled(row.get(column["name"]))
    secret = "kept out of the log as it is" if column.get("sensitive") else ""
    if role == "number":
        return Field(place, name, "number", value, (), _joined(_range(column), secret), _outside(column, value))
    if role == "category" and column.get("words"):
        more = f"and {column['more_words']:,} more" if column.get("more_words") else ""
        return Field(place, name, "menu", value, tuple(map(str, column["words"])), _joined(more, secret))
    if role == "date":
        return _date(place, name, value, spelled((described.get("example") or {}).get(name)), secret)
    return Field(place, name, "text", value, (), _joined(f"part of {column['of']}" if role == "part" else "", secret))


def _date(place: int, name: str, value: str, example: str, secret: str) -> Field:
    """A moment where the source writes ISO dates; else a text that is written as the example is."""
    form = MOMENT.fullmatch(example)
    given = MOMENT.fullmatch(value) if value else form
    if not form or not given or bool(form[3]) != bool(given[3]) or (value and form[4] != given[4]):
        return Field(place, name, "text", value, (), _joined(f"written like {example}" if example else "", secret))
    if not form[3]:
        return Field(place, name, "day", value, (), secret)
    zone = f"at {'UTC' if form[4] in ('Z', '+00:00') else form[4]}" if form[4] else "in the zone of the source"
    return Field(place, name, "moment", f"{given[1]}T{given[3]}" if value else "", (), _joined(zone, secret))


def _value(posted: Posted, place: int, column: dict[str, Any], described: Mapping[str, Any]) -> Any:
    typed = posted.text(f"value.{place}").strip()
    if column["role"] == "category" and column.get("words"):
        if typed.startswith(WORD):
            return typed.removeprefix(WORD)
        return posted.text(f"other.{place}").strip() or None if typed == OTHER else None
    if column["role"] == "date":
        return _as_the_source(typed, spelled((described.get("example") or {}).get(column["name"]))) or None
    return number(typed) if column["role"] == "number" and typed else typed or None


def _as_the_source(typed: str, example: str) -> str:
    """What a browser gives for a moment, with the separator and the offset of the source's dates."""
    given, form = MOMENT.fullmatch(typed), MOMENT.fullmatch(example)
    if not given or not form or not given[3] or not form[3] or given[4]:
        return typed
    clock = given[3] if given[3].count(":") == 2 or form[3].count(":") == 1 else f"{given[3]}:00"
    return f"{given[1]}{form[2]}{clock}{form[4] or ''}"


def number(text: str) -> int | float | str:
    """The number of a text, or the text: it may have the source's decimal comma, or be beyond all numbers."""
    found = json.loads(text) if NUMBER.fullmatch(text) else text
    return found if not isinstance(found, float) or math.isfinite(found) else text


def spelled(value: Any) -> str:
    """A raw value as it stands in an input."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and abs(value) < 2**53 and value.is_integer():
        return str(int(value))
    return str(value)


def _range(column: Mapping[str, Any]) -> str:
    least, most = column.get("least"), column.get("most")
    return "" if least is None or most is None else f"{shown.number(least)} to {shown.number(most)}"


def _outside(column: Mapping[str, Any], value: str) -> str:
    least, most, given = column.get("least"), column.get("most"), number(value)
    if least is None or most is None or isinstance(given, str) or least <= given <= most:
        return ""
    return "outside of what the model was trained on"


def _joined(*hints: str) -> str:
    return ", ".join(filter(None, hints))
