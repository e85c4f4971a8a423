"""Whether the champion is as good on live rows as the gate promised."""

from typing import Any

from flows.labels import store
from flows.labels.joined import joined
from flows.monitoring import events, quality
from flows.monitoring.events import Event, Found
from flows.monitoring.live.figures import allowed
from flows.monitoring.looks import promised
from flows.monitoring.looks.look import NOTHING, Look, Seen
from flows.monitoring.quality import Quality
from pipelines.model.metrics import METRICS


def look(at: Look) -> Seen:
    """The object of flows/monitoring/quality.py; each of its days has `day`. Nothing before the first label."""
    if not store.parts(at.project.state, at.model, at.now):
        return NOTHING
    champion = promised.champion(at)
    if champion is None:
        return NOTHING
    rows = joined(at.project.state, at.declared, at.now, first=champion.since.date())
    found = quality.look(rows, at.declared, champion, at.now)
    content = found.content()
    days = [
        {"day": day["first"], **{key: day[key] for key in ("rows", "value", "low", "high")}} for day in content["days"]
    ]
    return Seen(content | {"days": days}, _events(at, found))


def _events(at: Look, found: Quality) -> Found:
    """It is over when the metric is back within the margin, or when another version is champion.

    So an interval that comes and goes at its border is one event.
    """
    known, subject = events.open_now(at.lines).get(("quality", found.metric)), found.metric

    def event(said: str) -> Event:
        return Event("quality", subject, said, str(at.day), _figures(found))

    there = [event(f"live quality: {found.said}")] if found.worse else []
    if known is not None and known.version != found.version:
        return Found(there, [event(f"version {found.version} is champion now")])
    over = not found.worse and _within(found)
    return Found(there, [event(f"live quality is back within the margin: {found.said}")] if over else [])


def _within(found: Quality) -> bool:
    promise = found.promise
    if promise is None or found.value is None:
        return False
    grows = METRICS[found.metric].greater_is_better
    least = allowed(grows, promise.low, promise.high, promise.margin)
    return found.value >= least if grows else found.value <= least


def _figures(found: Quality) -> dict[str, Any]:
    shown = found.harm or found
    promise = found.promise
    figures = {"version": found.version, "value": shown.value, "low": shown.low, "high": shown.high, "rows": shown.rows}
    return figures | {"promised": promise.value if promise else None, "margin": found.margin}
