"""Which columns and answers have changed, what is broken, and what can be expected without labels."""

from dataclasses import asdict

from flows.deployment import live_file
from flows.monitoring import events, expected
from flows.monitoring.drift import look as drift
from flows.monitoring.drift.look import Drift, Moved
from flows.monitoring.events import Event, Found, Kind
from flows.monitoring.looks.look import NOTHING, Look, Seen


def look(at: Look) -> Seen:
    """The object of flows/monitoring/drift/look.py for the newest day that is over."""
    if not _comparable(at):
        return NOTHING
    if not at.past:
        drift.update(at.project, at.declared, at.now)
    found = drift.look(at.project, at.declared, at.day)
    return Seen(found.content(), changes(at, found))


def without_labels(at: Look) -> Seen:
    """The object of flows/monitoring/expected.py, by the summaries that `look` has made."""
    if not _comparable(at):
        return NOTHING
    found = expected.expected(at.project, at.declared, at.day)
    days = {name: str(day) if day else None for name, day in (("first", found.first), ("last", found.last))}
    return Seen(asdict(found) | days)


def _comparable(at: Look) -> bool:
    """A day of the past is compared with what is live now, and so only if that was champion then."""
    live = live_file.read(at.project, at.model)
    return not at.past or (live is not None and live.version == at.standing.champion)


def changes(at: Look, found: Drift) -> Found:
    """A column that is broken has drifted too: that is one event. What nobody watches any more is over."""
    there, gone = list[Event](), list[Event]()
    for one in found.columns:
        if one.broken:
            there.append(_event("broken", one, found))
            continue
        if one.alarm:
            there.append(_event("drift", one, found))
        elif one.calm:
            gone.append(_event("drift", one, found, f"`{one.name}` is as it was"))
        gone.append(_event("broken", one, found, f"`{one.name}` is no longer broken"))
    return Found(there, [*gone, *_left(at, found)])


def _left(at: Look, found: Drift) -> list[Event]:
    """Events of columns that another champion does not take."""
    watched = {one.name for one in found.columns}
    kinds: tuple[Kind, ...] = ("drift", "broken")
    said = f"version {at.standing.champion} is champion now, and does not take `{{}}`"
    return [
        Event(kind, subject, said.format(subject), str(found.day))
        for kind in kinds
        for (of, subject), line in events.open_now(at.lines).items()
        if of == kind and watched and subject not in watched and line.version != at.standing.champion
    ]


def _event(kind: Kind, one: Moved, found: Drift, said: str = "") -> Event:
    """Its figures name no value of a row."""
    figures = {"distance": one.distance, "p": one.p, "rows": one.rows, "broken": one.broken}
    return Event(kind, one.name, said or one.said, str(found.day), figures)
