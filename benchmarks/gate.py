"""How often the gate is wrong: python benchmarks/gate.py [PART ...] [--trials 500]

Candidates whose true quality is known are judged by the gate's own functions, and by the plain comparison that promotes
whatever scores at least as well. Parts, all of them by default: planted, nights, auc, regression, slices, real,
bundled. Prints Markdown tables; rates are in per cent. Two processes, about an hour.
"""

import argparse
import contextlib
import io
import itertools
import platform
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from multiprocessing import get_context
from pathlib import Path
from statistics import mean

import numpy as np
from flows.promotion.gain import Gain, gain

from flows.promotion import gate
from pipelines.model.metrics import Answers

ROOT = Path(__file__).parent.parent
Random = np.random.Generator
ROWS = (100, 360, 1_000, 3_000, 10_000)
MARGINS = (0.005, 0.01, 0.02, 0.05)
WORSE = (0.005, 0.006, 0.01, 0.011, 0.02, 0.021, 0.05, 0.051)  # planted: on the very margins, and just beyond
SIZES = (*(-size for size in reversed(WORSE)), 0.0, 0.005, 0.01, 0.02, 0.05)  # gain of the candidate
CHURN = 0.01  # of the rows that another training alone wins, and as many that it loses
ACCURACY = 0.93  # of the champion
NIGHTS = 50
SEED = 1


def labels(right: np.ndarray) -> Answers:
    """A model that answers these rows right or wrong [rows, bool]."""
    rows = len(right)
    return Answers(np.arange(rows), np.ones(rows, int), right.astype(int), None, [0, 1])


def candidate(right: np.ndarray, accuracy: float, size: float, random: Random) -> np.ndarray:
    """Which rows a candidate answers right, that is truly better by `size` than a champion of `accuracy`."""
    won, lost = CHURN + max(size, 0), CHURN + max(-size, 0)
    chance = np.where(right, 1 - lost / accuracy, won / (1 - accuracy))
    return random.random(len(right)) < chance


def verdict(found: Gain | None, margin: float) -> str:
    return gate.decide([gate.no_worse("champion", "the champion", "accuracy", margin, found)])[0]


# ------------------------------------------------------------------ planted: right and wrong answers


def planted_trials(rows: int, size: float, trials: int) -> dict[str, float]:
    """The share of trials in which a candidate is promoted: by the plain comparison, by the gate for each margin."""
    random, promoted = np.random.default_rng([SEED, rows, round(1e4 * (1 + size))]), Counter[str]()
    for _ in range(trials):
        right = random.random(rows) < ACCURACY
        found = gain("accuracy", labels(candidate(right, ACCURACY, size, random)), labels(right))
        promoted["plain"] += found is not None and found.value >= 0
        for margin in MARGINS:
            promoted[f"{margin:g}"] += verdict(found, margin) == "accepted"
    return {name: promoted[name] / trials for name in ("plain", *map("{:g}".format, MARGINS))}


def planted(pool: ProcessPoolExecutor, trials: int) -> None:
    names = ["plain", *(f"{margin:g}" for margin in MARGINS)]
    cases = [(rows, size) for rows in reversed(ROWS) for size in SIZES]  # the longest first
    work = {case: pool.submit(planted_trials, *case, trials) for case in cases}
    found = {case: done.result() for case, done in work.items()}
    print(f"\n## Planted: promoted of {trials} candidates, by margin (* : a false promotion)\n")
    header(["rows", "true gain", "plain comparison", *(f"gate, margin {name}" for name in names[1:])])
    for rows in ROWS:
        for size in sorted(SIZES):
            rates = found[rows, size]
            marks = [size < 0, *(-size >= margin for margin in MARGINS)]
            line(rows, f"{size:+.3f}", *(percent(rates[name], mark) for name, mark in zip(names, marks, strict=True)))
    print("\n## The worst false promotion at any planted size, and how often an equal candidate passes\n")
    header(["rows", "plain: worse by 0.5 points", *(f"margin {name}: false, equal" for name in names[1:])])
    for rows in ROWS:
        cells = [percent(found[rows, -0.005]["plain"])]
        for margin in MARGINS:
            worst = max(found[rows, size][f"{margin:g}"] for size in SIZES if -size >= margin)
            cells.append(f"{percent(worst)}, {percent(found[rows, 0.0][f'{margin:g}'])}")
        line(rows, *cells)


