"""Pairs: the rows that two versions have answered, one of them unseen, and what is known to be right.

The answers of the log and those of the folder `shadow` have the same id. A row whose answer one of the two lacks is no
pair. Labels of classes that neither version knows are left out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from flows.labels.joined import joined
from flows.serving.log.reading import AnsweredRows
from pipelines.model.metrics import Answers
from pipelines.model_file import Declaration

PROBABILITY = "probability_"
LABEL = ("id", "label", "asked", "taken")


@dataclass(frozen=True)
class Pairs:
    """one, other: the answers of the two versions [rows], in the order of time; their `actual` is only right where
    `known`. asked: the probability with which the label was asked for, NaN where nobody asked. taken: when the label
    was, and at: when the champion answered, in microseconds since 1970 [rows]."""

    one: Answers
    other: Answers
    known: np.ndarray
    asked: np.ndarray
    taken: np.ndarray
    at: np.ndarray

    @property
    def rows(self) -> int:
        return len(self.known)

    def turned(self) -> "Pairs":
        return replace(self, one=self.other, other=self.one)

    def take(self, rows: np.ndarray) -> "Pairs":
        one, other = self.one.take(rows), self.other.take(rows)
        return Pairs(one, other, self.known[rows], self.asked[rows], self.taken[rows], self.at[rows])


def read(
    state: Path, declared: Declaration, champion: int, unseen: int, since: datetime, until: datetime
) -> Pairs | None:
    """`one` is the version that answered unseen, `other` the champion. since, until: of the answers. None without any.

    Raises IntegrityError for a damaged file of labels.
    """
    first, last = since.astimezone(UTC).date(), until.astimezone(UTC).date()
    theirs = answered(state / "shadow", declared, unseen, first, last, since, until)
    if theirs.empty:
        return None
    days = theirs["at"].min().date(), theirs["at"].max().date()
    ours = answered(state / "answers", declared, champion, *days, since, until, pa.array(theirs["id"]))
    labels = _labels(state, declared, champion, until, *days)
    both = _sided(theirs, "_one").merge(_sided(ours, "_other"), on="id").merge(labels, on="id", how="left")
    names = {name.removeprefix(PROBABILITY) for name in (*theirs, *ours) if name.startswith(PROBABILITY)}
    classes = sorted(int(name) if declared.data.label == "integer" else name for name in names)
    return _paired(both.sort_values(["at_other", "id"]), classes) if len(both) else None


def _sided(found: pd.DataFrame, side: str) -> pd.DataFrame:
    return found.rename(columns={name: f"{name}{side}" for name in found if name != "id"})


def answered(
    log: Path,
    declared: Declaration,
    version: int,
    first: date,
    last: date,
    since: datetime,
    until: datetime,
    ids: pa.Array | None = None,
) -> pd.DataFrame:
    """What one version has answered: id, at, prediction and probabilities, each id once. ids: only of these rows."""
    with AnsweredRows(log, declared.model, first, last) as found:
        names = [one for one in found.schema.names if one in ("id", "at", "prediction") or one.startswith(PROBABILITY)]
        batches = [one.select(names) for one in _of(found.batches(), version, since, until, ids)]
    if not batches:
        return pd.DataFrame({"id": [], "at": [], "prediction": []})
    return pa.Table.from_batches(batches).to_pandas().drop_duplicates("id")


def _of(
    batches: Iterator[pa.RecordBatch], version: int, since: datetime, until: datetime, ids: pa.Array | None
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        kind = batch.schema.field("at").type
        there = pc.equal(batch["version"], version)
        there = pc.and_(there, pc.greater_equal(batch["at"], pa.scalar(since, kind)))
        there = pc.and_(there, pc.less_equal(batch["at"], pa.scalar(until, kind)))
        if ids is not None:
            there = pc.and_(there, pc.is_in(batch["id"], value_set=ids))
        if pc.any(there).as_py():
            yield batch.filter(there)


def _labels(state: Path, declared: Declaration, version: int, until: datetime, first: date, last: date) -> pd.DataFrame:
    batches = [
        batch.filter(pc.equal(batch["version"], version)).select(LABEL)
        for batch in joined(state, declared, until, first, last)
    ]
    if not batches:
        return pd.DataFrame({name: [] for name in LABEL})
    return pa.Table.from_batches(batches).to_pandas().drop_duplicates("id")


def _paired(both: pd.DataFrame, classes: list) -> Pairs:
    known = (both["label"].isin(classes) if classes else both["label"].notna()).to_numpy()
    theirs = both["prediction_other"]
    actual = np.where(known, both["label"].to_numpy(), theirs.to_numpy()).astype(theirs.to_numpy().dtype)
    one, other = (_answers(both, side, actual, classes) for side in ("_one", "_other"))
    taken, at = (_microseconds(both[name]) for name in ("taken", "at_other"))
    return Pairs(one, other, known, both["asked"].to_numpy(float), taken, at)


def _microseconds(instants: pd.Series) -> np.ndarray:
    found = pd.to_datetime(instants, utc=True).dt.tz_localize(None)
    return np.asarray(found.to_numpy("datetime64[us]").astype(np.int64))


def _answers(both: pd.DataFrame, side: str, actual: np.ndarray, classes: list) -> Answers:
    probabilities = None
    if classes:
        columns = [both.get(f"{PROBABILITY}{name}{side}", 0.0) for name in classes]
        probabilities = np.column_stack([np.broadcast_to(np.asarray(one, float), len(both)) for one in columns])
    return Answers(both["id"].to_numpy(), actual, both[f"prediction{side}"].to_numpy(), probabilities, classes)
