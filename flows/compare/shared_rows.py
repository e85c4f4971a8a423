"""Two versions measured on the same rows, from what was kept with each (flows/tracking/evidence_files.py).

No store and no network.

Only rows count that both were tested on and that neither was trained or tuned on. What a version recorded on other
rows, or by another definition of the metric, is shown and marked, and never compared.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from flows.promotion import comparison
from flows.promotion.statistics.dependence import INDEPENDENT, Dependence
from flows.promotion.statistics.gain import Gain, gain
from flows.promotion.statistics.interval import Estimate, interval
from flows.promotion.statistics.resampling import ALPHA
from flows.tracking.evidence_files import Kept
from pipelines.answering.predictions import skill
from pipelines.errors import RequestError
from pipelines.model.metric import CLASSIFY
from pipelines.model.metrics import METRICS, Answers
from pipelines.model_file import Declaration

SAME = 1e-6  # how far a metric may lie from what was recorded, in parts of itself above 1: it is rounded there
OTHER_ROWS, OTHER_DEFINITION, NOT_RECORDED = "other rows", "other definition", "not recorded"


@dataclass(frozen=True)
class Side:
    """One of the two. test_hash and metrics: as recorded, on its own test rows."""

    name: str  # such as "version 3"
    kept: Kept
    test_hash: str
    metrics: dict[str, float]


def measure(declared: Declaration, one: Side, other: Side) -> dict[str, Any]:
    """rows, metrics, recorded, slices, classes: as `ratchet compare --json` prints them (docs/reference/answers.md).

    Raises RequestError if they have fewer than two rows in common, or do not answer the question that the YAML asks.
    """
    for side in (one, other):
        _same_task(declared, side)
    shared = common(one.kept, other.kept)
    if len(shared) < 2:
        raise _nothing_shared(declared.model, one, other)
    a, b = comparison.paired(shared, other.kept.predictions, declared.data)
    chosen, missing = _slices(declared, a.row_ids)
    depends = _depends(declared, a.row_ids)
    metric = declared.promote.metric
    return {
        "confidence": 1 - 2 * ALPHA,
        "rows": {
            "common": len(shared),
            "a": len(one.kept.predictions),
            "b": len(other.kept.predictions),
            "fitted": int(_fitted(one.kept, other.kept).sum()),
        },
        "metrics": [_whole(name, a, b, depends) for name in declared.evaluate.metrics],
        "recorded": recorded(declared, one, other),
        "slices": [_part(name, metric, a, b, depends, rows) for name, rows in chosen.items()],
        "slices_missing": missing,
        "classes": list(_classes(declared, a, b, depends)),
    }


def common(one: Kept, other: Kept) -> pd.DataFrame:
    """What `one` predicted for the rows that both were tested on and neither was trained or tuned on."""
    ids = one.predictions["row_id"]
    both = one.tested(ids) & other.tested(ids) & ids.isin(other.predictions["row_id"])
    return one.predictions[both & ~_fitted(one, other)]


def _fitted(one: Kept, other: Kept) -> pd.Series:
    """Which of the rows that `one` was tested on either of the two was trained or tuned on [rows, bool]."""
    ids = one.predictions["row_id"]
    return one.fitted(ids) | other.fitted(ids)


def _same_task(declared: Declaration, side: Side) -> None:
    names = [name for name in side.kept.predictions if str(name).startswith("probability_")]
    task = CLASSIFY if names else "regression"
    if task != declared.data.task:
        raise RequestError(
            f"{side.name.capitalize()} of {declared.model} is a {task}, and models/{declared.model}.yaml declares a "
            f"{declared.data.task}: the metrics there do not fit it.",
            "Compare it with the YAML that it was made with.",
        )


def _nothing_shared(model: str, one: Side, other: Side) -> RequestError:
    fitted, rows = int(_fitted(one.kept, other.kept).sum()), [len(side.kept.predictions) for side in (one, other)]
    return RequestError(
        f"{one.name.capitalize()} and {other.name} of {model} cannot be compared: of their {rows[0]:,} and {rows[1]:,} "
        f"test rows fewer than two are in both test sets and unseen by the training of both ({fitted:,} of those of "
        f"{one.name} were seen). Numbers from different rows are not compared.",
        f"Compare versions of the same split: `ratchet history {model}` names those that the gate could compare.",
    )


def _whole(metric: str, a: Answers, b: Answers, depends: Dependence) -> dict[str, Any]:
    """One metric of both, each with its interval, and how much better b is."""
    return {
        "metric": metric,
        "greater_is_better": METRICS[metric].greater_is_better,
        "a": _estimate(interval(metric, a)) or _alone(metric, a),
        "b": _estimate(interval(metric, b)) or _alone(metric, b),
        **_gained(metric, a, b, depends),
    }


def _part(name: str, metric: str, a: Answers, b: Answers, depends: Dependence, rows: np.ndarray) -> dict[str, Any]:
    """One metric of both on some of the rows [rows, bool]."""
    a, b = a.take(rows), b.take(rows)
    return {
        "name": name,
        "metric": metric,
        "rows": len(a.row_ids),
        "a": value(metric, a),
        "b": value(metric, b),
        **_gained(metric, a, b, depends.take(rows)),
    }


def _gained(metric: str, a: Answers, b: Answers, depends: Dependence) -> dict[str, Any]:
    found = gain(metric, b, a, depends=depends)
    return {"gain": _estimate(found), "verdict": verdict(found)}


def verdict(found: Gain | None) -> str:
    if found is None:
        return "not enough evidence"
    return "better" if found.better else "worse" if found.worse else "noise"


def _estimate(found: Estimate | None) -> dict[str, float] | None:
    if found is None:
        return None
    return {key: float(getattr(found, key)) for key in ("value", "low", "high")}


def _alone(metric: str, answers: Answers) -> dict[str, float | None]:
    """A value whose interval cannot be told."""
    return {"value": value(metric, answers), "low": None, "high": None}


def value(metric: str, answers: Answers) -> float | None:
    """None where the rows cannot be scored by it: there are none, or of one class."""
    try:
        found = answers.score(metric) if len(answers.row_ids) else math.nan
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def recorded(declared: Declaration, one: Side, other: Side) -> list[dict[str, Any]]:
    """What each recorded on its own test rows, with the reasons not to compare it.

    A metric that is computed otherwise now than it was then gives another value on the predictions that were kept.
    """
    same_rows = one.test_hash == other.test_hash
    names = dict.fromkeys([*declared.evaluate.metrics, *one.metrics, *other.metrics])
    sides = {"a": one, "b": other}
    return [
        {"metric": name} | {key: _remembered(name, side, declared.data.label, same_rows) for key, side in sides.items()}
        for name in names
    ]


def _remembered(metric: str, side: Side, label: str, same_rows: bool) -> dict[str, Any]:
    then, marks = side.metrics.get(metric), [] if same_rows else [OTHER_ROWS]
    now = _now(metric, side.kept.predictions, label)
    if then is None:
        marks.append(NOT_RECORDED)
    elif now is None or abs(now - then) > SAME * max(1.0, abs(then)):
        marks.append(OTHER_DEFINITION)
    return {"value": then, "now": now, "marks": marks}


def _now(metric: str, predictions: pd.DataFrame, label: str) -> float | None:
    """A metric of the predictions that were kept; `skill` is of a sequence, beside its naive forecast."""
    if metric in METRICS:
        return value(metric, Answers.read(predictions, label))
    return skill(predictions).get(metric) if "naive" in predictions else None


def _classes(declared: Declaration, a: Answers, b: Answers, depends: Dependence) -> Iterator[dict[str, Any]]:
    """The accuracy on the rows of each class; nothing for a regression."""
    if declared.data.task == CLASSIFY:
        for name in np.unique(a.actual).tolist():
            yield _part(str(name), "accuracy", a, b, depends, a.actual == name)


def _depends(declared: Declaration, row_ids: np.ndarray) -> Dependence:
    """Which of some rows fail together, as the gate takes them: by the workspace's test split, if it has them all."""
    path = Path("data") / declared.model / "test.parquet"
    try:
        known = comparison.dependence(declared, path)
        ids = pq.read_table(path, columns=["row_id"])["row_id"].to_pandas()
    except (OSError, KeyError, pa.ArrowException):
        return INDEPENDENT
    places = pd.Index(ids.drop_duplicates()).get_indexer(row_ids)
    return known.take(places) if len(ids.drop_duplicates()) == len(ids) and (places >= 0).all() else INDEPENDENT


