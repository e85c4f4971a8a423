"""Reasons to retrain that come from live rows: `schedule: {on: ...}`.

Whether anything new can be learned is for flows/run/due.py to say: an event that a training on the same rows has
answered is no reason to train on them again.
"""

from collections.abc import Sequence
from datetime import datetime

from flows.monitoring import events
from flows.project.environment import Project
from flows.records.ledger import Line
from pipelines.model_file import Declaration

SHOWN = 3  # columns that a reason names


def reasons(project: Project, declared: Declaration, lines: Sequence[Line], now: datetime) -> list[str]:
    """In words, the gravest first. lines: of the ledger, after the last watch."""
    rules = declared.schedule.on
    if rules is None:
        return []
    opened = events.open_now(lines)
    quality = [line for (kind, _), line in opened.items() if kind == "quality"] if rules.quality else []
    drifted = {subject: line for (kind, subject), line in opened.items() if kind == "drift"} if rules.drift else {}
    found = [f"{line.reason} (noticed on {line.facts['day']})" for line in quality]
    return found + ([_drift(drifted)] if drifted else [])


def _drift(drifted: dict[str, Line]) -> str:
    """ "age and weight have drifted since 2026-11-29"."""
    names = [*drifted][:SHOWN] + ([f"{len(drifted) - SHOWN} more"] if len(drifted) > SHOWN else [])
    shown = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    have = "have" if len(drifted) > 1 or names == ["answers"] else "has"
    return f"{shown} {have} drifted since {min(line.facts['day'] for line in drifted.values())}"
