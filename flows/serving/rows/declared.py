"""Declared: the columns of a version, as a request has them and as messages speak of them."""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from flows.serving.problem import Problem
from flows.serving.rows import cells
from flows.serving.rows.meaning import Meaning
from pipelines import visible_text

SHOWN = 60  # letters of a value
FEW = 10  # names in a message
MOST_BITS = 128  # of a whole number that is written out


@dataclass(frozen=True)
class Declared:
    """What is declared of the columns."""

    names: tuple[str, ...]
    """All columns of a row that mean something here, or are kept for another reason, in order."""
    sensitive: frozenset[str]
    """Those whose values no message shows."""
    example: Mapping[str, Any]
    """A row that works."""
    about: Mapping[str, Any]
    """The content of columns.json."""

    def kept(self, row: Mapping[str, Any], meaning: Meaning) -> dict[str, Any]:
        """The declared columns of a row, as they came; a private one as it is read, in place of its parts."""
        found = {name: row[name] for name in self.names if name in row}
        for name in meaning.private.intersection(self.names):
            parts = meaning.instants.get(name, [])
            if name in row or parts:
                found[name] = self._hidden(row, name, meaning)
            for part in parts:
                found.pop(part, None)
        return found

    def _hidden(self, row: Mapping[str, Any], name: str, meaning: Meaning) -> Any:
        """A private value as it is read; None for what cannot be read."""
        try:
            if name in row:
                return meaning.one(row[name], self.roles.get(name, "carried"), name)
            return meaning.joined([row[part] for part in meaning.instants[name]], name)
        except (KeyError, *cells.UNREADABLE):
            return None

    @cached_property
    def roles(self) -> dict[str, str]:
        """What the columns hold."""
        return {one["name"]: one["role"] for one in self.about["columns"]}

    def absent(self, place: int, names: Sequence[str], row: Iterable[str]) -> Problem:
        """The problem of a row without these columns. place: of the row, from 0."""
        first, there = names[0], [name for name in row if isinstance(name, str)]
        near = difflib.get_close_matches(first, there, n=1)
        hint = f" (did you mean {brief(near[0])}?)" if near else ""
        return Problem(
            400,
            "missing-column",
            "A row lacks a column",
            f"Row {place + 1} has no {_listed(names)}, which the model needs{hint}.",
            "Add what is missing. A value may be null if it is not known.",
            row=place + 1,
            column=first,
        )

    def misfit(self, place: int, name: str, value: Any, error: Exception, role: str, hidden: bool = False) -> Problem:
        """The problem of a value that does not fit. place: of the row, from 0. error: "is not a number". hidden:
        whether no message may show the value; that of a sensitive column never is."""
        shown, hidden = brief(value), hidden or name in self.sensitive
        told = "the value" if hidden else shown
        return Problem(
            400,
            "value",
            "A value does not fit its column",
            visible_text.line(f"Row {place + 1}, column {name!r}: {told} {_told(error, hidden)}."),
            self._repair(name, role),
            row=place + 1,
            column=name,
            value=None if hidden else value[:SHOWN] if isinstance(value, str) else shown,
        )

    def _repair(self, name: str, role: str) -> str:
        what = {"number": "a number", "date": "a date"}.get(role, "a text")
        example = None if name in self.sensitive else self.example.get(name)
        like = "" if example is None else f", such as {brief(example)}"
        return visible_text.line(f"Send {what}{like}, or null if it is not known.")


def of_version(folder: Path, sensitive: Iterable[str], kept: Iterable[str] = ()) -> Declared:
    """folder: of a version. sensitive: columns that are so beside those that columns.json marks. kept: columns that the
    log has beside those that the model takes."""
    about = json.loads((folder / "columns.json").read_text(encoding="utf-8"))
    columns = [one["name"] for one in about["columns"]]
    parts = [part for found in about.get("instants", {}).values() for part in found]
    past = [about["target"], about["time"], *about["series"]] if about["kind"] == "sequence" else []
    hidden = {one["name"] for one in about["columns"] if one.get("sensitive")} | set(sensitive)
    names = tuple(dict.fromkeys([*columns, *parts, *past, *kept]))
    return Declared(names, frozenset(hidden), about.get("example") or {}, about)


def no_object(place: int, row: Any) -> Problem:
    """The problem of a row that is no JSON object. place: of the row, from 0."""
    told = f"Row {place + 1} is {_kind(row)}, not an object of columns."
    return Problem(400, "row", "A row is not an object", told, 'Send {"column": value, ...}.', row=place + 1)


def _kind(value: Any) -> str:
    kinds = {str: "a text", bool: "a truth value", int: "a number", float: "a number", list: "a list"}
    return "null" if value is None else kinds.get(type(value), "something else")


def _told(error: Exception, hidden: bool) -> str:
    """What is wrong with a value; of a sensitive one without words that may hold it."""
    return "does not fit" if hidden else str(error).rstrip(".") or "cannot be read"


def brief(value: Any) -> str:
    """The start of a value, without writing out all of a long one."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list) and any(isinstance(one, list | dict) for one in value):
        return "a list of lists or objects"  # they may be thousands deep
    if isinstance(value, int) and value.bit_length() > MOST_BITS:
        return "a number of many digits"
    text = repr(value[: SHOWN + 1] if isinstance(value, str | bytes | list) else value)
    shown = visible_text.line(text)
    return shown if len(shown) <= SHOWN else shown[: SHOWN - 1] + "…"


def _listed(names: Sequence[str]) -> str:
    what = "column" if len(names) == 1 else "columns"
    shown = ", ".join(map(repr, names[:FEW]))
    return f"{what} {shown}" if len(names) <= FEW else f"{what} {shown} and {len(names) - FEW} more"
