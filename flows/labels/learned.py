"""Learned rows: labelled answers become rows of the source.

    <source>/learned-<instant>.parquet

Each file has what became known between two looks: of each event that was labelled or corrected the row as it came when
it was answered, with its label as the target. It arrives as any other file of the source does, and never changes. So a
correction is a later row of the same event, and `clean: event:` lets the last one count.
"""

import json
import math
import os
import re
import secrets
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flows.data import refresh
from flows.data.arrivals import scan
from flows.data.arrivals.arrival_order import LEARNED
from flows.graph.pipeline import Graph
from flows.labels import events, newest, store
from flows.labels.counts import SELECTIVE
from flows.labels.joined import matches
from flows.labels.store import INSTANT, STAMP
from flows.project.environment import Project
from flows.project.plain_words import many
from flows.serving.log.reading import AnsweredRows
from flows.serving.rows import pictures
from pipelines.clean import Clean
from pipelines.model_file import Declaration
from pipelines.table import rows
from pipelines.table.splits import HashSplit

NAME = re.compile(rf"{LEARNED}(\d{{8}}T\d{{6}}\.\d{{6}}Z)\.parquet", re.ASCII)
LATE = "answered only after it happened"
ASKED = "asked for, and no training row"
ABOUT = ("event", "happened", "asked")  # columns of labels that are not written
NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Learned:
    """rows: new rows of the source; left: events that are none, by reason; path: the new file, if there is one."""

    rows: int
    left: dict[str, int] = field(default_factory=dict)
    path: Path | None = None

    @property
    def said(self) -> str:
        """In words; "" if nothing is new."""
        told = [f"{many(self.rows, 'labelled answer')} learned"] if self.rows else []
        return ", ".join([*told, *(f"{count:,} not learned: {why}" for why, count in self.left.items())])


def refreshed(project: Project, graph: Graph, declared: Declaration, refused: str, now: datetime) -> tuple[str, str]:
    """As refresh.refresh, which takes the learned rows with the other arrivals. Raises what it raises."""
    found = learn(project, declared, now)
    state, said = refresh.refresh(project, graph, declared, refused)
    some = SELECTIVE if found.rows and declared.labels.depend_on_answer else ""
    return state, "; ".join(filter(None, [said, found.said, some]))


def learn(project: Project, declared: Declaration, now: datetime) -> Learned:
    """Write what has become known since the last look into the folder of the source, if the model learns. The caller
    holds the model's lock.

    Raises IntegrityError for a damaged file of the store.
    """
    folder = scan.place(project, declared.ingest.source)
    found, left = _new(project, declared, now)
    if not found.num_rows:
        return Learned(0, left)
    path = folder / f"{LEARNED}{now.astimezone(UTC).strftime(STAMP)}.parquet"
    _write(path, found)
    return Learned(found.num_rows, left, path)


def news(project: Project, declared: Declaration, now: datetime) -> str:
    """What `learn` would write, in words; "" for nothing. Raises as it does."""
    rows = _new(project, declared, now)[0].num_rows
    return f"{many(rows, 'labelled answer')} to learn" if rows else ""


def _new(project: Project, declared: Declaration, now: datetime) -> tuple[pa.Table, dict[str, int]]:
    """The rows of the next file; and how many events have none to learn from, by reason."""
    if not declared.labels.learn:
        return pa.table({}), {}
    since, parts = last(scan.place(project, declared.ingest.source)), store.parts(project.state, declared.model, now)
    if not any(part.taken > since for part in parts):
        return pa.table({}), {}
    return _usable(_answers(project.state, declared, since, now), declared)


def last(folder: Path) -> datetime:
    """Until when labelled answers were learned."""
    names = [found[1] for path in folder.glob(f"{LEARNED}*.parquet") if (found := NAME.fullmatch(path.name))]
    return max((datetime.strptime(name, STAMP).replace(tzinfo=UTC) for name in names), default=NEVER)


@dataclass(frozen=True)
class Answers:
    """rows: as the source has them; about: of each row `at`, and ABOUT of its label."""

    rows: pa.Table
    about: pa.Table

    def take(self, places: np.ndarray) -> "Answers":
        return Answers(*(table.take(pa.array(places)) for table in (self.rows, self.about)))


