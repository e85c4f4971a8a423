"""A model's line on the overview: its facts in the words of the page."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Lock
from typing import Any

from flows.overview import condition, facts
from flows.overview.condition import Condition
from flows.overview.facts import Known, ModelFacts
from flows.overview.told import age
from flows.project.environment import Project
from flows.web import charts, shown
from pipelines.errors import RatchetError

PROMOTED = ("accepted", "promoted", "adopted")


def overview(project: Project, known: Known, now: datetime) -> dict[str, Any]:
    """What flows/web/overviewed.py describes. A ledger that cannot be read is said on the page."""
    machine = condition.of_machine(facts.machine(project))
    try:
        found = facts.read(project, now, known)
    except RatchetError as error:
        return {"rows": [], "machine": machine, "counted": {}, "at": now.isoformat(), "problem": str(error)}
    conditions = [condition.all_of(one, now) or [condition.FINE] for one in found]
    rows = [of(one, all_of, now) for one, all_of in zip(found, conditions, strict=True)]
    order = {status: number for number, status in enumerate(reversed(condition.ORDER))}
    rows.sort(key=lambda row: (order[row["worst"].status], row["model"]))
    counted = condition.counted([all_of[0] for all_of in conditions])
    return {"rows": rows, "machine": machine, "counted": counted, "at": now.isoformat(), "problem": ""}


def of(found: ModelFacts, conditions: Sequence[Condition], now: datetime) -> dict[str, Any]:
    """conditions: everything that is wrong, the gravest first."""
    last, verified = found.decision, found.verified
    row: dict[str, Any] = {
        "model": found.model,
        "worst": conditions[0],
        "others": [one.part for one in conditions[1:]],
        "champion": found.champion,
        "since": _ago(found.since, now),
        "since_at": found.since,
        "trial": found.trial,
        "metric": found.metric,
        "value": "" if found.value is None else shown.short(found.value),
        "interval": _interval(found.low, found.high),
        "trend": trend(found),
        "drift": _drift(found),
        "quality": _quality(found),
        "quality_interval": _interval(found.live.low, found.live.high) if found.live else "",
        "watched": found.live is not None,
        "decision": _decision(found) if last else "",
        "reason": last.reason if last else "",
        "decided": _ago(last.at, now) if last else "",
        "verified": verified.verdict if verified else "never" if found.registered else "not known here",
        "verified_when": _ago(verified.at, now) if verified else "",
        "next": _next(found, now),
        "schedule": found.schedule,
        "waits": condition.waiting(found),
    }
    words = [found.model, row["worst"].status, row["worst"].part, row["worst"].words, row["decision"], *row["others"]]
    return row | {"search": " ".join(words).lower()}


def trend(found: ModelFacts) -> Any:
    """The metric over the judged versions, with what is not worse than the champion as a band. A dot is a version that
    became champion."""
    values = [point.value for point in found.points]
    known = [value for value in values if value is not None]
    band = None
    if found.value is not None and found.margin:
        edge = found.value - found.margin if found.greater_is_better else found.value + found.margin
        band = (found.value, edge)
    said = ""
    if known:
        ends = f"from {shown.short(known[0])} to {shown.short(known[-1])}" if len(known) > 1 else shown.short(known[0])
        said = f"{found.metric} of {len(known)} version{'s' if len(known) > 1 else ''}, {ends}"
    lows, highs = ([getattr(point, name) for point in found.points] for name in ("low", "high"))
    return charts.line(values, lows, highs, band, said, [point.action in PROMOTED for point in found.points])


def _decision(found: ModelFacts) -> str:
    if found.decision is None:
        return ""
    about = f"version {found.decision.version} " if found.decision.version else ""
    return f"{about}{found.decision.action}"


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{shown.short(low)} to {shown.short(high)}"


def _drift(found: ModelFacts) -> str:
    live = found.live
    if live is None or not live.columns:
        return "not known"
    return f"{len(live.drifted)} of {live.columns} columns" if live.drifted else "none"


def _quality(found: ModelFacts) -> str:
    live = found.live
    if live is None or live.value is None:
        return "not known"
    return f"{'worse: ' if live.worse else ''}{shown.short(live.value)}"


def _next(found: ModelFacts, now: datetime) -> str:
    if found.running:
        return "a run is at work"
    left = age(found.next_run, now)
    if left is not None:
        return f"in {span(-left)}" if left < timedelta(0) else f"due for {span(left)}"
    if not found.schedule:
        return "no schedule"
    return "not known" if found.served else "no scheduler"


def _ago(at: str, now: datetime) -> str:
    passed = age(at, now)
    return "" if passed is None else f"{span(max(passed, timedelta(0)))} ago"


def span(passed: timedelta) -> str:
    """The largest unit that fits: "3 d".

    >>> [span(timedelta(seconds=s)) for s in (5, 90, 7300, 200_000)]
    ['5 s', '1 min', '2 h', '2 d']
    """
    seconds = int(passed.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


@dataclass
class Reader:
    """The overview of a project, for the pages. Pages are made in several threads: one reads at a time, and what it has
    read is kept for the next."""

    project: Project
    known: Known = field(default_factory=Known)
    alone: Any = field(default_factory=Lock)

    def __call__(self, now: datetime) -> dict[str, Any]:
        with self.alone:
            return overview(self.project, self.known, now)
