"""Evidence about a smaller form of a version: what the gate asks of it (flows/promotion/gate.py), and figures.

It is compared with the version that it was made of, its parent, and with the reference of the gate, row by row on the
same test rows. It must be shown that it is not worse by more than the margin: a form of which that is not known is
not served. A form is no candidate of its own: all forms of a version share the entry of the budget that the decision
about it has spent.
"""

import json
import math
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from flows.compression import latency, waiting
from flows.compression.variants import Variant
from flows.promotion import gate
from flows.promotion.comparison import Candidate, Compared, compare, dependence
from flows.promotion.gate import Look
from flows.promotion.rivals.opponents import Rival
from flows.promotion.statistics.budget import Budget
from flows.promotion.trial import TOLERANCE
from flows.records.outputs import StageOutputs
from flows.registry.serving_folder import Serving
from flows.serving.engine.engine import Engine
from flows.serving.engine.keras import KerasEngine
from flows.serving.engine.onnx import OnnxEngine
from flows.serving.problem import Problem
from flows.serving.rows.batch import Arrays
from pipelines.errors import RatchetError
from pipelines.model import predictor
from pipelines.model.metrics import Answers
from pipelines.model_file import Declaration
from pipelines.table import row_groups

GOLDEN_ROWS, ALONE = 200, 32  # test rows that are answered again, and those of them that are answered one by one
BY_HAND = "the version itself answers until then"  # what a person can do where rows are missing


@dataclass(frozen=True)
class Parent:
    """What the forms were made of. serving: its own files for serving; rival: its answers to the test rows."""

    rival: Rival
    serving: Serving
    bytes: int


@dataclass(frozen=True)
class Judged:
    """What the gate says of one form. decision: accepted, rejected or undecided. figures: for ledger and MLflow."""

    variant: Variant
    decision: str
    reason: str
    looks: list[Look]
    figures: dict[str, Any] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """As JSON, for the ledger."""
        told = {"decision": self.decision, "reason": self.reason, "looks": [look.row() for look in self.looks]}
        return self.figures | told


def shared(entry: Budget, forms: int, judgement: int) -> Budget:
    """The budget of each form: they share the entry that the decision about their parent has spent.

    entry: as it was for that decision. forms: how many are judged now; judgement: 1 for the first time, 2 for the next.
    The j-th judgement may be wrong with 2 / (j * (j + 1)) of the entry, as the entries themselves
    (statistics/budget.py); its forms each with an equal part. That is as strict as the n-th comparison of the gate, and
    n follows from n * (n + 1) = k * (k + 1) * parts, where the parent's was the k-th.
    """
    number, parts = entry.since_promotion + 1, forms * judgement * (judgement + 1) / 2
    as_strict_as = (math.sqrt(1 + 4 * number * (number + 1) * parts) - 1) / 2
    return replace(entry, since_promotion=as_strict_as - 1)


def judge(
    declared: Declaration,
    found: StageOutputs,
    variant: Variant,
    parent: Parent,
    reference: Rival | None,
    budget: Budget,
    rows: pd.DataFrame,
) -> Judged:
    """One form. rows: the first test rows with their raw columns. reference: None where it is the parent."""
    mine = pd.read_parquet(variant.predictions)
    candidate = Candidate(declared, found, mine, budget, dependence(declared, found.folder / "test.parquet"), BY_HAND)
    last = compare(candidate, parent.rival)
    step = last.whole.error if last.whole else None
    before = [compare(candidate, reference, step)] if reference else []
    with closing(_engine(variant.serving, variant.model)) as engine:
        about = json.loads((found.folder / "model" / "model.json").read_text(encoding="utf-8"))
        arrays = predictor.to_arrays(rows, about)
        golden = _golden(engine, arrays, mine.head(len(rows)), rows["row_id"].tolist(), about["classes"])
        ratio = _ratio(engine, parent, arrays)
    metric = declared.promote.metric
    looks = [
        golden,
        gate.floor(declared.promote, float(Answers.read(mine, declared.data.label).score(metric))),
        gains(waiting.rules(declared), parent.bytes, variant.bytes, ratio),
        *(look for one in (*before, last) for look in one.looks),
    ]
    decision, reason = gate.decide(looks)
    figures = _figures(variant, parent, last, ratio) | _scores(metric, declared, mine, parent.rival.predictions)
    return Judged(variant, decision, reason, looks, figures)


