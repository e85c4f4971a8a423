"""Quality: the gate's metric on labelled live rows, by day and in all, beside what the gate had promised.

Only rows that the champion answered since it became champion count, and no labels that somebody asked for. The
intervals hold at every look. "Worse" says that the metric is shown to be below the low end of the promise by more than
the margin. The promise is wrong with at most 2.5 %, and the live rows with at most 2.5 % in all looks at a champion: so
of 100 champions that are as good as promised at most 5 are ever called worse.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from flows.monitoring.live import means, resampled, scored
from flows.monitoring.live.early import Early, early
from flows.monitoring.live.figures import FIRST, Figure, Live
from flows.monitoring.live.promise import Champion, Promise
from flows.monitoring.live.scored import Scored
from flows.project.plain_words import many
from pipelines.model.metrics import METRICS
from pipelines.model_file import Declaration

SELECTIVE = "these are only rows whose answer let a label come"


@dataclass(frozen=True)
class Quality:
    """value, low and high: of all labelled rows since the promotion; None without any, or where nothing bounds them.

    days: each day with labelled rows. harm: the days since which rows show that it is worse. strange: rows whose label
    is no class of the version. early: how rows differ whose labels came sooner than others'. selective: the answer
    decides if a label comes.
    """

    metric: str
    version: int
    since: datetime
    promise: Promise | None
    margin: float
    said: str
    rows: int = 0
    value: float | None = None
    low: float | None = None
    high: float | None = None
    days: list[Figure] = field(default_factory=list)
    harm: Figure | None = None
    strange: int = 0
    early: Early | None = None
    selective: bool = False

    @property
    def worse(self) -> bool:
        return self.harm is not None

    def content(self) -> dict[str, Any]:
        """As JSON."""
        simple = (
            "metric",
            "version",
            "margin",
            "said",
            "rows",
            "value",
            "low",
            "high",
            "strange",
            "selective",
            "worse",
        )
        return {name: getattr(self, name) for name in simple} | {
            "since": self.since.isoformat(),
            "promise": vars(self.promise) if self.promise else None,
            "days": [one.content() for one in self.days],
            "harm": self.harm.content() if self.harm else None,
            "early": vars(self.early) if self.early else None,
        }


def look(batches: Iterator[pa.RecordBatch], declared: Declaration, champion: Champion, now: datetime) -> Quality:
    """batches: as flows/labels/joined.py gives them, of the days since the promotion. now: UTC."""
    metric, zone = declared.promote.metric, ZoneInfo(declared.monitor.timezone)
    today = now.astimezone(zone).date()
    mean = _is_mean(metric)
    until = now if mean else datetime.combine(today, time(), zone).astimezone(UTC)
    rows = scored.read(batches, declared.data, zone.key, champion.version, champion.since, until)
    promise, selective = champion.promise, declared.labels.depend_on_answer
    nothing = Quality(
        metric, champion.version, champion.since, promise, declared.promote.margin, "", selective=selective
    )
    if promise is None or not rows.rows:
        return replace(nothing, said=_nothing(promise, champion, mean))
    began, looks = _number(champion.since.astimezone(zone).date()), declared.monitor.looks
    if mean:
        found = means.look(metric, rows, promise, began, looks)
    else:
        found = resampled.look(metric, rows, promise, began, _number(today), looks)
    whole, sooner = found.whole, early(metric, rows, promise.worst) if mean else None
    return replace(
        nothing,
        said=_said(metric, found, promise, rows, selective, sooner),
        rows=whole.rows,
        value=whole.value,
        low=whole.low,
        high=whole.high,
        days=found.days,
        harm=found.harm,
        strange=int(rows.strange.sum()),
        early=sooner,
    )


def _is_mean(metric: str) -> bool:
    return METRICS[metric].loss is not None


def _number(day: date) -> int:
    return (day - FIRST).days


def _nothing(promise: Promise | None, champion: Champion, mean: bool) -> str:
    if promise is None:
        return f"version {champion.version} was tested on too few rows for a promise that live rows could break"
    until = "" if mean else " before today"
    return f"no label has come{until} for a row that version {champion.version} has answered since it became champion"


def _said(metric: str, found: Live, promise: Promise, rows: Scored, selective: bool, sooner: Early | None) -> str:
    told = f"{_told(metric, found.whole)} since {found.whole.first}"
    promised = f"the gate promised {promise.value:.4g} [{promise.low:.4g}, {promise.high:.4g}]"
    verdict = f"not shown to be worse by more than the margin {promise.margin:g}"
    if found.harm is not None:
        told = f"{_told(metric, found.harm)} answered since {found.harm.first}"
        verdict = f"worse by more than the margin {promise.margin:g}"
    parts = [f"{verdict}: {told}; {promised} on {many(promise.rows, 'test row')}"]
    if promise.worst is not None:
        kind = "the declared worst" if promise.declared else "the worst test row"
        parts.append(f"a row counts at most {promise.worst:.4g}, {kind}")
    if strange := int(rows.strange.sum()):
        parts.append(f"{many(strange, 'label')} of classes that it does not know")
    parts += [sooner.said] if sooner else []
    parts += [SELECTIVE] if selective else []
    return "; ".join(parts)


def _told(metric: str, found: Figure) -> str:
    if found.value is None:
        return f"{metric} has no value on {many(found.rows, 'labelled row')}"
    if found.low is None or found.high is None:
        return f"{metric} {found.value:.4g} on {many(found.rows, 'labelled row')}"
    return f"{metric} {found.value:.4g} [{found.low:.4g}, {found.high:.4g}] on {many(found.rows, 'labelled row')}"
