"""Reasons to retrain that come from live rows: `schedule: {on: ...}`.

Whether anything new can be learned is for flows/run/due.py to say: an event that a training on the same rows has
answered is no reason to train on them again.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from flows.monitoring import events
from flows.project.environment import Project
from flows.records import attempts
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
    found += [_drift(drifted)] if drifted else []
    return found + (_labels(project, declared, rules.labels) if rules.labels else [])


def _labels(project: Project, declared: Declaration, wanted: int) -> list[str]:
    """Enough labels of answered rows are new since the last training began; all of them before the first one."""
    from flows.labels import counts, store

    since = _trained(project, declared.model)
    parts = store.parts(project.state, declared.model)
    if not parts or parts[-1].taken <= since:
        return []
    new = counts.new_since(project.state, declared, since)
    if new < wanted:
        return []
    learned = "" if declared.labels.learn else ", which are not learned (`labels: learn`)"
    return [f"{new:,} labels are new, of {wanted:,} that are wanted{learned}"]


def _trained(project: Project, model: str) -> datetime:
    """When the last run in this tree began that made a model: labels that came later are new."""
    lines = [tick for tick in attempts.read(project, model) if tick.tree == str(project.root)]
    done = attempts.last(lines, lambda tick: tick.outcome in attempts.CONCLUDED)
    if done is None:
        return datetime.min.replace(tzinfo=UTC)
    began = attempts.last(lines, lambda tick: tick.outcome == "began" and tick.flow_run == done.flow_run)
    return datetime.fromisoformat((began or done).at)


def _drift(drifted: dict[str, Line]) -> str:
    """ "age and weight have drifted since 2026-11-29"."""
    names = [*drifted][:SHOWN] + ([f"{len(drifted) - SHOWN} more"] if len(drifted) > SHOWN else [])
    shown = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
    have = "have" if len(drifted) > 1 or names == ["answers"] else "has"
    return f"{shown} {have} drifted since {min(line.facts['day'] for line in drifted.values())}"