def gains(rules: dict[str, Any], parent: int, mine: int, ratio: float | None) -> Look:
    """It is smaller or faster by the declared factors. rules: the section `compress`; parent, mine: bytes."""
    smaller, faster = rules.get("smaller"), rules.get("faster")
    factor = parent / mine
    told = [f"{factor:.2f} times smaller ({mine:,} bytes for {parent:,})"]
    told += [f"{1 / ratio:.2f} times as fast"] if ratio else []
    wanted = [f"{smaller:g} times smaller"] if smaller else []
    wanted += [f"{faster:g} times as fast"] if faster else []
    reached = bool(smaller and factor >= smaller) or bool(faster and ratio and 1 / ratio >= faster)
    word = "and" if reached else "but"
    verb = "is met" if reached else "is required"
    return Look("gains", reached, f"it is {' and '.join(told)}, {word} {' or '.join(wanted)} {verb}")


def _figures(variant: Variant, parent: Parent, last: Compared, ratio: float | None) -> dict[str, Any]:
    whole = last.whole
    about: dict[str, Any] = {
        "kind": variant.about.get("kind", "serving"),
        "runtime": variant.serving.runtime,
        "bytes": variant.bytes,
        "smaller": round(parent.bytes / variant.bytes, 3),
        "latency_ratio": ratio,
        "gain": whole.value if whole else None,
        "low": whole.low if whole else None,
        "high": whole.high if whole else None,
        "rows": whole.rows if whole else None,
        "confidence": 1 - 2 * last.alpha,
        "largest": variant.about.get("largest"),
        "serving_hash": variant.serving.hash,
        "model_hash": variant.model_hash,
    }
    return about | ({"plain": variant.about["plain"]} if variant.about.get("plain") else {})


def _scores(metric: str, declared: Declaration, mine: pd.DataFrame, theirs: pd.DataFrame | None) -> dict[str, Any]:
    """The gate's metric, and how many labels are others than the parent's; None for a regression."""
    found = {"metric": float(Answers.read(mine, declared.data.label).score(metric)), "labels_changed": None}
    if declared.data.task != "classification" or theirs is None:
        return found
    before = theirs.set_index("row_id").reindex(mine["row_id"])["prediction"].to_numpy()
    return found | {"labels_changed": int((before != mine["prediction"].to_numpy()).sum())}


def rows_of(found: StageOutputs) -> pd.DataFrame:
    """The first test rows, with their raw columns."""
    return next(row_groups.batches(found.folder / "test.parquet")).slice(0, GOLDEN_ROWS).to_pandas()


def row_ids(test: Path) -> list[str]:
    """Of a split."""
    return list(pq.read_table(test, columns=["row_id"])["row_id"].to_pylist())


def predictions(found: StageOutputs) -> pd.DataFrame:
    """The version's own answers to the test rows, as they were evaluated."""
    return pd.read_parquet(found.folder / "predictions.parquet")


def _engine(serving: Serving, model: Path | None) -> Engine:
    """Raises RatchetError if it cannot be loaded."""
    if model is not None:
        return KerasEngine(model, predictor.model_hash(model))
    if serving.folder is None:
        raise RatchetError(f"There are no files for serving: {serving.why}.")
    return OnnxEngine((serving.folder / "model.onnx").read_bytes())


def _ratio(engine: Engine, parent: Parent, rows: Arrays) -> float | None:
    """None where the parent is answered by another runtime: such times are of no use."""
    if parent.serving.runtime != engine.runtime or engine.runtime != "onnx":
        return None
    with closing(_engine(parent.serving, None)) as other:
        return latency.ratio(engine, other, rows)


def _golden(engine: Engine, rows: Arrays, expected: pd.DataFrame, ids: list[str], classes: list[Any]) -> Look:
    """The kept files answer test rows as they were evaluated, together and one by one."""
    try:
        values = engine.answers(rows)
        alone = np.concatenate(list(_alone(engine, rows, min(ALONE, len(expected)))))
    except (Problem, RatchetError, ValueError, RuntimeError) as error:
        return gate.golden({"failed": f"{type(error).__name__}: {error}"}, TOLERANCE)
    names = [f"probability_{name}" for name in classes] or ["prediction"]
    wanted = expected[names].to_numpy(np.float64)
    apart = [np.abs(got - wanted[: len(got)]) / np.maximum(1, np.abs(wanted[: len(got)])) for got in (values, alone)]
    changed = 0
    if len(names) > 1:
        changed = sum(int((got.argmax(1) != wanted[: len(got)].argmax(1)).sum()) for got in (values, alone))
    about = {
        "rows": len(expected),
        "largest": float(max(part.max(initial=0) for part in apart)),
        "changed": changed,
        "same_rows": expected["row_id"].tolist() == ids,
    }
    return gate.golden(about, TOLERANCE)


def _alone(engine: Engine, rows: Arrays, count: int) -> Iterator[np.ndarray]:
    for at in range(count):
        yield engine.answers({name: np.ascontiguousarray(values[at : at + 1]) for name, values in rows.items()})
