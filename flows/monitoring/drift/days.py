"""Days: a summary of what was answered on each day, made once when the day is over.

A file (kept.py) is of a day of UTC, as the log has them. It has a line for each column of each day of the model's own
zone (`monitor.timezone`): a day of UTC touches two of them. It remembers which parts of the log it was made of. If
these change, it is made again; if the log has deleted them, it stays.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows.monitoring.drift import kept, values
from flows.monitoring.drift.champion import Champion
from flows.monitoring.drift.values import Reader
from flows.project import locks
from flows.project.environment import Project
from flows.registry.reference import CONFIDENCE, MOST_CLASSES
from flows.serving.log import layout
from flows.serving.log.columns import PROBABILITY
from flows.serving.log.reading import AnsweredRows
from pipelines.table.summary import columns
from pipelines.table.summary.columns import NUMBERS, WORDS, Column
from pipelines.table.summary.gather import Gathered

ANSWER = "prediction"
Key = tuple[str, str, int]  # day of the zone, name, version of an answer (0: a column)


def update(project: Project, found: Champion, then: Sequence[Column], zone: str, now: datetime) -> list[date]:
    """Make the summaries of the days of UTC that are over and have none, or an old one. Returns these days.

    then: the reference, whose words are counted one by one.
    """
    place, wanted = kept.folder(project, found.model), found.definition(zone)
    named = {line.name: line.words for line in then if line.kind == WORDS and not line.answer}
    with locks.hold(project, f"drift-{found.model}", f"summaries of the days of {found.model}"):
        log = _log(project, found.model, now)
        stale = {day: mark for day, mark in log if not _fresh(place, day, mark, wanted)}
        for day, mark in stale.items():
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            about = {"parts": mark, "definition": wanted}
            try:
                lines = [*_summary(project, found, named, zone, day)]
            except (OSError, pa.ArrowException) as error:  # one damaged file must not hide all other days
                lines, about = [], about | {kept.UNREADABLE: " ".join(str(error).split())[:300]}
            columns.write(kept.path_of(place, day), lines, about)
    return list(stale)


def _log(project: Project, model: str, now: datetime) -> Iterator[tuple[date, str]]:
    """Each day of the log that is over, and the names and sizes of its parts."""
    log = project.state / "answers" / model
    parts = {part: _size(part) for part in (*layout.open_parts(log), *layout.closed_parts(log))}
    for day in sorted({part.day for part in parts}):
        if day < now.astimezone(UTC).date():
            yield day, " ".join(f"{part.name}:{size}" for part, size in sorted(parts.items()) if part.day == day)


def _size(part: layout.Part) -> int:
    for path in (part.closed, part.lines, part.closed):
        try:
            return path.stat().st_size
        except FileNotFoundError:
            continue
    return 0


def _fresh(place: Path, day: date, mark: str, definition: str) -> bool:
    about = columns.about(kept.path_of(place, day))
    return about.get("parts") == mark and about.get("definition") == definition


# ------------------------------------------------------------------ one day


def _summary(
    project: Project, found: Champion, named: Mapping[str, Collection[str]], zone: str, day: date
) -> Iterable[Column]:
    """The lines of a day of UTC. Those of columns have the version whose words count as known."""
    gathered: dict[Key, Gathered] = {}
    readers = values.readers(found, named)
    with AnsweredRows(project.state / "answers", found.model, day, day) as rows:
        for batch in rows.batches():
            for group, part in _by_day(batch, ZoneInfo(zone)):
                for version, mine in _by_version(part):
                    _add_row(gathered, group, mine, found, readers, version < found.number)
                    _add_answers(gathered, group, mine, version)
    for one in gathered.values():
        for line in one.columns():
            yield line if line.answer else replace(line, version=found.number)


def _by_day(batch: pa.RecordBatch, zone: ZoneInfo) -> Iterator[tuple[str, pa.RecordBatch]]:
    """The rows of each day of the zone."""
    instants = batch["at"].cast(pa.timestamp("us", str(zone)))
    names = pc.strftime(instants, format="%Y-%m-%d")
    for name in sorted(pc.unique(names).to_pylist()):
        yield name, batch.filter(pc.equal(names, name))


def _by_version(batch: pa.RecordBatch) -> Iterator[tuple[int, pa.RecordBatch]]:
    for version in sorted(pc.unique(batch["version"]).to_pylist()):
        yield version, batch.filter(pc.equal(batch["version"], version))


def _add_row(
    gathered: dict[Key, Gathered],
    group: str,
    batch: pa.RecordBatch,
    found: Champion,
    readers: list[Reader],
    older: bool,
) -> None:
    """older: whether an earlier version answered, which may not have taken a column: then that is not missing."""
    there = values.fields(batch, found)
    for reader in readers:
        if older and (reader.name not in there or there[reader.name].null_count == len(batch)):
            continue
        key = (group, reader.name, 0)
        if key not in gathered:
            gathered[key] = Gathered(group, reader.name, reader.kind, named=reader.named)
        reader.add(gathered[key], there.get(reader.name, pa.nulls(len(batch), pa.float64())))


def _add_answers(gathered: dict[Key, Gathered], group: str, batch: pa.RecordBatch, version: int) -> None:
    """The answers of one version."""
    probabilities = [name for name in batch.schema.names if name.startswith(PROBABILITY)]
    names = [name for name in probabilities if batch[name].null_count < len(batch)]

    def one(name: str, kind: str, named: Iterable[str] = ()) -> Gathered:
        key = (group, f"answer {name}", version)
        made = Gathered(group, name, kind, answer=True, version=version, named=[*named])
        return gathered.setdefault(key, made)

    if not names:
        one(ANSWER, NUMBERS).add_numbers(_doubles(batch[ANSWER]))
        return
    classes = [name.removeprefix(PROBABILITY) for name in names]
    counted = pc.value_counts(pc.cast(batch[ANSWER], pa.string()).drop_null())
    words = dict(zip(counted.field(0).to_pylist(), counted.field(1).to_pylist(), strict=True))
    one(ANSWER, WORDS, classes).add_words(words, len(batch) - sum(words.values()))
    for name in names if len(names) <= MOST_CLASSES else []:
        one(name, NUMBERS).add_numbers(_doubles(batch[name]))
    one(CONFIDENCE, NUMBERS).add_numbers(np.fmax.reduce([_doubles(batch[name]) for name in names]))


def _doubles(column: pa.Array) -> np.ndarray:
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
