"""Test rows that were used before: candidates picked by their test score, and many tries at the first champion."""

from functools import partial

import numpy as np

from flows.promotion import gate
from flows.promotion.evidence import BEST_ANSWER
from flows.promotion.statistics import budget
from flows.promotion.statistics.gain import Gain, gain
from flows.promotion.statistics.resampling import ALPHA
from flows.records.champion_state import Standing, Use
from gate.cells import Cells, Random, header, line, rate, title
from gate.chains import Gate, Model, Old, count, sample
from gate.models import ACCURACY, candidate
from gate.rules import passes, resamples
from pipelines.model.metrics import Answers

PICKED = 100  # settings that are tried
TRIES = 40  # before the first champion
TRAINING = 200  # rows that the constant answers are computed from
FEWER = 100  # resamples, of f1_macro


def fishing(cells: Cells) -> None:
    title(f"The best of {PICKED} by its test score, then one run of the gate ({cells.trials} candidates)")
    header("rows", "margin", "equal: better, old gate", "equal: better, gate", "worse by 1.1: accepted, old gate",
           "worse by 1.1: accepted, gate")  # fmt: skip
    for rows, margin in ((100, 0.05), (1_000, 0.02), (10_000, 0.005)):
        found = cells.of(f"picked {rows} {margin}", partial(_picked, rows, margin))
        line(rows, margin, *map(rate, found.values()))
    many = cells.trials
    title(
        f"{PICKED} settings, all worse by 1.1 margins, each through the gate: any is accepted ({many} rows of settings)"
    )
    header("rows", "margin", "old gate", "gate")
    for rows, margin in ((100, 0.05), (1_000, 0.02), (10_000, 0.005)):
        found = cells.of(f"each {rows} {margin}", partial(_each, rows, margin))
        line(rows, margin, *map(rate, found.values()))


def _picked(rows: int, margin: float, random: Random) -> dict[str, float]:
    window = (0, rows)
    champion = Model(random.random(rows) < ACCURACY, ACCURACY, window)
    seen = Standing(uses=[Use(number, sample(window), False) for number in range(1, PICKED)])
    spent = budget.of(seen, sample(window))
    found: dict[str, float] = {}
    for size in (0.0, -1.1 * margin):
        made = (candidate(champion.right, ACCURACY, size, random) for _ in range(PICKED))
        best = count(Model(max(made, key=np.count_nonzero), ACCURACY + size, window), champion, *window)
        once, whole = best.at(ALPHA), best.at(spent.alpha)
        sure = best.at(min(spent.alpha, spent.alpha_better))
        assert once is not None
        if size:
            found |= {"old": once.not_worse(margin), "gate": passes(whole, margin, spent, spent.alpha)}
        else:
            found |= {"old better": once.better, "better": sure is not None and sure.better}
    return found


def _each(rows: int, margin: float, random: Random) -> dict[str, float]:
    champion = Model(random.random(rows) < ACCURACY, ACCURACY, (0, rows))
    gates: dict[str, Old | Gate] = {"old": Old(margin, champion, champion), "gate": Gate(margin, champion, champion)}
    found = dict.fromkeys(gates, 0.0)
    size = -1.1 * margin
    for _ in range(PICKED):
        made = Model(candidate(champion.right, ACCURACY, size, random), ACCURACY + size, champion.window)
        for name, judge in gates.items():
            found[name] = found[name] or float(judge.night(made))
    return found


def first(cells: Cells) -> None:
    title(f"A constant median, judged by mean absolute error; lognormal target ({cells.trials} candidates)")
    header("rows", "sigma of the target", "old gate: passes the mean", "gate: passes the best constant")
    for rows in (50, 300, 1_000):
        for sigma in (0.5, 1.0, 2.0):
            found = cells.of(f"median {rows} {sigma}", partial(_median, rows, sigma))
            line(rows, sigma, *map(rate, found.values()))
    sequences = cells.trials // 2
    title(f"{TRIES} tries of random scores before the first champion: any passes ({sequences} sequences)")
    header("rows", "positives", "old gate", "gate")
    for rows, positives in ((50, 0.5), (300, 0.5), (300, 0.1)):
        found = cells.of(f"tries {rows} {positives}", partial(_tries, rows, positives), sequences)
        line(rows, positives, *map(rate, found.values()))
    few = cells.trials * 2 // 5
    title(f"Guesses by the shares of two classes, judged by F1 ({few} candidates, {FEWER} resamples)")
    header("rows", "old gate: passes the majority class", "gate: passes guesses by the shares")
    for rows in (50, 300):
        found = cells.of(f"shares {rows}", partial(_shares, rows), few)
        line(rows, *map(rate, found.values()))


def _scored(actual: np.ndarray, scores: np.ndarray) -> Answers:
    return Answers(np.arange(len(actual)), actual, (scores > 0.5) * 1, np.column_stack([1 - scores, scores]), [0, 1])


def _tries(rows: int, positives: float, random: Random) -> dict[str, float]:
    actual = (random.random(rows) < positives).astype(int)
    prior, metric = _scored(actual, np.full(rows, positives)), "roc_auc"
    standing, found = Standing(), {"old": 0.0, "gate": 0.0}
    chance = np.sqrt((rows + 1) / (12 * actual.sum() * (rows - actual.sum())))  # the standard error of an area
    for number in range(1, TRIES + 1):
        alpha = budget.of(standing, sample((0, rows))).alpha_first(resampled=True)
        standing.uses.append(Use(number, sample((0, rows)), False))
        tried = _scored(actual, random.random(rows))
        if tried.score(metric) < 0.5 + 1.5 * chance:  # too little for any level: it is not resampled
            continue
        if _beats(metric, gain(metric, tried, prior, ALPHA)):
            found["old"] = 1.0
            found["gate"] = found["gate"] or float(_beats(metric, gain(metric, tried, prior, alpha)))
    return found


def _beats(metric: str, found: Gain | None) -> bool:
    return gate.baseline(metric, found).passed is True


def _median(rows: int, sigma: float, random: Random) -> dict[str, float]:
    from sklearn.dummy import DummyRegressor

    metric = "mean_absolute_error"
    train, actual = (random.lognormal(0, sigma, size) for size in (TRAINING, rows))

    def constant(value: float) -> Answers:
        return Answers(np.arange(rows), actual, np.full(rows, value), None, [])

    def best(options: dict) -> Answers:
        dummy = DummyRegressor(**options).fit(np.zeros((TRAINING, 1)), train)
        return constant(float(dummy.predict(np.zeros((1, 1)))[0]))

    tried = constant(float(np.median(train)))
    against = {"old": best({}), "gate": best(BEST_ANSWER[metric])}
    return {name: _beats(metric, gain(metric, tried, baseline)) for name, baseline in against.items()}


def _shares(rows: int, random: Random) -> dict[str, float]:
    from sklearn.dummy import DummyClassifier

    metric, nothing = "f1_macro", np.zeros((rows, 1))
    train, actual = random.integers(0, 2, TRAINING), random.integers(0, 2, rows)

    def answers(predicted: np.ndarray) -> Answers:
        return Answers(np.arange(rows), actual, predicted, None, [0, 1])

    def best(options: dict) -> Answers:
        return answers(DummyClassifier(**options).fit(np.zeros((TRAINING, 1)), train).predict(nothing))

    tried = answers(random.integers(0, 2, rows))
    against = {"old": best({"strategy": "prior"}), "gate": best(BEST_ANSWER[metric])}
    with resamples(FEWER):
        return {
            name: tried.score(metric) > baseline.score(metric) and _beats(metric, gain(metric, tried, baseline))
            for name, baseline in against.items()
        }
