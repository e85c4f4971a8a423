"""Rare classes: what can be shown with few positives."""

from functools import partial

import numpy as np

from flows.promotion.statistics.gain import gain
from flows.promotion.statistics.resampling import score_or_nan
from gate.cells import Cells, Random, header, line, rate, title
from gate.models import areas, candidate
from gate.rules import passes, resamples
from pipelines.model.metrics import Answers

RECALL = PRECISION = 0.8  # of the champion
AGAIN = 0.05  # of the positives that another training alone finds, and as many that it loses
FEWER = 100  # resamples


def classes(cells: Cells) -> None:
    few, margin = cells.trials * 2 // 5, 0.02
    title(f"Rare classes, margin {margin}: {few} candidates, {FEWER} resamples")
    header("metric", "positives", "rows", "worse by 1.1 margins: false", "equal passes")
    for metric in ("roc_auc", "balanced_accuracy", "f1_macro"):
        for positives in (0.01, 0.002):
            for rows in (1_000, 10_000):
                rates = []
                for size in (-1.1, 0.0):
                    once = partial(_judged, metric, positives, rows, size * margin, margin)
                    rates.append(rate(cells.of(f"{metric} {positives} {rows} {size}", once, few)["gate"]))
                line(metric, f"{100 * positives:g} %", rows, *rates)


def _judged(metric: str, positives: float, rows: int, size: float, margin: float, random: Random) -> dict[str, float]:
    if metric == "roc_auc":
        one, other = areas(rows, size, positives, random)
    else:
        one, other = _labels(metric, positives, rows, size, random)
    if score_or_nan(metric, one) - score_or_nan(metric, other) <= -margin:  # no interval clears it
        return {"gate": 0.0}
    with resamples(FEWER):
        return {"gate": passes(gain(metric, one, other), margin)}


def _labels(metric: str, positives: float, rows: int, size: float, random: Random) -> tuple[Answers, Answers]:
    """The candidate finds fewer positives, so that its score is off by `size`."""
    actual = random.random(rows) < positives
    false = RECALL * positives * (1 / PRECISION - 1) / (1 - positives)  # of the negatives, called positive
    right = np.where(actual, random.random(rows) < RECALL, random.random(rows) >= false)
    lost = 2 * size  # of two classes, only the rare one is scored worse
    if metric == "f1_macro":
        wanted = RECALL + 2 * size  # precision and recall are alike, and so is F1
        missed = 1 + RECALL * (1 / PRECISION - 1)  # positives, and negatives that are called positive
        lost = missed * wanted / (2 - wanted) - RECALL
    made = right.copy()
    made[actual] = candidate(right[actual], RECALL, lost, random, AGAIN)
    made[~actual] = candidate(right[~actual], 1 - false, 0.0, random, false / 2)
    answers = (Answers(np.arange(rows), actual * 1, (actual == found) * 1, None, [0, 1]) for found in (made, right))
    one, other = answers
    return one, other