def _answers(state: Path, declared: Declaration, since: datetime, now: datetime) -> Answers:
    """Those whose label was taken after `since`, in the order of the events and then of the answers."""
    labels = newest.labels(state, declared, now)
    labels = labels.filter(pc.greater(labels["taken"], pa.scalar(since, INSTANT)))
    rows, about = list[pa.RecordBatch](), list[pa.RecordBatch]()
    with AnsweredRows(state / "answers", declared.model, date.min, now.astimezone(UTC).date()) as answered:
        for batch, place in matches(answered.batches(), labels, events.reader(declared)):
            there = pc.and_(pc.is_valid(place), pc.less_equal(batch["at"], pa.scalar(now, INSTANT)))
            found, said = batch.filter(there), labels.take(place.filter(there)).combine_chunks()
            rows.append(_source_rows(found, said["label"].combine_chunks(), declared))
            told = {name: said[name].combine_chunks() for name in ABOUT}
            about.append(pa.RecordBatch.from_pydict({"at": found["at"], **told}))
    if not rows:
        return Answers(pa.table({}), pa.table({}))
    whole = Answers(pa.Table.from_batches(rows), pa.Table.from_batches(about))
    order = pc.sort_indices(whole.about, [("event", "ascending"), ("at", "ascending")])
    return whole.take(order.to_numpy())


def _source_rows(batch: pa.RecordBatch, label: pa.Array, declared: Declaration) -> pa.RecordBatch:
    """Answered rows as the source has rows: features as they came, and the label as the target. A column that was not
    sent has no value, nor has one that is ignored. A date that others make is there itself, unless they are too."""
    data, there, reader = declared.data, events.fields(batch), events.reader(declared)
    columns: dict[str, pa.Array | None] = {name: there.get(name) for name in (*data.columns, *declared.ingest.ignore)}
    for name, parts in declared.ingest.instants.items():
        if not columns.keys().isdisjoint(parts):
            columns = {one: there.get(one) for one in (*columns, *parts) if one != name}
        elif name in columns:
            columns[name] = reader.instant(there, name)
    if data.kind == "image":
        columns["image"] = _pictures(there["image"], data.shape)
    whole = {name: _or_none(column, batch.num_rows) for name, column in columns.items()}
    return pa.RecordBatch.from_pydict(whole | {data.target: label})


def _or_none(column: pa.Array | None, count: int) -> pa.Array:
    return pa.nulls(count, pa.string()) if column is None or pa.types.is_null(column.type) else column


def _pictures(column: pa.Array, shape: list[int]) -> pa.Array:
    """Pictures as requests have them -> their values, a byte for each channel."""
    sent = [json.loads(text) if text.startswith("[") else text for text in column.to_pylist()]
    return pa.array([pictures.values(one, shape) for one in sent], pa.binary(math.prod(shape)))


def _usable(found: Answers, declared: Declaration) -> tuple[pa.Table, dict[str, int]]:
    """Of each event the newest answer before it happened; and how many events have none to learn from, by reason."""
    if not found.rows.num_rows:
        return found.rows, {}
    total = pc.count_distinct(found.about["event"]).as_py()
    early = found.take(np.flatnonzero(pc.less_equal(found.about["at"], found.about["happened"]).to_numpy()))
    event = early.about["event"].to_numpy()
    chosen = early.take(np.flatnonzero(np.append(event[1:] != event[:-1], True)[: len(event)]))
    asked = chosen.take(np.flatnonzero(_trains(chosen.about, declared)))
    left = {LATE: total - chosen.rows.num_rows, ASKED: chosen.rows.num_rows - asked.rows.num_rows}
    return asked.rows, {why: count for why, count in left.items() if count}


def _trains(about: pa.Table, declared: Declaration) -> np.ndarray:
    """Whether each row may be learned [rows]. One that was asked for may only be a training row, never a test row: by
    time every row is a test row first."""
    free, split = pc.is_null(about["asked"]).to_numpy(), cast(Clean, declared.sections["clean"]).split
    if not isinstance(split, HashSplit) or free.all():
        return free
    ids = rows.ids_of(about["event"].combine_chunks())
    return free | (rows.fractions(split.seed, ids) >= split.test + split.validation)


def _write(path: Path, found: pa.Table) -> None:
    """A file that is there is whole. The caller is the only one who writes here."""
    for left in path.parent.glob(f".{LEARNED}*.partial"):  # of a process that was killed
        left.unlink(missing_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            pq.write_table(found.replace_schema_metadata(None), file, compression="zstd")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
