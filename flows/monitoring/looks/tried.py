"""How a version does that answers beside the champion; a trial that the live rows decide ends here."""

from flows.monitoring.events import Event, Found
from flows.monitoring.looks.look import Look, Seen
from flows.rollout.step import Step, step

ROLES = ("shadow", "canary")


def look(at: Look) -> Seen:
    """The object of flows/rollout/step.py; nothing where no version answers beside the champion, or did."""
    found = step(at.project, at.declared, at.now, at.past)
    content = None if found.outcome == "none" else found.content()
    return Seen(content, undecided(at, found), moved=found.line is not None)


def undecided(at: Look, found: Step) -> Found:
    """A trial that has had all its rows waits for labels: people are told. It is over when the trial is."""
    day = str(at.day)
    waits = found.role if found.outcome == "undecided" else ""
    there = [Event("rollout", waits, f"version {found.version}: {found.said}", day, found.figures)] if waits else []
    gone = [Event("rollout", role, f"the {role} has ended", day) for role in ROLES if role != waits]
    return Found(there, gone)
