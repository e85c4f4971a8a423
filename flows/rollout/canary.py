"""The canary: callers whose rows a candidate answers, beside all other callers, whom the champion answers.

Two groups of callers, drawn by a hash of the key, are compared. No row has two answers, so each group has an interval
of its own, and the two make that of the difference: its ends lie as far from the difference as the root of the two
distances squared (MOVER: Zou and Donner, Statistics in Medicine 2008; Newcombe 1998). Rows of one caller fail
together, so callers are what is counted. The intervals hold at looks that are set beforehand (looks.py).
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from flows.labels.joined import joined
from flows.promotion.statistics.dependence import effective
from flows.promotion.statistics.gain import Gain, error_of_mean
from flows.promotion.statistics.interval import Estimate, interval
from flows.promotion.statistics.resampling import SEED, SHOWN, largest_share, score_or_nan
from flows.rollout import looks
from pipelines.model.metrics import METRICS, Answers
from pipelines.model_file import Declaration
from pipelines.sections.serve import Canary

PROBABILITY = "probability_"
FEWEST = 10  # callers of a group


@dataclass(frozen=True)
class Groups:
    """Labelled rows of both versions, in the order in which their labels came. caller: its number [rows]; canary: which
    rows the candidate answered [rows]; unnamed: rows whose log has no key, so that each counts as a caller."""

    answers: Answers
    caller: np.ndarray
    canary: np.ndarray
    unnamed: int = 0

    @property
    def labelled(self) -> int:
        return int(self.canary.sum())


def read(
    state: Path, declared: Declaration, versions: tuple[int, int], canary: Canary, since: datetime, until: datetime
) -> Groups | None:
    """versions: the candidate, the champion. None without labelled rows of both. Labels that were asked for are left
    out."""
    first, last = since.astimezone(UTC).date(), until.astimezone(UTC).date()
    found = [_chosen(one, versions, canary.key, since) for one in joined(state, declared, until, first, last)]
    table = pd.concat([one.to_pandas() for one in found]) if found else pd.DataFrame({"version": []})
    if set(table["version"]) != set(versions):
        return None
    names = [name for name in map(str, table) if name.startswith(PROBABILITY)]
    classes = sorted(_name(declared, name.removeprefix(PROBABILITY)) for name in names)
    if classes:
        table = table[table["label"].isin(classes)]
    columns = [table[f"{PROBABILITY}{name}"].fillna(0.0).to_numpy(float) for name in classes]
    probabilities = np.column_stack(columns) if classes else None
    rows = (table["id"].to_numpy(), table["label"].to_numpy(), table["prediction"].to_numpy())
    unnamed = int((table["caller"] == "").sum()) if canary.key else 0
    caller = pd.factorize(table["caller"].where(table["caller"] != "", table["id"]))[0]
    return Groups(Answers(*rows, probabilities, classes), caller, (table["version"] == versions[0]).to_numpy(), unnamed)


def _name(declared: Declaration, text: str) -> int | str:
    return int(text) if declared.data.label == "integer" else text


def _chosen(batch: pa.RecordBatch, versions: tuple[int, int], key: Sequence[str], since: datetime) -> pa.Table:
    there = pc.is_in(batch["version"], pa.array(versions))
    there = pc.and_(there, pc.greater_equal(batch["at"], pa.scalar(since, batch["at"].type)))
    chosen = batch.filter(pc.and_(there, pc.is_null(batch["asked"])))
    names = [name for name in chosen.schema.names if name in ("id", "version", "prediction", "label")]
    names += [name for name in chosen.schema.names if name.startswith(PROBABILITY)]
    return pa.Table.from_batches([chosen.select(names)]).append_column("caller", pa.array(_callers(chosen, key)))


def _callers(batch: pa.RecordBatch, key: Sequence[str]) -> list[str]:
    """A text for each row that is equal for rows of one caller; "" where the log does not have the key."""
    rows = batch["row"]
    if not key or any(rows.type.get_field_index(name) < 0 for name in key):
        return [""] * batch.num_rows
    parts = zip(*(rows.field(name).to_pylist() for name in key), strict=True)
    return [json.dumps(values, default=str) if any(one is not None for one in values) else "" for values in parts]


def difference(metric: str, found: Groups) -> Gain | None:
    """How much better the candidate is, at the last look that came; None before the first, or of too few callers."""
    number, wanted = looks.reached(found.labelled)
    if not number:
        return None
    end = int(np.flatnonzero(found.canary)[wanted - 1]) + 1
    mine, theirs = found.canary[:end], ~found.canary[:end]
    parts = [_estimate(metric, found, np.flatnonzero(rows), looks.alpha_of(number)) for rows in (mine, theirs)]
    one, other = parts
    if one is None or other is None:
        return None
    if not METRICS[metric].greater_is_better:
        one, other = (Estimate(part.rows, -part.value, -part.high, -part.low) for part in (one, other))
    value = one.value - other.value
    low = value - math.hypot(one.value - one.low, other.high - other.value)
    high = value + math.hypot(one.high - one.value, other.value - other.low)
    return Gain(wanted, value, low, high, effective=float(len(np.unique(found.caller[:end][mine]))))


def _estimate(metric: str, found: Groups, rows: np.ndarray, alpha: float) -> Estimate | None:
    """One group, by callers; None if there are fewer than FEWEST, or the metric has no value."""
    answers, callers = found.answers.take(rows), np.unique(found.caller[rows], return_inverse=True)[1]
    if callers.max(initial=0) + 1 < FEWEST:
        return None
    alone = interval(metric, answers, alpha)
    if alone is None or len(rows) == callers.max() + 1:
        return alone
    together = _of_callers(metric, answers, callers, alpha, alone.value)
    if together is None:
        return None
    return Estimate(alone.rows, alone.value, min(alone.low, together[0]), max(alone.high, together[1]))


def _of_callers(
    metric: str, answers: Answers, callers: np.ndarray, alpha: float, value: float
) -> tuple[float, float] | None:
    """The interval if callers are drawn and not rows. For shares also the exact one of Clopper and Pearson, for as many
    observations as there are callers (Kish)."""
    from scipy import stats

    losses, worth = answers.losses(metric), effective(callers, len(callers))
    error = _resampled(metric, answers, callers) if losses is None else error_of_mean(losses, callers)
    if not math.isfinite(error) or worth < 2:
        return None
    half = float(stats.t.isf(alpha, worth - 1)) * error
    low, high = value - half, value + half
    if losses is None or not set(np.unique(losses)) <= {0.0, 1.0}:
        return low, high
    wrong = float(losses.mean())
    exact = 1 - largest_share((1 - wrong) * worth, worth, alpha), largest_share(wrong * worth, worth, alpha)
    return min(low, 1 - exact[1]), max(high, 1 - exact[0])


def _resampled(metric: str, answers: Answers, callers: np.ndarray) -> float:
    """The standard error of a metric that is no mean, with whole callers drawn again."""
    parts = np.split(np.argsort(callers, kind="stable"), np.cumsum(np.bincount(callers))[:-1])
    random = np.random.default_rng(SEED)
    drawn = (random.integers(len(parts), size=len(parts)) for _ in range(SHOWN))
    scores = [score_or_nan(metric, answers.take(np.concatenate([parts[one] for one in some]))) for some in drawn]
    known = np.array(scores)[np.isfinite(scores)]
    return float(known.std(ddof=1)) if len(known) > SHOWN / 2 else math.nan
