"""How many answers have a label, how late labels come, and whether they have stopped."""

from datetime import datetime, timedelta

from flows.labels import counts, store
from flows.labels.counts import SELECTIVE, Counts
from flows.monitoring.events import Event, Found
from flows.monitoring.looks.look import NOTHING, Look, Seen

ENOUGH = 50  # labels, before their delay says anything
TIMES = 3  # the delay of nearly all, after which a silence counts
LEAST = timedelta(days=1)


def look(at: Look) -> Seen:
    """The counts of flows/labels/counts.py, `share` of the answered rows that have one, `last` (when labels were taken
    last), and `said`: that they are of some rows only, or ""."""
    parts = store.parts(at.project.state, at.model, at.now)
    if not parts:
        return NOTHING
    found = counts.counts(at.project.state, at.declared, at.now)
    last = max(part.taken for part in parts)
    content = {
        "answered": found.rows,
        "labelled": found.labelled,
        "share": found.labelled / found.rows if found.rows else None,
        "never_served": found.never_served,
        "corrected": found.corrected,
        "asked": found.asked,
        "aside": found.aside,
        "delay": {"median": found.delay.get(0.5), "p90": found.delay.get(0.9)},
        "last": last.isoformat(),
        "said": SELECTIVE if found.selective else "",
    }
    return Seen(content, silence(at, found, last))


def silence(at: Look, found: Counts, last: datetime) -> Found:
    """Labels have stopped: none came for TIMES as long as nearly all take, and there are answers without one."""
    if found.labelled < ENOUGH:
        return Found()
    most = max(timedelta(seconds=TIMES * found.delay[0.9]), LEAST)
    days = (at.now - last).total_seconds() / 86_400
    figures = {"days": round(days, 2), "p90_days": round(found.delay[0.9] / 86_400, 2)}
    if at.now - last <= most:
        return Found(gone=[Event("labels", "delay", "labels come again", str(at.day), figures)])
    if found.labelled == found.rows:
        return Found()
    said = f"no label has come for {days:.0f} days; 9 of 10 used to come within {found.delay[0.9] / 86_400:.1f} days"
    return Found([Event("labels", "delay", said, str(at.day), figures)])
