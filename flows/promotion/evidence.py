"""Evidence: the inputs of the gate, gathered from the stages' files, the registry and a trial in a fresh process.

The candidate is compared with the champion and with the reference (flows/promotion/comparison.py), at a level of error
that depends on how often these test rows were used before (statistics/budget.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from flows.project import scratch
from flows.project.environment import Project
from flows.promotion import gate, trial
from flows.promotion.comparison import Candidate, Compared, compare, dependence, taken_for_independent
from flows.promotion.gate import Look
from flows.promotion.rivals import opponents
from flows.promotion.rivals.opponents import Rival
from flows.promotion.statistics import budget, power
from flows.promotion.statistics.gain import gain
from flows.promotion.statistics.interval import interval
from flows.promotion.statistics.membership import Membership
from flows.promotion.statistics.resampling import ALPHA
from flows.records.champion_state import Standing
from flows.records.outputs import StageOutputs
from flows.registry import model_registry
from flows.registry.model_registry import ModelVersion
from flows.tracking.mlflow_runs import MlflowClient
from pipelines import evaluate
from pipelines.config.data import Data
from pipelines.hardware import device
from pipelines.model.metrics import METRICS, Answers
from pipelines.model_file import Declaration
from pipelines.table import row_sample


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
    project: Project,
    store: MlflowClient,
    declared: Declaration,
    found: StageOutputs,
    version: ModelVersion,
    standing: Standing,
) -> Evidence:
    """Everything that the gate checks, the deciding check last. The candidate: the outputs of the stages, `version`."""
    rules = declared.promote
    sample = row_sample.of(pq.read_table(found.folder / "test.parquet", columns=["row_id"])["row_id"].to_pylist())
    spent = budget.of(standing, sample)
    facts = {"metric": rules.metric, "margin": rules.margin, "test_hash": found.test_hash}
    facts["test_rows"] = sample.content()
    if looks := against_it(standing, int(version.version)):
        return Evidence(looks, False, facts)
    with scratch.folder("gate") as place:
        artifact = model_registry.fetch(store, version, place, standing.artifacts.get(int(version.version)))
        mine = pd.read_parquet(found.folder / "predictions.parquet")
        there = opponents.rivals(project, store, declared, standing, found.folder / "test.parquet", place)
        there = [one for one in there if one.role == "champion" or one.version.version != version.version]
        evaluated = evaluate.device_of(found.folder / "predictions.parquet")
        there, tried = opponents.tried(declared, artifact, there, mine, evaluated, place)
        facts["membership"] = tried["membership"]
        facts |= _measured(rules.metric, mine, declared.data)
        level = ALPHA if there else spent.alpha_first(resampled=METRICS[rules.metric].loss is None)
        alone = [
            gate.floor(rules, found.metrics[rules.metric]),
            _golden(found, tried, evaluated),
            *_membership(tried),
            *_limits(declared, artifact, tried),
            _baseline(rules.metric, found, declared.data, mine, level),
        ]
    if not there:
        first = Look("champion", True, f"{alone[0].said}, and there is no champion yet")
        return Evidence([*alone, first], True, facts)
    candidate = Candidate(declared, found, mine, spent, dependence(declared, found.folder / "test.parquet"))
    against = _against(candidate, there)
    facts |= {"compared_with": standing.reference} | _spent(candidate, against)
    facts["left_out"] = {rival.role: one.left_out for rival, one in zip(there, against, strict=True)}
    looks = [*alone, *(look for one in against for look in one.looks)]
    if entity := taken_for_independent(declared, found.folder / "check.json"):
        facts["taken_for_independent"] = entity
        looks[-1] = replace(looks[-1], said=f"{looks[-1].said}; {gate.independent(entity)}")
    return Evidence(looks, all(one.better for one in against), facts)


def _against(candidate: Candidate, there: list[Rival]) -> list[Compared]:
    """Against each rival, the champion last. What the reference asks for depends on how far the champion is from it."""
    *references, champion = there
    last = compare(candidate, champion)
    step = last.whole.error if last.whole else None
    return [*(compare(candidate, rival, step) for rival in references), last]


def _spent(candidate: Candidate, against: list[Compared]) -> dict[str, Any]:
    """What the comparison has cost, and what the next one would need: for the ledger, `status` and the pages."""
    used, margin = candidate.budget, candidate.declared.promote.margin
    facts: dict[str, Any] = {
        "confidence": 1 - 2 * max(one.alpha for one in against),
        "judged": round(used.judged, 2),
        "judged_since_promotion": round(used.since_promotion, 2),
        "tries": round(used.tries, 2),
    }
    weakest = min(against, key=lambda one: power.of_equal(one.whole, margin, one.alpha) if one.whole else 0.0)
    if weakest.whole is None:
        return facts
    missing = power.rows_missing(weakest.whole, margin, used.since_promotion)
    facts["equal_passes"] = round(power.of_equal(weakest.whole, margin, weakest.alpha), 3)
    if weakest.looks[-1].passed is None and facts["equal_passes"] < power.FULL and margin > 0:
        facts["worn"] = gate.worn(weakest.whole, margin, used, weakest.alpha)
    return facts | {"rows_missing": missing, "observations": round(weakest.whole.effective, 1)}


def _golden(found: StageOutputs, tried: dict[str, Any], evaluated: str) -> Look:
    """The check for skew; within a tolerance if candidate and rivals were computed on two kinds of device."""
    hardware = device.of_model(found.folder / "model", "auto")
    most = trial.tolerance(hardware.precision, evaluated, tried["device"])
    across = "" if tried["device"] == evaluated else f"evaluated on a {evaluated}, compared on a {tried['device']}"
    return gate.golden(tried["golden"], most, across)


def _membership(tried: dict[str, Any]) -> Iterator[Look]:
    """What the model gives away of its training rows. It is said, and decides nothing."""
    if tried["membership"]:
        yield Look("membership", True, Membership(**tried["membership"]).said, rows=tried["membership"]["rows"])


def _measured(metric: str, mine: pd.DataFrame, data: Data) -> dict[str, Any]:
    """The metric of the candidate on its test rows, with its interval: to look at, and it decides nothing."""
    own = interval(metric, Answers.read(mine, data.label))
    if own is None or not np.isfinite([own.value, own.low, own.high]).all():
        return {}
    return {"measured": {"value": float(own.value), "low": float(own.low), "high": float(own.high)}}


def _baseline(metric: str, found: StageOutputs, data: Data, mine: pd.DataFrame, alpha: float) -> Look:
    """alpha: before the first champion all tries share it, so that none of many is lucky."""
    if data.kind != "sequence":
        return gate.baseline(metric, gain(metric, *_with_baseline(metric, found, data, mine), alpha))
    known = mine.dropna(subset="naive")
    answers = Answers.read(known, data.label)
    naive = Answers.read(known.assign(prediction=known["naive"]), data.label)
    return gate.baseline(metric, gain(metric, answers, naive, alpha) if len(known) else None, gate.NAIVE)


BEST_ANSWER: dict[str, dict[str, Any]] = {  # without a look at the row; else the shares of the classes, or the mean
    "mean_absolute_error": {"strategy": "median"},
    "f1_macro": {"strategy": "stratified", "random_state": 0},
}


def _with_baseline(metric: str, found: StageOutputs, data: Data, mine: pd.DataFrame) -> tuple[Answers, Answers]:
    """The candidate's answers, and those of the best model that only knows the training targets."""
    from sklearn.dummy import DummyClassifier, DummyRegressor

    answers = Answers.read(mine, data.label)
    targets = pq.read_table(found.folder / "train.parquet", columns=[data.target])[data.target].to_numpy()
    nothing, options = np.zeros((len(answers.actual), 1)), BEST_ANSWER.get(metric, {})
    classify = data.task == "classification"
    dummy = DummyClassifier(**{"strategy": "prior", **options}) if classify else DummyRegressor(**options)
    dummy.fit(np.zeros((len(targets), 1)), targets)
    probabilities = dummy.predict_proba(nothing) if classify else None
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
