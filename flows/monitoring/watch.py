"""Watch: look at what a champion has answered, write down what begins and what is over, and tell whoever wants to know.

    python -m flows.monitoring REQUEST      the same in a process of its own, for a run

Each look is by itself: one that fails is told, and the others go on. What a look finds is in its answer and in the
ledger (flows/monitoring/events.py); a look at a past day changes nothing.
"""

from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from flows.monitoring import alerts, events, last
from flows.monitoring.events import Found, finite
from flows.monitoring.looks import answered, changed, judged, labelled, tried
from flows.monitoring.looks.look import NOTHING, Look, Looker, Seen
from flows.project import locks
from flows.project.environment import Project
from flows.records import ledger
from flows.records.ledger import Line
from flows.web.watch import kept
from pipelines.errors import RatchetError
from pipelines.model_file import Declaration

LOOKS: dict[str, Looker] = {  # in this order: a trial may end, and then the others are of another champion
    "trial": tried.look,
    "answers": answered.look,
    "labels": labelled.look,
    "quality": judged.look,
    "drift": changed.look,
    "expected": changed.without_labels,
}


@dataclass(frozen=True)
class Watched:
    """What a watch has found. parts: by name of LOOKS, None where there is nothing to look at. events: those that are
    open, the oldest first; new: those that this watch wrote down; problems: what could not be looked at or told."""

    model: str
    at: datetime
    day: str  # the newest that is over
    champion: int | None
    parts: dict[str, dict[str, Any] | None]
    events: list[dict[str, Any]] = field(default_factory=list)
    new: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def content(self) -> dict[str, Any]:
        """As `ratchet watch --json` prints it (docs/reference/answers.md)."""
        about = {"model": self.model, "at": self.at.isoformat(), "day": self.day, "champion": self.champion}
        return about | self.parts | {"events": self.events, "new": self.new, "problems": self.problems}


def watch(project: Project, declared: Declaration, now: datetime, past: bool = False) -> Watched:
    """Look at a model, as far as things were known at `now` (UTC). past: change nothing, tell nobody.

    Raises RatchetError if the ledger cannot be read or written.
    """
    model, book, problems = declared.model, ledger.of(project), list[str]()
    alone = nullcontext() if past else locks.hold(project, f"watch-{model}", f"ratchet watch {model}")
    with alone:
        lines = _until(book.lines(model), now if past else None)
        receivers = [] if past else alerts.receivers(project, problems.append)
        alerts.ready(project, model, lines, receivers)
        parts, found = _looked(Look(project, declared, now, lines, past), problems)
        new = [] if past else events.record(book, model, found)
        lines = lines if past else book.lines(model)
        alerts.tell(project, model, lines, receivers, problems.append)
        look = Look(project, declared, now, lines, past)
        opened = [events.told(line) for line in events.open_now(lines).values()]
        told = [events.told(line) for line in new]
        seen = Watched(model, now, str(look.day), look.standing.champion, parts, opened, told, problems)
        if not past:
            last.note(project, model, now, lines, problems)
            kept.write(project.state, seen.content)
    return seen


def _looked(at: Look, problems: list[str]) -> tuple[dict[str, dict[str, Any] | None], Found]:
    """Every look, one after the other. Without a champion, or without answers, there is nothing to look at."""
    if at.standing.champion is None or not answered.there(at.project.state, at.model):
        return dict.fromkeys(LOOKS), Found()
    seen: dict[str, Seen] = {}
    for name, look in LOOKS.items():
        seen[name] = _one(name, look, at, problems)
        at = replace(at, lines=ledger.of(at.project).lines(at.model)) if seen[name].moved else at
    there = [event for one in seen.values() for event in one.found.there]
    gone = [event for one in seen.values() for event in one.found.gone]
    return {name: finite(one.content) for name, one in seen.items()}, Found(there, gone)


def _one(name: str, look: Looker, at: Look, problems: list[str]) -> Seen:
    try:
        return look(at)
    except RatchetError as error:
        said = str(error)
    except Exception as error:  # any error: one look must not keep the others from harm that is there
        said = f"{type(error).__name__}: {str(error).strip()[:300]}"
    if not any(one.endswith(f": {said}") for one in problems):  # two looks may need what is away
        problems.append(f"{name}: {said}")
    return NOTHING


def _until(lines: list[Line], instant: datetime | None) -> list[Line]:
    return [line for line in lines if instant is None or datetime.fromisoformat(line.at) <= instant]
