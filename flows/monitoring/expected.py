"""Expected performance without labels: what the champion's own probabilities, calibrated, say of its answers.

The method: the probabilities of the test rows are calibrated by isotonic regression (Zadrozny and Elkan 2002), and the
confusion that calibrated probabilities expect of live answers gives the metric (Garg et al. 2022 and NannyML's CBPE do
the same). It sees that rows have become harder or easier. It cannot see that the same row now has another answer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from flows.monitoring.drift import champion, kept, periods
from flows.monitoring.drift.kept import Kept
from flows.project.environment import Project
from flows.registry.reference import CONFIDENCE, MOST_CLASSES
from flows.serving.log.columns import PROBABILITY
from pipelines.model_file import Declaration
from pipelines.table.summary.columns import Column

BLIND = "as long as the columns still say the same of the target: a changed relation cannot be seen without labels"


@dataclass(frozen=True)
class Expected:
    """value: of the metric on live answers; None where it is not offered, and `why`. then: the same on the test rows.

    rows: live answers behind it. first, last: their days. said: a sentence, which says what it cannot see.
    """

    metric: str
    value: float | None = None
    then: float | None = None
    rows: int = 0
    first: date | None = None
    last: date | None = None
    why: str = ""
    said: str = ""


@dataclass(frozen=True)
class Bins:
    """Some probabilities. values: [bins]; weights: how many of each; chance: that these come true, calibrated."""

    values: np.ndarray
    weights: np.ndarray
    chance: np.ndarray

    def expected(self, of: np.ndarray) -> float:
        """The mean over rows of something [bins]."""
        return float(np.average(of, weights=self.weights))


Probabilities = dict[str, Bins]  # by class, and CONFIDENCE
Estimate = Callable[[Probabilities, Sequence[str]], float]


def expected(project: Project, declared: Declaration, day: date) -> Expected:
    """The gate's metric, as it is expected of the champion's answers up to a day, by the summaries of drift.look."""
    metric = declared.promote.metric
    found = champion.of(project, declared.model)
    if found is None:
        return _none(metric, "no version is live here")
    if why := _not_offered(metric, found.classes):
        return _none(metric, why)
    tested = [line for line in champion.reference_of(project, found, declared.data) if line.right]
    if not tested:
        return _none(metric, "nobody kept the probabilities of its test rows")
    if periods.rows_of(tested) < periods.LEAST:
        return _none(metric, f"its test rows are fewer than {periods.LEAST}")
    answers = kept.of_answers(Kept(kept.folder(project, declared.model)), found.number)
    now = periods.ending(answers, day)
    if now is None:
        return _none(
            metric, f"it has answered fewer than {periods.LEAST} rows in the {periods.MOST_DAYS} days up to {day}"
        )
    value, then = estimate(metric, found.classes, tested, now.lines), estimate(metric, found.classes, tested, tested)
    told = f"{metric} is expected to be {value:.3f} {now.said} (test rows: {then:.3f}), {BLIND}."
    return Expected(metric, value, then, now.rows, now.first, now.last, "", told)


def estimate(metric: str, classes: Sequence[str], tested: Sequence[Column], live: Sequence[Column]) -> float:
    """A metric of METRICS on live answers. tested, live: the lines of probabilities; those of tested have `right`."""
    names = {CONFIDENCE: CONFIDENCE} if metric == "accuracy" else {name: PROBABILITY + name for name in classes}
    return METRICS[metric]({name: _calibrated(inside, tested, live) for name, inside in names.items()}, classes)


def _none(metric: str, why: str) -> Expected:
    return Expected(metric, why=why, said=f"{metric} is not expected without labels: {why}.")


def _not_offered(metric: str, classes: Sequence[str]) -> str:
    if not classes:
        return "the answers of a regression have no probabilities"
    if metric not in METRICS or (metric in OF_TWO and len(classes) != 2) or _too_many(metric, classes):
        return f"{metric} of {len(classes)} classes does not follow from the probabilities of single classes"
    return ""


def _too_many(metric: str, classes: Sequence[str]) -> bool:
    """Whether only the highest probability of each row was kept."""
    return metric != "accuracy" and len(classes) > MOST_CLASSES


# ------------------------------------------------------------------ calibration


def _calibrated(name: str, tested: Sequence[Column], live: Sequence[Column]) -> Bins:
    from sklearn.isotonic import IsotonicRegression

    before = [_binned(line) for line in tested if line.name == name and line.points]
    hits = np.concatenate([np.diff(line.right, prepend=0) for line in tested if line.name == name and line.points])
    values, weights = (np.concatenate(part) for part in zip(*before, strict=True))
    least = 0.5 / weights.sum()  # nothing is certain after so many rows
    curve = IsotonicRegression(y_min=least, y_max=1 - least, out_of_bounds="clip")
    curve.fit(values, hits / weights, sample_weight=weights)
    now = [_binned(line) for line in live if line.name == name and line.points]
    asked, counts = (np.concatenate(part) for part in zip(*now, strict=True))
    return Bins(asked, counts, curve.predict(asked))


def _binned(line: Column) -> tuple[np.ndarray, np.ndarray]:
    """values, weights: [bins]. A bin of several values has the middle of its ends."""
    points, weights = np.array(line.points), np.diff(line.below, prepend=0).astype(np.float64)
    if line.exact:
        return points, weights
    return (points + np.append(points[:1], points[:-1])) / 2, weights


# ------------------------------------------------------------------ metrics


def _accuracy(found: Probabilities, classes: Sequence[str]) -> float:
    sure = found[CONFIDENCE]
    return sure.expected(sure.chance)


def _log_loss(found: Probabilities, classes: Sequence[str]) -> float:
    """A row costs -log of what its true class was given: by class, how often that is true, times what it costs then."""
    tiny = float(np.finfo(np.float64).eps)
    costs = [
        found[name].expected(-found[name].chance * np.log(np.clip(found[name].values, tiny, 1))) for name in classes
    ]
    return float(sum(costs))


def _roc_auc(found: Probabilities, classes: Sequence[str]) -> float:
    named = classes[1:] if len(classes) == 2 else classes
    return float(np.mean([_area(found[name]) for name in named]))


def _area(found: Bins) -> float:
    """The chance that a true row has a higher probability than another one."""
    order = np.argsort(found.values, kind="stable")
    values = found.values[order]
    true = (found.weights * found.chance)[order]
    false = (found.weights * (1 - found.chance))[order]
    same = np.unique(values, return_inverse=True)[1]
    true, false = np.bincount(same, true), np.bincount(same, false)
    below = np.cumsum(false) - false / 2
    return float((true * below).sum() / (true.sum() * false.sum()))


def _confusion(found: Probabilities, classes: Sequence[str]) -> np.ndarray:
    """Of two classes [true, answered], as shares of the rows."""
    second = found[classes[1]]
    says = second.values > 0.5
    cells = [
        [second.expected((1 - second.chance) * ~says), second.expected((1 - second.chance) * says)],
        [second.expected(second.chance * ~says), second.expected(second.chance * says)],
    ]
    return np.array(cells)


def _balanced_accuracy(found: Probabilities, classes: Sequence[str]) -> float:
    confusion = _confusion(found, classes)
    return float(np.mean(np.diag(confusion) / confusion.sum(axis=1)))


def _f1_macro(found: Probabilities, classes: Sequence[str]) -> float:
    confusion = _confusion(found, classes)
    return float(np.mean(2 * np.diag(confusion) / (confusion.sum(axis=0) + confusion.sum(axis=1))))


METRICS: dict[str, Estimate] = {
    "accuracy": _accuracy,
    "log_loss": _log_loss,
    "roc_auc": _roc_auc,
    "balanced_accuracy": _balanced_accuracy,
    "f1_macro": _f1_macro,
}
OF_TWO = ("balanced_accuracy", "f1_macro")  # only of two classes
