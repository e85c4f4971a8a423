"""Counts: how many labels there are, of which answered rows, and how late they came."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows.labels import events, newest, store
from flows.labels.joined import matches
from flows.serving.log.reading import AnsweredRows
from pipelines.model_file import Declaration

QUANTILES = (0.1, 0.5, 0.9)
SELECTIVE = "only of the rows whose answer let a label come (`labels: depend_on_answer`)"


@dataclass(frozen=True)
class Counts:
    """What is known of labels. An event counts once, whatever was said of it.

    labels: events with a label; answered: those of rows in the log; never_served: the others; corrected: events whose
    label was changed; corrections: how often in all; asked: events whose label came only because somebody asked.
    rows: answered rows in the log; labelled: those with a label. aside: labels that do not count, by reason. delay:
    seconds from an answer to its label, by quantile (0.1, 0.5, 0.9); {} without any. selective: whether the answer
    decides if a label ever comes.
    """

    labels: int
    answered: int
    never_served: int
    corrected: int
    corrections: int
    asked: int
    rows: int
    labelled: int
    aside: dict[str, int] = field(default_factory=dict)
    delay: dict[float, float] = field(default_factory=dict)
    selective: bool = False


def counts(state: Path, declared: Declaration, until: datetime | None = None) -> Counts:
    """What was known at `until` (None: now). Raises IntegrityError for a damaged file of the store."""
    labels = newest.labels(state, declared, until)
    served, rows, delays = _looked_up(state, declared, labels, until)
    every = store.read(declared, store.parts(state, declared.model, until))
    return Counts(
        labels=labels.num_rows,
        answered=int(served.sum()),
        never_served=int((~served).sum()),
        corrected=pc.sum(pc.greater(labels["corrections"], 0)).as_py() or 0,
        corrections=pc.sum(labels["corrections"]).as_py() or 0,
        asked=labels.num_rows - labels["asked"].null_count,
        rows=rows,
        labelled=len(delays),
        aside=store.aside(every),
        delay={q: float(np.quantile(delays, q)) for q in QUANTILES} if len(delays) else {},
        selective=declared.labels.depend_on_answer,
    )


def new_since(state: Path, declared: Declaration, instant: datetime) -> int:
    """Events of answered rows whose label was taken, or changed, after an instant."""
    labels = newest.labels(state, declared)
    fresh = labels.filter(pc.greater(labels["taken"], pa.scalar(instant, labels["taken"].type)))
    return int(_looked_up(state, declared, fresh, None)[0].sum()) if fresh.num_rows else 0


def served(state: Path, declared: Declaration, wanted: pa.Array) -> int:
    """How many different ones of these events have an answer in the log."""
    found = pa.table({"event": wanted.unique(), "known": pa.nulls(len(wanted.unique()), store.INSTANT)})
    return int(_looked_up(state, declared, found.sort_by("event"), None)[0].sum())


def _looked_up(
    state: Path, declared: Declaration, labels: pa.Table, until: datetime | None
) -> tuple[np.ndarray, int, np.ndarray]:
    """Whether each label has an answer [labels]; the number of answers; of those with a label the seconds until it was
    known [labelled]."""
    served, rows, delays = np.zeros(labels.num_rows, bool), 0, []
    end = until.astimezone(UTC).date() if until else date.max
    with AnsweredRows(state / "answers", declared.model, date.min, end) as answered:
        for batch, place in matches(answered.batches(), labels, events.reader(declared)):
            if until is not None:
                there = pc.less_equal(batch["at"], pa.scalar(until, batch["at"].type))
                batch, place = batch.filter(there), place.filter(there)
            rows += batch.num_rows
            known = pc.is_valid(place)
            chosen = place.filter(known)
            served[chosen.to_numpy()] = True
            late = labels["known"].combine_chunks().take(chosen).cast(pa.int64())
            delays.append(pc.subtract(late, batch["at"].filter(known).cast(pa.int64())).to_numpy(zero_copy_only=False))
    return served, rows, np.concatenate([np.zeros(0), *delays]) / 1e6