# ------------------------------------------------------------------ nights: a ratchet must not slip


def slip(rows: int, margin: float, rule: str, random: Random) -> float:
    """How much worse the champion truly is after 50 candidates, each 0.3 points worse than that of its night."""
    accuracy = start = ACCURACY
    champion = reference = random.random(rows) < accuracy
    compared = 0
    for _ in range(NIGHTS):
        made = candidate(champion, accuracy, -0.003, random)
        one, against = labels(made), {"champion": labels(champion), "reference": labels(reference)}
        alpha = gate.spent(compared if rule == "spent" else 0)
        compared += 1
        if rule == "plain":
            accepted = made.mean() >= champion.mean()
            better = False
        else:
            names = ["champion"] if rule == "champion" else ["champion", "reference"]
            gains = [gain("accuracy", one, against[name], alpha) for name in names]
            accepted = all(verdict(found, margin) == "accepted" for found in gains)
            better = accepted and all(found is not None and found.better for found in gains)
        if accepted:
            champion, accuracy = made, accuracy - 0.003
        if better:
            reference, compared = made, 0
    return start - accuracy


def slips(rows: int, margin: float, rule: str, sequences: int) -> list[float]:
    random = np.random.default_rng([SEED, rows, len(rule)])
    return [slip(rows, margin, rule, random) for _ in range(sequences)]


