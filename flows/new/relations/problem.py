"""Problem: whether few whole numbers are classes or amounts, and by which metric a model of them is judged.

A grade or a count has an order: one line through the features tells as much of it as a line for each of its values.
The classes of a code have none. No metric is chosen under which the quick fit loses to a constant answer.
"""

from dataclasses import dataclass

import numpy as np

from flows.new.relations import linear
from flows.new.relations.linear import Scores
from flows.new.relations.sample import Sample

MANY = 5  # different values from which an order is enough; of fewer the classes must be told apart badly, too
ORDERED = 0.85  # the share of what classes tell that the order alone tells
TOLD_APART = 0.1  # of the way from always naming the commonest class to no mistake
MOSTLY = 0.8  # the share of one of few values from which no class can be learned
SIGNAL = 0.01  # of the entropy of the classes: less is chance


@dataclass(frozen=True)
class Judged:
    """metric: of the gate. scores: by every metric of the evaluation. loss: of the training, "" for the usual one."""

    metric: str
    scores: dict[str, Scores]
    loss: str = ""


def ordered(sample: Sample) -> str:
    """Why the classes of the sample, all whole numbers, are amounts; "" if they are classes."""
    values = np.array([int(str(name)) for name in sample.classes])
    levels = np.sort(values)
    steps = np.diff(levels)
    if len(levels) < 3 or (steps % steps.min()).any() or len(set(steps)) > 1:
        return ""  # two, or with gaps: codes
    some = sample.take(linear.ROWS)
    codes = some.target.astype(int)
    shares = np.bincount(codes, minlength=len(values)) / len(codes)
    shares = shares[np.argsort(values)]
    present = shares[shares > 0]
    entropy = float(-(present * np.log(present)).sum())
    columns = linear.design(some)
    apart = linear.logistic(columns, codes, len(values))
    line = linear.ridge(columns, values[codes].astype(float))
    along = linear.logistic(_curve(line), codes, len(values))
    classes, order = (entropy - _log_loss(found, codes) for found in (apart, along))
    skill = float((apart.argmax(axis=1) == codes).mean() - shares.max()) / max(1e-9, 1 - float(shares.max()))
    if max(classes, order) <= SIGNAL * entropy:
        counted = len(levels) >= MANY or shares.max() > MOSTLY
        return (
            "the farther from the commonest, the rarer, as counts are"
            if counted and _falls_off(shares, len(codes))
            else ""
        )
    if order < ORDERED * classes or (len(levels) < MANY and skill > TOLD_APART):
        return ""
    return "their order tells what classes would"


def _curve(line: np.ndarray) -> np.ndarray:
    scaled = (line - line.mean()) / max(float(line.std()), 1e-9)
    return np.stack([scaled, scaled**2 - 1], axis=1)


def _log_loss(probabilities: np.ndarray, codes: np.ndarray) -> float:
    return float(-np.log(probabilities[np.arange(len(codes)), codes]).mean())


def _falls_off(shares: np.ndarray, rows: int) -> bool:
    """Whether the values, in order, have one peak that stands out, up to chance: a bell, or a count with a tail."""
    peak = int(shares.argmax())
    chance = 2 * np.sqrt((shares[1:] + shares[:-1]) / rows)
    steps = np.diff(shares)
    rises, falls = steps[:peak] >= -chance[:peak], steps[peak:] <= chance[peak:]
    return bool(rises.all() and falls.all() and shares.max() > 2 * shares.min())


def of_numbers(sample: Sample, names: list[str]) -> Judged:
    """The absolute error if a fit is better than the median, else the squared one, which the median does not win.

    Where squares are ruled by few large targets, a fit of absolute errors is better than the median, and the training
    minimises those.
    """
    some, absolute = sample.take(linear.ROWS), "mean_absolute_error"
    scores = linear.of_numbers(some, names)
    if scores[absolute].wins:
        return Judged(absolute, scores)
    robust = linear.of_numbers(some, names, absolute=True)
    if robust[absolute].wins:
        return Judged(absolute, robust, absolute)
    return Judged("root_mean_squared_error" if scores["root_mean_squared_error"].wins else absolute, scores)


def of_classes(sample: Sample, names: list[str], uneven: bool) -> Judged:
    """names: of the metrics. uneven: whether some class is so rare that accuracy tells too little."""
    some = sample.take(linear.ROWS)
    scores = linear.of_classes(some, names)
    if len(sample.classes) == 2:
        return Judged("roc_auc", scores)
    if uneven:
        alike = linear.of_classes(some, names, balanced=True)
        if alike["accuracy"].gain >= 0:
            return Judged("balanced_accuracy", alike)
        return Judged("log_loss", scores)
    accuracy = scores["accuracy"].wins or not scores["log_loss"].wins
    return Judged("accuracy" if accuracy else "log_loss", scores)
