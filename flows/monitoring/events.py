"""Events: what a watch has noticed of a model, from when it begins until it is over.

An event is known by its kind and its subject. When it begins, the ledger gets the line "noticed", when it is over the
line "over". So what is open follows from the lines, and who looks twice says nothing twice. No line moves a champion.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from flows.records.champion_state import stand
from flows.records.ledger import Conflict, Ledger, Line
from pipelines import visible_text

NOTICED, OVER = "noticed", "over"
MONITOR = "monitor"  # who writes lines about live rows
ATTEMPTS = 20  # because somebody else wrote a line meanwhile
Kind = Literal["quality", "broken", "drift", "labels", "rollout"]
WORDS: dict[str, str] = {  # of an open event, the gravest first
    "quality": "worse",
    "broken": "broken",
    "drift": "drifted",
    "rollout": "trial",
    "labels": "unlabelled",
}
Key = tuple[str, str]


@dataclass(frozen=True)
class Event:
    """kind and subject (a column, a metric, "answers") know it. said: one sentence. figures: JSON, no values of rows.
    day: the newest day that was looked at, as 2026-11-30."""

    kind: Kind
    subject: str
    said: str
    day: str
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        return self.kind, self.subject


@dataclass(frozen=True)
class Found:
    """What a look says: events that are there, and events that are not (their sentence says why). What is in neither
    stays as it was: too few rows, or that part of the look failed."""

    there: Sequence[Event] = ()
    gone: Sequence[Event] = ()


def open_now(lines: Sequence[Line]) -> dict[Key, Line]:
    """The line "noticed" of each event that is not over, the first one first."""
    found: dict[Key, Line] = {}
    for line in lines:
        if line.action in (NOTICED, OVER):
            facts = line.facts
            key = facts["kind"], facts["subject"]
            found.pop(key, None)
            if line.action == NOTICED:
                found[key] = line
    return found


def record(book: Ledger, model: str, found: Found) -> list[Line]:
    """Write what begins and what is over; returns these lines. Raises RatchetError if the ledger cannot be written."""
    written: list[Line] = []
    for _ in range(ATTEMPTS):
        lines = book.lines(model)
        wanted = _changes(model, lines, found)
        last = lines[-1] if lines else None
        try:
            for line in wanted:
                last = book.append(last, line)
                written.append(last)
        except Conflict:
            continue
        return written
    return written  # the next watch writes the rest


def _changes(model: str, lines: list[Line], found: Found) -> list[Line]:
    """The lines that are missing. What is over comes first: it may begin again at once, of another champion."""
    known = open_now(lines)
    ended = [(OVER, event, known[event.key].sequence) for event in found.gone if event.key in known]
    still = known.keys() - {event.key for _, event, _ in ended}
    begun = [(NOTICED, event, None) for event in found.there if event.key not in still]
    standing = stand(lines)
    return [
        standing.unmoved(
            model, action, standing.champion, visible_text.line(event.said)[:2000], _facts(event, began), MONITOR
        )
        for action, event, began in [*ended, *begun]
    ]


def _facts(event: Event, began: int | None) -> dict[str, Any]:
    facts = {"kind": event.kind, "subject": event.subject, "day": event.day, "figures": finite(event.figures)}
    return facts | ({"line": began} if began else {})


def finite(value: Any) -> Any:
    """The same with null for numbers that JSON has not."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(part) for key, part in value.items()}
    return [finite(part) for part in value] if isinstance(value, list | tuple) else value


def told(line: Line) -> dict[str, Any]:
    """An event as people and programs get it: the object of `--json` and of the hooks."""
    facts = line.facts
    about = {name: facts[name] for name in ("kind", "subject", "day", "figures")}
    return {"action": line.action, **about, "said": line.reason, "at": line.at, "line": line.sequence}


def word(opened: Sequence[str]) -> str:
    """One word for the gravest of some kinds, or ""."""
    return next((WORDS[kind] for kind in WORDS if kind in opened), "")


def words(content: dict[str, Any]) -> str:
    """What a watch found, in one line. content: what `ratchet watch --json` prints of a model."""
    said = [f"{'over: ' if one['action'] == OVER else ''}{one['said']}" for one in content["new"]]
    if said:
        return "; ".join(said)
    kinds = [one["kind"] for one in content["events"]]
    return f"still {word(kinds)}, as before" if kinds else "nothing new"