def _slices(declared: Declaration, row_ids: np.ndarray) -> tuple[dict[str, np.ndarray], str]:
    """Which of some rows lie in each of promote.slices [rows, bool], or why that is not known.

    The columns that slices look at are not kept with a version: they stand in the workspace's test split.
    """
    found: dict[str, np.ndarray] = {}
    path, again = Path("data") / declared.model / "test.parquet", f"`ratchet restore {declared.model}` brings back"
    if not declared.promote.slices:
        return found, ""
    try:
        ids = pq.read_table(path, columns=["row_id"])["row_id"].to_pandas()
        if absent := int((~np.isin(row_ids, ids)).sum()):
            return {}, f"{path} lacks {absent:,} of the {len(row_ids):,} common rows: {again} the champion's"
        for name, part in declared.promote.slices.items():
            found[name] = np.isin(row_ids, ids[comparison.chosen(part, path)])
    except (OSError, KeyError, pa.ArrowException) as error:
        return {}, f"{path} cannot be read for them ({' '.join(str(error).split())[:200]}): {again} the champion's"
    return found, ""


def metrics_of(text: str | None) -> dict[str, float]:
    """The tag in which a version carries its test metrics; {} if it has none that can be read."""
    try:
        return {str(name): float(number) for name, number in json.loads(text or "{}").items()}
    except (ValueError, AttributeError, TypeError):
        return {}
