"""What the ledger of one model tells: champion, decisions, what waits, and events that are open."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from flows.monitoring import events
from flows.promotion import followed as following
from flows.promotion import waiting
from flows.records.champion_state import JUDGED, stand
from flows.records.ledger import MOVES, Line

BY_HAND = ("promoted", "adopted", "rolled back")
MOST_POINTS = 50  # versions in the line of a metric


@dataclass(frozen=True)
class Decision:
    """A line of the ledger. next: what a person can do about it, "" for nothing. missing: rows that an undecided
    comparison lacks, None where that is not why."""

    action: str
    version: int | None
    reason: str
    at: str
    actor: str = ""
    next: str = ""
    missing: int | None = None


@dataclass(frozen=True)
class Point:
    """A version that was judged. value, low, high: its metric on its test rows, None where the ledger has none."""

    version: int
    at: str
    action: str
    metric: str
    value: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Event:
    """One that is open. kind: quality, broken, drift, labels or rollout."""

    kind: str
    subject: str
    said: str
    at: str


@dataclass(frozen=True)
class Told:
    """problem: why ledger and alias disagree, or "". decision: the newest, of the gate or a person. held: why no
    candidate is promoted by itself, or ""."""

    champion: int | None
    since: str
    decision: Decision | None
    waits: Decision | None
    held: str
    trial: int | None
    points: tuple[Point, ...]
    events: tuple[Event, ...]
    problem: str


def of(model: str, lines: Sequence[Line], followed: str | None, alias: int | None) -> Told:
    """followed: the registry's tag; None where the registry was not looked at, so that only the chain is checked."""
    standing = stand(lines)
    decided = [line for line in lines if line.action in (*JUDGED, *BY_HAND)]
    seat = [line for line in lines if line.action in MOVES and line.to_version == standing.champion]
    judged = next((line for line in reversed(lines) if line.action in JUDGED), None)
    waits = judged if judged and judged.action == "waits" and standing.champion != judged.version else None
    looked = (following.parsed(followed), alias) if followed is not None else ((0, ""), standing.champion)
    return Told(
        champion=standing.champion,
        since=_begin(seat),
        decision=_decision(decided[-1]) if decided else None,
        waits=_decision(waits) if waits else None,
        held=standing.held.reason if standing.held else "",
        trial=standing.beside.version if standing.beside else None,
        points=tuple({line.version: _point(line) for line in lines if line.action in JUDGED}.values())[-MOST_POINTS:],
        events=tuple(_event(line) for line in events.open_now(lines).values()),
        problem=following.problem(model, looked[0], looked[1], lines),
    )


def _begin(seat: Sequence[Line]) -> str:
    """When the champion became champion for the last time."""
    return seat[-1].at if seat else ""


def _decision(line: Line) -> Decision:
    facts, advice = line.facts, ""
    if line.action == "waits" and "experiment" in facts:
        advice = waiting.advice(line)
    missing = facts.get("rows_missing") if line.action == "undecided" else None
    return Decision(line.action, line.version, line.reason, line.at, line.actor, advice, missing)


def _point(line: Line) -> Point:
    facts = line.facts
    found: dict[str, Any] = facts.get("measured") or {}
    numbers = (found.get("value"), found.get("low"), found.get("high"))
    return Point(line.version or 0, line.at, line.action, str(facts.get("metric", "")), *numbers)


def _event(line: Line) -> Event:
    facts = line.facts
    return Event(str(facts["kind"]), str(facts["subject"]), line.reason, line.at)


def age(at: str, now: datetime) -> timedelta | None:
    """How long ago an instant was; None for an unknown one."""
    try:
        return now - datetime.fromisoformat(at)
    except (ValueError, TypeError):  # "", or one without a zone
        return None
