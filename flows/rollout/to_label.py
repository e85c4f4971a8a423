"""To label: the answered rows whose label says most about the version beside the champion.

Rows on which the two differ are asked for first, with the chance 1; of the others a few, with the chance ALIKE, unless
nothing depends on them: two equal classes are equally right. Within each part the order is that of a hash of the id, so
whoever stops early leaves a fair sample of the part, and everybody is asked for the same rows.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from flows.records.beside import Beside
from flows.records.champion_state import Standing
from flows.rollout import pairs
from flows.rollout.difference import apart, gap, lots
from flows.rollout.pairs import Pairs
from flows.serving.log.reading import AnsweredRows
from pipelines.model_file import Declaration

ALIKE = 0.05  # the chance of a row on which the two hardly differ


@dataclass(frozen=True)
class Wanted:
    """A row to label. asked: the chance with which it is asked for; differ: whether the two versions do.

    day: of the answer, in UTC. said: what each version has answered, for after the label was given.
    """

    id: str
    asked: float
    differ: bool
    day: date
    said: dict[int, Any]


@dataclass(frozen=True)
class Question:
    """All rows to label of a model, the most wanted first; those that were labelled; and the classes to choose from
    ([]: a number)."""

    wanted: list[Wanted]
    done: list[Wanted]
    classes: list[Any]
    answered: int = 0
    labelled: int = 0


NOTHING = Question([], [], [])


def question(state: Path, declared: Declaration, standing: Standing, now: datetime) -> Question:
    """What is to be labelled of a model; nothing without a version that answers the same rows unseen."""
    beside = _compared(standing)
    if beside is None or standing.champion is None:
        return NOTHING
    since = datetime.fromisoformat(beside.since)
    found = pairs.read(state, declared, standing.champion, beside.version, since, now)
    if found is None:
        return NOTHING
    said = {beside.version: found.one.predicted, standing.champion: found.other.predicted}
    every = [
        (bool(found.known[place]), _wanted(found, place, asked, differ, said))
        for place, asked, differ in _chosen(declared, found)
    ]
    wanted, done = ([one for known, one in every if known is labelled] for labelled in (False, True))
    return Question(wanted, done, found.one.classes, found.rows, int(found.known.sum()))


def _wanted(found: Pairs, place: int, asked: float, differ: bool, said: dict[int, np.ndarray]) -> Wanted:
    answers = {version: _plain(predicted[place]) for version, predicted in said.items()}
    day = datetime.fromtimestamp(found.at[place] / 1e6, UTC).date()
    return Wanted(str(found.one.row_ids[place]), asked, differ, day, answers)


def _compared(standing: Standing) -> Beside | None:
    """The version whose unseen answers are judged."""
    trials = standing.trials
    if trials.beside is not None:
        return trials.beside if trials.beside.role != "canary" else None
    return trials.earlier


def _chosen(declared: Declaration, found: Pairs) -> list[tuple[int, float, bool]]:
    """Positions of the rows that are asked for, with the chance of each, and whether the two differ."""
    rules = declared.promote
    known = gap(rules.metric, found, rules.worst)
    differ = found.one.predicted != found.other.predicted if known is None else apart(known, rules.margin)
    decides = np.ones(found.rows, bool) if known is None else known > 0
    lot = lots(found.one.row_ids)
    asked = np.where(differ, 1.0, ALIKE)
    there = np.flatnonzero(decides & (lot < asked))
    order = there[np.lexsort((lot[there], ~differ[there]))]
    return [(int(place), float(asked[place]), bool(differ[place])) for place in order]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def row_of(state: Path, declared: Declaration, wanted: Wanted) -> dict[str, Any] | None:
    """The columns of an answered row as they were kept, without sensitive ones and the target; None if it is gone."""
    with AnsweredRows(state / "answers", declared.model, wanted.day, wanted.day) as found:
        for batch in found.batches():
            place = pc.index(batch["id"], wanted.id).as_py()
            if place >= 0:
                kept: dict[str, Any] = batch["row"][place].as_py() or {}
                hidden = {*declared.data.sensitive, declared.data.target}
                return {name: value for name, value in kept.items() if name not in hidden}
    return None
