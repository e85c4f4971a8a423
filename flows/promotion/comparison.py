"""The comparison of a candidate with one rival: on which rows, and what each part of them says.

Only test rows count that neither of the two was trained or tuned on. All of them together decide, old and new. The
rival's own test rows and the newer ones can each say no, and where they contradict each other the older ones decide.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from flows.promotion import gate
from flows.promotion.gate import Look
from flows.promotion.rivals.opponents import Rival
from flows.promotion.statistics.budget import Budget
from flows.promotion.statistics.dependence import Dependence
from flows.promotion.statistics.gain import Gain, gain
from flows.promotion.statistics.resampling import ALPHA
from flows.records.outputs import StageOutputs
from pipelines.clean import Clean
from pipelines.config.data import Data
from pipelines.errors import IntegrityError
from pipelines.model.metrics import METRICS, Answers
from pipelines.model_file import Declaration
from pipelines.sections.promote import Slice
from pipelines.table.splits import HashSplit, TimeSplit

NEARLY_EQUAL = "nearly equal rows"  # of an entity that no column names
Scored = Callable[[np.ndarray, float], Gain | None]  # the gain on some rows, at a level of error


@dataclass(frozen=True)
class Candidate:
    """What is judged. mine: its predictions; depends: of its rows; by_hand: what helps where rows are missing."""

    declared: Declaration
    found: StageOutputs
    mine: pd.DataFrame
    budget: Budget
    depends: Dependence
    by_hand: str = gate.BY_HAND


@dataclass(frozen=True)
class Compared:
    """What came of one rival. whole: on all rows that decide; left_out: test rows that one of the two was fitted on."""

    looks: list[Look]
    better: bool = False
    left_out: int = 0
    whole: Gain | None = None
    alpha: float = ALPHA


def compare(candidate: Candidate, rival: Rival, step: float | None = None) -> Compared:
    """The checks against one rival, the deciding one last.

    step: for the reference, the standard error of the gain over the champion (Budget.alpha_reference).
    """
    declared, mine, budget = candidate.declared, candidate.mine, candidate.budget
    rules, ids = declared.promote, mine["row_id"]
    if rival.kept is None or rival.predictions is None:
        said = f"{rival.name}, the {rival.role}, can no longer be scored: {rival.failure}"
        said += f" `ratchet rollback {declared.model}` or `ratchet promote` names another."
        return Compared([Look(rival.role, None, said)])
    used = (rival.kept.fitted(ids) | ids.isin(_fitted(candidate.found))).to_numpy()
    older = rival.kept.tested(ids).to_numpy() & ~used
    newer = ~older & ~used
    one, other = paired(mine, rival.predictions, declared.data)

    def on(rows: np.ndarray, alpha: float = ALPHA) -> Gain | None:
        part = candidate.depends.take(rows)
        return gain(rules.metric, one.take(rows), other.take(rows), alpha, part, rules.worst)

    alpha = budget.alpha
    whole = on(~used, alpha)
    if step is not None and whole is not None:
        alpha = budget.alpha_reference(whole.error, step)
        whole = on(~used, alpha)
    sure = on(~used, min(alpha, budget.alpha_better)) if whole is not None and whole.better else None
    better = sure is not None and sure.better
    if whole is not None and not better:
        whole = replace(whole, low=min(whole.low, 0.0))  # "better" pays for all candidates that these rows have judged
    looks = list(_slices(candidate, rival, on, ~used, alpha))
    against, margin = f"the {rival.role} ({rival.name})", rules.margin
    if newer.any() and older.any():
        parts = on(older), on(newer)
        for name, rows, found in zip(("older rows", "newer rows"), (older, newer), parts, strict=True):
            looks.append(gate.veto(name, rival.name, rules.metric, margin, found, int(rows.sum())))
        looks.append(gate.agree(rival.name, rules.metric, margin, *parts))
    if METRICS[rules.metric].unbounded and whole is not None and rival.role == "champion":
        worst = rules.worst or _worst_seen(rules.metric, one.take(~used), other.take(~used))
        looks.append(gate.hidden(rules.metric, whole, worst, rules.worst is not None))
    if rules.require == "better" and rival.role == "champion":
        looks.append(gate.no_worse(rival.role, against, rules.metric, margin, whole, better=True))
    else:
        looks.append(gate.telling(rival.role, against, rules.metric, margin, whole, budget, alpha, candidate.by_hand))
    return Compared(looks, better, int(used.sum()), whole, alpha)


def _slices(candidate: Candidate, rival: Rival, on: Scored, rows: np.ndarray, alpha: float) -> Iterator[Look]:
    rules = candidate.declared.promote
    for name, part in rules.slices.items():
        margin = rules.margin if part.margin is None else part.margin
        inside = chosen(part, candidate.found.folder / "test.parquet") & rows
        yield gate.no_worse(f"slice {name}", rival.name, rules.metric, margin, on(inside, alpha))


def _worst_seen(metric: str, one: Answers, other: Answers) -> float:
    """The largest loss or error of a row that either of the two has."""
    losses = [found.losses(metric) for found in (one, other)]
    found = [
        np.abs(answers.actual - answers.predicted) if loss is None else loss
        for answers, loss in zip((one, other), losses, strict=True)
    ]
    return float(max(values.max() for values in found))


def dependence(declared: Declaration, test: Path) -> Dependence:
    """Which test rows fail together: those of one group, or in a series those that are near in time."""
    cleaned = declared.sections.get("clean")
    split = cleaned.split if isinstance(cleaned, Clean) else None
    if isinstance(split, HashSplit) and split.key:
        table = pq.read_table(test, columns=split.key).to_pandas()
        known = table.notna().any(axis=1).to_numpy()
        groups = table.groupby(split.key, dropna=False).ngroup().to_numpy()
        alone = groups.max(initial=0) + 1 + np.arange(len(groups))  # rows that name no entity
        return Dependence(groups=np.where(known, groups, alone))
    data = declared.data
    column = data.time if data.kind == "sequence" else split.column if isinstance(split, TimeSplit) else ""
    if not column:
        return Dependence()
    values = pq.read_table(test, columns=[column])[column].to_pandas()
    return Dependence(times=pd.to_datetime(values, utc=True, format="ISO8601").to_numpy())


def taken_for_independent(declared: Declaration, checked: Path) -> str:
    """The column of which `check` says that rows repeat it, or "nearly equal rows"; "" where there is none, or where a
    key is declared, so that the rows of an entity are resampled together."""
    cleaned = declared.sections.get("clean")
    if isinstance(cleaned, Clean) and isinstance(cleaned.split, HashSplit) and cleaned.split.key:
        return ""
    found = json.loads(checked.read_text(encoding="utf-8")).get("repeats", {}) if checked.exists() else {}
    return str(found.get("column", NEARLY_EQUAL)) if found else ""


def _fitted(found: StageOutputs) -> pd.Series:
    """The row ids that the candidate was trained or tuned on."""
    parts = [
        pq.read_table(found.folder / f"{name}.parquet", columns=["row_id"]).to_pandas()
        for name in ("train", "validation")
    ]
    return pd.concat(parts)["row_id"]


def paired(one: pd.DataFrame, other: pd.DataFrame, data: Data) -> tuple[Answers, Answers]:
    """Two tables of predictions as answers to the same rows, those of `one`, with the same classes in the same order.

    Raises IntegrityError if the other one lacks rows.
    """
    aligned = other.drop_duplicates("row_id").set_index("row_id").reindex(one["row_id"])
    if aligned["prediction"].isna().any():
        raise IntegrityError("The two models were scored on different rows, so they cannot be compared.")
    classes = sorted({str(name) for table in (one, other) for name in table if str(name).startswith("probability_")})
    target = one["actual"].dtype
    tables = []
    for table in (one.set_index("row_id"), aligned):
        known = table.reindex(columns=["actual", "prediction", *classes]).fillna(dict.fromkeys(classes, 0.0))
        tables.append(known.astype({"actual": target, "prediction": target}).reset_index())
    first, second = (Answers.read(_ordered(table, classes, data), data.label) for table in tables)
    return first, Answers(first.row_ids, first.actual, second.predicted, second.probabilities, second.classes)


def _ordered(table: pd.DataFrame, classes: list[str], data: Data) -> pd.DataFrame:
    """The columns of the classes in the order of the classes: 10 comes after 9."""
    names = [name.removeprefix("probability_") for name in classes]
    ordered = sorted(names, key=int if data.label == "integer" else str)
    return table[["row_id", "actual", "prediction", *(f"probability_{name}" for name in ordered)]]


def chosen(part: Slice, path: Path) -> np.ndarray:
    """Which rows of a split lie in a slice [rows, bool]."""
    values = pq.read_table(path, columns=[part.column])[part.column].to_pandas()
    if part.values:
        return np.asarray(values.astype(str).isin([str(value) for value in part.values]))
    low, high = part.at_least, part.below
    inside = values.notna()
    inside &= values >= low if low is not None else True
    inside &= values < high if high is not None else True
    return np.asarray(inside)