def nights(pool: ProcessPoolExecutor, trials: int) -> None:
    rules = {
        "plain": "plain comparison",
        "champion": "margin against the champion of the night",
        "reference": "... and the reference",
        "spent": "the gate (and a budget for all comparisons)",
    }
    sizes = ((10_000, 0.005, trials // 12), (3_000, 0.01, trials // 5), (1_000, 0.02, trials // 5))
    cases = [(rows, margin, rule, max(20, count)) for rows, margin, count in sizes for rule in rules]
    work = {case: pool.submit(slips, *case) for case in cases}
    print(f"\n## {NIGHTS} nights of candidates, each 0.3 points worse than the champion of its night\n")
    header(["rows", "margin", "rule", "sequences", "mean slip, points", "worst", "slipped more than a margin"])
    for rows, margin, rule, count in cases:
        lost = work[rows, margin, rule, count].result()
        beyond = mean(value > margin + 1e-9 for value in lost)
        line(rows, margin, rules[rule], count, f"{100 * mean(lost):.2f}", f"{100 * max(lost):.1f}", percent(beyond))


# ------------------------------------------------------------------ other metrics


def auc_pair(rows: int, size: float, random: Random) -> tuple[Answers, Answers]:
    """A champion with an area of 0.95 under its curve, a candidate with 0.95 + size; a third is positive."""
    from scipy.stats import norm

    def spread(area: float) -> float:  # of a model's own error, beside that of the rows
        return float(np.sqrt((shift / norm.ppf(area)) ** 2 / 2 - 1))

    shift = 2 * norm.ppf(0.97)
    actual = (random.random(rows) < 1 / 3).astype(int)
    common = actual * shift + random.normal(size=rows)
    made = []
    for area in (0.95 + size, 0.95):
        scores = common + spread(area) * random.normal(size=rows)
        chance = 1 / (1 + np.exp(-(scores - shift / 2)))
        made.append(Answers(np.arange(rows), actual, (chance > 0.5) * 1, np.column_stack([1 - chance, chance]), [0, 1]))
    return made[0], made[1]


def error_pair(rows: int, size: float, random: Random) -> tuple[Answers, Answers]:
    """A champion with a mean absolute error of 1, a candidate with 1 - size; heavy tails (Student's t, 3 degrees)."""
    actual = random.normal(size=rows) * 3
    common, scale = random.standard_t(3, rows), 2 * np.sqrt(3) / np.pi  # the mean of |t| with 3 degrees
    made = []
    for error in (1 - size, 1.0):
        own = random.standard_t(3, rows)
        both = np.where(random.random(rows) < 0.9, common, own)  # two trainings err on much the same rows
        made.append(Answers(np.arange(rows), actual, actual + error * both / scale, None, []))
    return made[0], made[1]


def metric_trials(name: str, rows: int, size: float, margin: float, trials: int) -> tuple[float, float]:
    make: Callable[..., tuple[Answers, Answers]] = auc_pair if name == "roc_auc" else error_pair
    random = np.random.default_rng([SEED, rows, round(1e4 * (1 + size))])
    gains = [gain(name, *make(rows, size, random)) for _ in range(trials)]
    return (
        mean(found is not None and found.value >= 0 for found in gains),
        mean(verdict(found, margin) == "accepted" for found in gains),
    )


def of_metric(
    pool: ProcessPoolExecutor,
    trials: int,
    name: str,
    cases: list[tuple[int, float]],
    sizes: tuple[float, ...] = (-2, -1.1, -1, 0),  # in margins
) -> None:
    asked = [(rows, margin, size) for rows, margin in cases for size in sizes]
    work = {
        (rows, margin, size): pool.submit(metric_trials, name, rows, size * margin, margin, trials)
        for rows, margin, size in asked
    }
    print(f"\n## {name}: promoted of {trials} candidates (* : a false promotion)\n")
    header(["rows", "margin", "true gain", "plain comparison", "gate"])
    for rows, margin, size in asked:
        plain, promoted = work[rows, margin, size].result()
        line(rows, margin, f"{size * margin:+.3f}", percent(plain, size < 0), percent(promoted, size <= -1))


def auc(pool: ProcessPoolExecutor, trials: int) -> None:
    of_metric(pool, trials // 5, "roc_auc", [(126, 0.05)], (-1.1, 0))  # each takes seconds


def regression(pool: ProcessPoolExecutor, trials: int) -> None:
    of_metric(pool, trials, "mean_absolute_error", [(88, 0.1), (1_000, 0.05), (10_000, 0.02)])


def slice_trials(rows: int, share: float, size: float, margin: float, trials: int) -> tuple[float, float, float]:
    """Candidates that lose `size` in a slice, and win as much elsewhere: plain, gate without and with the slice."""
    random, promoted = np.random.default_rng([SEED, rows]), [0, 0, 0]
    for _ in range(trials):
        inside = random.random(rows) < share
        right = random.random(rows) < ACCURACY
        made = right.copy()
        made[inside] = candidate(right[inside], ACCURACY, -size, random)
        made[~inside] = candidate(right[~inside], ACCURACY, size * share / (1 - share), random)
        whole = gain("accuracy", labels(made), labels(right))
        part = gain("accuracy", labels(made[inside]), labels(right[inside]))
        looks = [gate.no_worse(what, "it", "accuracy", margin, found) for what, found in (("s", part), ("all", whole))]
        promoted[0] += made.mean() >= right.mean()
        promoted[1] += gate.decide(looks[1:])[0] == "accepted"
        promoted[2] += gate.decide(looks)[0] == "accepted"
    return promoted[0] / trials, promoted[1] / trials, promoted[2] / trials


def slices(pool: ProcessPoolExecutor, trials: int) -> None:
    cases = [(rows, size) for rows in (1_000, 3_000, 10_000) for size in (0.06, 0.05, 0.0)]
    work = {case: pool.submit(slice_trials, case[0], 0.15, case[1], 0.05, trials) for case in cases}
    print(f"\n## Slices: as good in all, worse in a slice of 15 % of the rows; margin 0.05, {trials} candidates\n")
    header(["rows", "loss in the slice", "plain comparison", "gate without the slice", "gate with it"])
    for rows, size in cases:
        plain, without, with_it = work[rows, size].result()
        wrong = size > 0
        line(rows, size, percent(plain, wrong), percent(without, wrong), percent(with_it, wrong))


# ------------------------------------------------------------------ real models


def real_trial(seed: int) -> dict[str, tuple[float, str, bool]]:
    """Networks trained on real digits: kind -> true gain on rows kept for that, verdict, plain comparison."""
    from sklearn.datasets import load_digits
    from sklearn.neural_network import MLPClassifier

    pixels, digits = load_digits(return_X_y=True)
    random = np.random.default_rng([SEED, seed])
    order = random.permutation(len(digits))
    train, test, kept = order[:700], order[700:1060], order[1060:]
    noisy = digits.copy()
    noisy[train] = np.where(random.random(len(train)) < 0.2, random.integers(0, 10, len(train)), digits[train])

    def right(rows: np.ndarray, targets: np.ndarray, state: int) -> tuple[np.ndarray, np.ndarray]:
        network = MLPClassifier((128,), random_state=state, max_iter=40, tol=0).fit(pixels[rows] / 16, targets[rows])
        return tuple(network.predict(pixels[asked] / 16) == digits[asked] for asked in (test, kept))  # type: ignore[return-value]

    champion = right(train, digits, 0)
    kinds = {
        "another seed": right(train, digits, 1),
        "20 % of the labels wrong": right(train, noisy, 0),
        "a tenth of the rows": right(train[:70], digits, 0),
        "half of the rows": right(train[:350], digits, 0),
    }
    found = {}
    for kind, made in kinds.items():
        told = gain("accuracy", labels(made[0]), labels(champion[0]))
        plain = bool(made[0].mean() >= champion[0].mean())
        found[kind] = (float(made[1].mean() - champion[1].mean()), verdict(told, 0.025), plain)
    return found


def real(pool: ProcessPoolExecutor, trials: int) -> None:
    splits = max(20, trials // 5)
    results = list(pool.map(real_trial, range(splits)))
    print(f"\n## Real networks on digits, {splits} random splits, 360 test rows, margin 0.025\n")
    header(["candidate", "true gain, mean", "plain comparison", "accepted", "rejected", "undecided"])
    for kind in results[0]:
        gains, verdicts, plain = zip(*(result[kind] for result in results), strict=True)
        rates = [percent(verdicts.count(name) / splits) for name in ("accepted", "rejected", "undecided")]
        line(kind, f"{mean(gains):+.3f}", percent(mean(plain)), *rates)


# ------------------------------------------------------------------ the bundled models

SEEDS = range(100, 112)


def trained(model: str, folder: str) -> tuple[str, float, list[tuple[bool, bool]]]:
    """A bundled model of several seeds, each judged against each: metric, margin, (plain, gate) of each pair."""
    import os

    from pipelines import check, clean, evaluate, ingest, model_file, train, validate
    from pipelines.config import settings

    os.chdir(folder)
    path = Path("models") / f"{model}.yaml"
    declared, text = model_file.check(model), path.read_text(encoding="utf-8")
    for stage in (ingest, validate, clean, check):
        stage.run(model)
    made = []
    for seed in SEEDS:
        path.write_text(text.replace(f"seed: {declared.train.seed}", f"seed: {seed}"), encoding="utf-8")
        assert settings.read(model)["train"]["seed"] == seed
        with contextlib.redirect_stdout(io.StringIO()):  # it tells the device each time
            train.run(model)
        test = Path("data") / model / "test.parquet"
        predicted = evaluate.predict(evaluate.load(test.with_name("model"), "cpu")[0], test, declared.data)
        made.append(Answers.read(predicted, declared.data.label))
    rules = declared.promote
    gains = [gain(rules.metric, one, other) for one, other in itertools.permutations(made, 2)]
    judged = [(g is not None and g.value >= 0, verdict(g, rules.margin) == "accepted") for g in gains]
    return rules.metric, rules.margin, judged


def bundled(pool: ProcessPoolExecutor, trials: int) -> None:
    models = ("digits", "breast_cancer", "diabetes")
    print(
        f"\n## The bundled models, trained with {len(SEEDS)} seeds: each against each other one, equal candidates all\n"
    )
    header(["model", "metric", "margin", "plain comparison", "gate"])
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["git", "clone", "--quiet", str(ROOT), folder], check=True)
        for model in models:
            metric, margin, judged = pool.submit(trained, model, folder).result()
            line(model, metric, margin, *(percent(mean(rates)) for rates in zip(*judged, strict=True)))


# ------------------------------------------------------------------ printing

PARTS = {
    "planted": planted,
    "nights": nights,
    "auc": auc,
    "regression": regression,
    "slices": slices,
    "real": real,
    "bundled": bundled,
}


def header(names: list[str]) -> None:
    line(*names)
    line(*("---:" for _ in names))


def line(*cells: object) -> None:
    print("| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells) + " |", flush=True)


def percent(share: float, wrong: bool = False) -> str:
    return f"{100 * share:.1f}{' *' if wrong else ''}"


def asked() -> Iterator[tuple[str, int]]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[[], *PARTS])
    parser.add_argument("--trials", type=int, default=500)
    found = parser.parse_args()
    yield from ((name, found.trials) for name in found.parts or PARTS)


if __name__ == "__main__":
    print(f"{date.today()}, {platform.machine()}, Python {platform.python_version()}, seed {SEED}")
    with ProcessPoolExecutor(2, get_context("spawn")) as workers:
        for part, count in asked():
            start = time.monotonic()
            PARTS[part](workers, count)
            print(f"\n({part}: {time.monotonic() - start:.0f} s)")
