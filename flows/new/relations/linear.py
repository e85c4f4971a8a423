"""Linear: what a constant answer and a quick linear fit reach, by the metrics of the evaluation.

It takes a second, and tells what a network has to beat: a floor that says something, and a metric under which the
constant answer does not win.
"""

import warnings
from dataclasses import dataclass

import numpy as np

from flows.new.relations.sample import Sample
from pipelines.model.metrics import METRICS

ROWS = 3000  # that are fitted
WORDS = 20  # of a category that become columns, the most frequent ones
COLUMNS = 200  # of the fit: of more, those that say most by themselves
FOLDS = 3
CLIP = 4.0  # standard deviations: no extreme value turns the fit
ROUNDS = 15  # of a fit of absolute errors
LEAST_GAIN = 0.02  # of the constant's score: less is chance


@dataclass(frozen=True)
class Scores:
    """By a metric: of the best constant answer, and of the fit on rows that it has not seen."""

    constant: float
    linear: float
    greater_is_better: bool

    @property
    def gain(self) -> float:
        """By how much the fit is better; negative where it is worse."""
        return (self.linear - self.constant) * (1 if self.greater_is_better else -1)

    @property
    def wins(self) -> bool:
        return self.gain > LEAST_GAIN * abs(self.constant)


def design(sample: Sample) -> np.ndarray:
    """The rows as columns of mean 0 [rows, columns]: numbers in standard deviations, words as 0 and 1."""
    columns = [part for values in sample.numbers.values() for part in _of_number(values)]
    columns += [part for codes in sample.words.values() for part in _of_words(codes)]
    if not columns:
        return np.zeros((sample.rows, 1))
    found = np.stack(columns, axis=1)
    if found.shape[1] > COLUMNS:
        found = found[:, _telling(found, sample.target)]
    return found


def _of_number(values: np.ndarray) -> list[np.ndarray]:
    gap = np.isnan(values)
    if gap.all() or not (spread := float(np.nanstd(values))):
        return [_centred(gap)] if gap.any() and not gap.all() else []
    scaled = np.clip(np.nan_to_num((values - np.nanmean(values)) / spread), -CLIP, CLIP)
    return [scaled, _centred(gap)] if gap.any() else [scaled]


def _of_words(codes: np.ndarray) -> list[np.ndarray]:
    kinds, counts = np.unique(codes, return_counts=True)
    common = kinds[np.argsort(-counts, kind="stable")][:WORDS]
    return [_centred(codes == kind) for kind in common] if len(kinds) > 1 else []


def _centred(flag: np.ndarray) -> np.ndarray:
    return np.asarray(flag.astype(float) - flag.mean())


def _telling(columns: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The places of the columns that go with the target most, in order. Of classes: with the likeliest ones."""
    classes = target.dtype.kind == "i"
    against = [(target == kind).astype(float) for kind in np.unique(target)[:10]] if classes else [target]
    products = [np.abs(columns.T @ (one - one.mean())) / max(float(one.std()), 1e-12) for one in against]
    return np.sort(np.argsort(-np.max(products, axis=0), kind="stable")[:COLUMNS])


def of_numbers(sample: Sample, names: list[str], absolute: bool = False) -> dict[str, Scores]:
    """By metrics of a regression. absolute: whether the fit minimises absolute errors, not squared ones."""
    actual, predicted = sample.target, ridge(design(sample), sample.target, ROUNDS if absolute else 0)
    constants = [np.full(len(actual), value) for value in (np.median(actual), actual.mean())]
    found = {}
    for name in names:
        metric = METRICS[name]
        best = max if metric.greater_is_better else min
        constant = best(metric.score(actual, constant, None, []) for constant in constants)
        found[name] = Scores(constant, metric.score(actual, predicted, None, []), metric.greater_is_better)
    return found


def of_classes(sample: Sample, names: list[str], balanced: bool = False) -> dict[str, Scores]:
    """By metrics of a classification. balanced: whether each class weighs the same in the fit."""
    actual = sample.target.astype(int)
    classes = list(range(len(sample.classes)))
    probabilities = logistic(design(sample), actual, len(classes), balanced)
    prior = np.tile(np.bincount(actual, minlength=len(classes)) / len(actual), (len(actual), 1))
    found = {}
    for name in names:
        metric = METRICS[name]
        constant, linear = (
            metric.score(actual, answers.argmax(axis=1), answers, classes) for answers in (prior, probabilities)
        )
        found[name] = Scores(constant, linear, metric.greater_is_better)
    return found


def ridge(columns: np.ndarray, target: np.ndarray, rounds: int = 0) -> np.ndarray:
    """Predictions [rows] of a linear regression for rows that it has not seen. columns: [rows, columns], of mean 0.

    rounds: how often the rows are weighted anew by their error, so that absolute errors count (Schlossmacher, 1973).
    """
    found = np.empty(len(target))
    columns = np.column_stack([np.ones(len(target)), columns])
    strength = np.diag([0.0, *np.full(columns.shape[1] - 1, 1.0 + 1e-3 * len(target))])
    for fold in _folds(len(target)):
        seen, known, weight = columns[~fold], target[~fold], np.ones((~fold).sum())
        for _ in range(rounds + 1):
            weighted = seen * weight[:, None]
            factors = np.linalg.solve(weighted.T @ seen + strength, weighted.T @ known)
            errors = np.abs(known - seen @ factors)
            weight = errors.mean() / np.maximum(errors, 1e-3 * errors.mean() + 1e-12)
        found[fold] = columns[fold] @ factors
    return np.clip(found, target.min(), target.max())


def logistic(columns: np.ndarray, codes: np.ndarray, classes: int, balanced: bool = False) -> np.ndarray:
    """Probabilities [rows, classes] of a logistic regression for rows that it has not seen."""
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    found = np.zeros((len(codes), classes))
    for fold in _folds(len(codes)):
        model = LogisticRegression(C=0.3, max_iter=60, tol=1e-3, class_weight="balanced" if balanced else None)
        if len(np.unique(codes[~fold])) < 2:
            found[fold] = np.bincount(codes[~fold], minlength=classes) / (~fold).sum()
            continue
        with warnings.catch_warnings(), threadpool_limits(1):  # small products: threads would only wait for each other
            warnings.simplefilter("ignore")  # a fit that has not converged is good enough here
            model.fit(columns[~fold], codes[~fold])
        found[np.ix_(fold, model.classes_)] = model.predict_proba(columns[fold])
    found += 1e-4  # of a class that a fold lacks
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def _folds(rows: int) -> list[np.ndarray]:
    place = np.random.default_rng(0).permutation(rows) % FOLDS
    return [place == fold for fold in range(FOLDS)]
