"""Evidence for the gate, gathered from the stages' files, the registry and a trial in a fresh process.

The candidate is compared with the champion and with the reference, only on test rows that neither of the two was
trained or tuned on. Rows of the champion's own test set and newer rows are judged separately.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from flows.project import scratch
from flows.promotion import gate, opponents, trial
from flows.promotion.gain import gain
from flows.promotion.gate import Look
from flows.promotion.opponents import Rival
from flows.records.champion_state import Standing
from flows.records.outputs import StageOutputs
from flows.registry import model_registry
from flows.registry.model_registry import ModelVersion
from flows.tracking.mlflow_runs import MlflowClient
from pipelines import evaluate
from pipelines.config.settings import Data
from pipelines.errors import IntegrityError
from pipelines.hardware import device
from pipelines.model.metrics import Answers
from pipelines.model_file import Declaration, Slice


@dataclass(frozen=True)
class Evidence:
    """better: it is better than champion and reference, so it becomes the new reference."""

    looks: list[Look]
    better: bool
    facts: dict[str, Any] = field(default_factory=dict)

    def content(self) -> dict[str, Any]:
        """As JSON, for the ledger and decision.json."""
        return self.facts | {"better": self.better, "looks": [look.row() for look in self.looks]}


def against_it(standing: Standing, version: int) -> list[Look]:
    """What blocks a version whatever it predicts: a veto, a hold."""
    if left := standing.vetoed.get(version):
        said = (
            f"version {version} was left by a rollback on {left.at[:10]} ({left.reason}): only a person can promote it"
        )
        return [Look("veto", False, said)]
    if held := standing.held:
        said = f"promotion is held since the rollback of {held.at[:10]} ({held.reason}): a person's `promote` lifts it"
        return [Look("hold", False, said)]
    return []


def gather(
    store: MlflowClient, declared: Declaration, found: StageOutputs, version: ModelVersion, standing: Standing
) -> Evidence:
    """Everything that the gate checks, the deciding check last. The candidate: the outputs of the stages, `version`."""
    rules, uses = declared.promote, standing.tests.get(found.test_hash, 0)
    facts = {"metric": rules.metric, "margin": rules.margin, "test_hash": found.test_hash, "test_set_used": uses + 1}
    if looks := against_it(standing, int(version.version)):
        return Evidence(looks, False, facts)
    with scratch.folder("gate") as place:
        artifact = model_registry.fetch(store, version, place, standing.artifacts.get(int(version.version)))
        mine = pd.read_parquet(found.folder / "predictions.parquet")
        there = opponents.rivals(store, declared.model, standing, place)
        evaluated = evaluate.device_of(found.folder / "predictions.parquet")
        there, tried = opponents.tried(declared, artifact, there, mine, evaluated, place)
        alone = [
            gate.floor(rules, found.metrics[rules.metric]),
            _golden(found, tried, evaluated),
            *_limits(declared, artifact, tried),
            _baseline(rules.metric, found, declared.data, mine),
        ]
    if not there:
        first = Look("champion", True, f"{alone[0].said}, and there is no champion yet")
        return Evidence([*alone, first], True, facts)
    before = standing.comparisons.get(standing.reference or 0, 0)
    alpha = gate.spent(before)
    facts |= {"compared_with": standing.reference, "comparisons": before + 1, "confidence": 1 - 2 * alpha}
    against = [_compared(declared, found, mine, rival, alpha) for rival in there]
    facts["left_out"] = {rival.role: count for rival, (_, count) in zip(there, against, strict=True)}
    better = all((looks[-1].low or 0.0) > 0 for looks, _ in against)
    return Evidence([*alone, *(look for looks, _ in against for look in looks)], better, facts)


def _golden(found: StageOutputs, tried: dict[str, Any], evaluated: str) -> Look:
    """The check for skew; within a tolerance if candidate and rivals were computed on two kinds of device."""
    hardware = device.of_model(found.folder / "model", "auto")
    most = trial.tolerance(hardware.precision, evaluated, tried["device"])
    across = "" if tried["device"] == evaluated else f"evaluated on a {evaluated}, compared on a {tried['device']}"
    return gate.golden(tried["golden"], most, across)


def _compared(
    declared: Declaration, found: StageOutputs, mine: pd.DataFrame, rival: Rival, alpha: float
) -> tuple[list[Look], int]:
    """The checks against one rival, the one on its own test rows last; and how many rows were left out."""
    rules, ids = declared.promote, mine["row_id"]
    if rival.kept is None or rival.predictions is None:
        said = f"{rival.name}, the {rival.role}, can no longer be scored: {rival.failure}"
        said += f" Choose another with `ratchet rollback {declared.model}` or `ratchet promote`."
        return [Look(rival.role, None, said)], 0
    used = (rival.kept.fitted(ids) | ids.isin(_fitted(found))).to_numpy()
    own = rival.kept.tested(ids).to_numpy() & ~used
    later = ~own & ~used
    one, other = paired(mine, rival.predictions, declared.data)
    better = rules.require == "better" and rival.role == "champion"

    def on(rows: np.ndarray) -> Any:
        return gain(rules.metric, one.take(rows), other.take(rows), alpha)

    looks = [
        gate.no_worse(f"slice {name}", rival.name, rules.metric, rules.margin if part.margin is None else part.margin,
                      on(chosen(part, found.folder / "test.parquet") & ~used))
        for name, part in rules.slices.items()
    ]  # fmt: skip
    if later.any():
        looks.append(gate.newer(rival.name, rules.metric, rules.margin, on(later), int(later.sum()), better))
    against = f"the {rival.role} ({rival.name})"
    looks.append(gate.no_worse(rival.role, against, rules.metric, rules.margin, on(own), better))
    return looks, int(used.sum())


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


def _baseline(metric: str, found: StageOutputs, data: Data, mine: pd.DataFrame) -> Look:
    if data.kind != "sequence":
        return gate.baseline(metric, gain(metric, *_with_baseline(found, data, mine)))
    known = mine.dropna(subset="naive")
    answers = Answers.read(known, data.label)
    naive = Answers.read(known.assign(prediction=known["naive"]), data.label)
    return gate.baseline(metric, gain(metric, answers, naive) if len(known) else None, gate.NAIVE)


def _with_baseline(found: StageOutputs, data: Data, mine: pd.DataFrame) -> tuple[Answers, Answers]:
    """The candidate's answers, and those of a baseline that knows only the training targets."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    answers = Answers.read(mine, data.label)
    targets = pq.read_table(found.folder / "train.parquet", columns=[data.target])[data.target].to_numpy()
    nothing = np.zeros((len(answers.actual), 1))
    dummy = DummyClassifier(strategy="prior") if data.task == "classification" else DummyRegressor()
    dummy.fit(np.zeros((len(targets), 1)), targets)
    probabilities = dummy.predict_proba(nothing) if data.task == "classification" else None
    theirs = Answers(answers.row_ids, answers.actual, dummy.predict(nothing), probabilities, answers.classes)
    return answers, theirs


def _limits(declared: Declaration, artifact: Path, tried: dict[str, Any]) -> Iterator[Look]:
    rules = declared.promote
    if rules.largest_mb is not None:
        yield gate.size(rules.largest_mb, megabytes(artifact / "artifacts" / "model"))
    if rules.slowdown is not None and tried["seconds"]:
        mine, theirs = tried["seconds"]["candidate"], tried["seconds"]["champion"]
        yield gate.latency(rules.slowdown, {kind: mine[kind] / theirs[kind] for kind in mine})


def megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) / 1e6
