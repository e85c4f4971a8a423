"""Meaning: how one version reads a single value, by the copy of readers/meaning/values.py that it carries.

A version of an older Ratchet carries none. Its values are taken as its predictor takes them: numbers, text, and dates
with an offset.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.serving import version_code
from pipelines.readers import hash_key

Marks = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Meaning:
    """How values are read."""

    one: Callable[[Any, str, str], Any]
    """(value, role, column) -> a double, text, or ISO text of an instant; None where missing. Raises ValueError."""
    joined: Callable[[Sequence[Any], str], str | None]
    """(values of the parts, column) -> ISO text of an instant. Raises ValueError."""
    instants: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """The date columns that are made of others, and of which."""
    numeric_marks: frozenset[float] = frozenset()
    """Numbers that stand for a missing value in every column."""
    marks: Marks = field(default_factory=dict)
    """The marks of a missing value that single columns have."""
    dates: Mapping[str, str] = field(default_factory=dict)
    """How the dates of a column are written, where it is not ISO."""
    private: frozenset[str] = frozenset()
    """The columns of which nothing is kept as it came."""

    def altered(self, name: str) -> bool:
        """Whether a plain number of this column may be read as something else."""
        return bool(self.marks.get(name)) or name in self.private


def of_version(folder: Path) -> Meaning:
    """folder: `reading` of a version, whose files have been checked; it may be absent."""
    if not folder.is_dir():
        return Meaning(_as_it_is, _never_joined)
    found = json.loads((folder / "reading.json").read_text(encoding="utf-8"))
    values = version_code.module(folder / "values.py")
    hidden = found["rules"].get("private", {})
    more = {"key": _key(found["hash_key"])} if hidden else {}
    rules = values.Rules(**found["rules"], **more)
    return Meaning(
        one=lambda value, role, name: values.one(value, role, rules, name),
        joined=lambda parts, name: values.joined(parts, rules, name),
        instants=found["instants"],
        numeric_marks=rules.numeric_marks,
        marks=rules.marks,
        dates=rules.dates,
        private=frozenset(hidden),
    )


def _key(fingerprint: str) -> bytes:
    """The key that the version hashes with, b"" if it hashes nothing. Raises IntegrityError if it is not here."""
    return hash_key.of(fingerprint, ["its columns"]) if fingerprint else b""


def _as_it_is(value: Any, role: str, name: str) -> Any:
    """A value as predictor.to_arrays takes it."""
    if value is None or value != value:
        return None
    if role == "number":
        return _finite(value)
    return _instant(value) if role == "date" else _text(value)


def _finite(value: Any) -> float:
    try:
        found = float(value)
    except (TypeError, ValueError) as error:
        raise ValueError("is not a number") from error
    if found in (float("inf"), float("-inf")):
        raise ValueError("is not a finite number")
    return found


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _instant(value: Any) -> str | None:
    if value == "":
        return None
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise ValueError("is not a date of the form ISO") from error
    if found.tzinfo is None:
        raise ValueError("has no offset, such as +00:00 for UTC")
    return found.isoformat()


def _never_joined(parts: Sequence[Any], name: str) -> str | None:
    raise ValueError("is not made of other columns")
