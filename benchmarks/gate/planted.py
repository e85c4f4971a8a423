"""Candidates of planted quality on independent rows: labels, areas, numbers, slices."""

from collections.abc import Callable
from functools import partial

from flows.promotion import gate
from flows.promotion.statistics.gain import gain
from gate.cells import Cells, Random, header, line, percent, rate, title
from gate.models import ACCURACY, areas, candidate, heavy, labels
from gate.rules import passes, plain
from pipelines.model.metrics import Answers

Make = Callable[[int, float, Random], tuple[Answers, Answers]]
ROWS = (100, 360, 1_000, 3_000, 10_000)
MARGINS = (0.005, 0.01, 0.02, 0.05)
WORSE = (0.005, 0.006, 0.01, 0.011, 0.02, 0.021, 0.05, 0.051)  # on the very margins, and just beyond
SIZES = (*(-size for size in reversed(WORSE)), 0.0, 0.005, 0.01, 0.02, 0.05)  # gain of the candidate


def planted(cells: Cells) -> None:
    found = {}
    for rows in ROWS:
        for size in SIZES:
            found[rows, size] = cells.of(f"{rows} {size}", partial(_labels, rows, size))
    title(f"Planted: promoted of {cells.trials} candidates, by margin (* : a false promotion)")
    header("rows", "true gain", "plain comparison", *(f"gate, margin {margin}" for margin in MARGINS))
    for (rows, size), rates in found.items():
        marks = ["*" if -size >= margin else "" for margin in (0.001, *MARGINS)]
        line(rows, f"{size:+.3f}", *(f"{percent(rates[name])} {mark}" for name, mark in zip(rates, marks, strict=True)))
    title("The worst false promotion at any planted size, and how often an equal candidate passes")
    header("rows", "plain: worse by 0.5 points", *(f"margin {margin}: false, equal" for margin in MARGINS))
    for rows in ROWS:
        shown = []
        for margin in map(str, MARGINS):
            worst = max((found[rows, size][margin] for size in SIZES if -size >= float(margin)), key=sum)
            shown.append(f"{rate(worst)}, {percent(found[rows, 0.0][margin])}")
        line(rows, percent(found[rows, -0.005]["plain"]), *shown)


def _labels(rows: int, size: float, random: Random) -> dict[str, float]:
    right = random.random(rows) < ACCURACY
    judged = gain("accuracy", labels(candidate(right, ACCURACY, size, random)), labels(right))
    verdicts: dict[str, float] = {str(margin): passes(judged, margin) for margin in MARGINS}
    return {"plain": plain(judged)} | verdicts


def _of_metric(cells: Cells, trials: int, name: str, make: Make, cases: list[tuple[int, float]]) -> None:
    title(f"{name}: promoted of {trials} candidates")
    header("rows", "margin", "true gain, in margins", "plain comparison", "gate")
    for rows, margin in cases:
        for size in (-2.0, -1.1, 0.0):
            once = partial(_metric, name, make, rows, size * margin, margin)
            found = cells.of(f"{rows} {margin} {size}", once, trials)
            line(rows, margin, size, percent(found["plain"]), rate(found["gate"]))


def _metric(name: str, make: Make, rows: int, size: float, margin: float, random: Random) -> dict[str, float]:
    judged = gain(name, *make(rows, size, random))
    return {"plain": plain(judged), "gate": passes(judged, margin)}


def auc(cells: Cells) -> None:
    def make(rows: int, size: float, random: Random) -> tuple[Answers, Answers]:
        return areas(rows, size, 1 / 3, random)

    _of_metric(cells, cells.trials * 2 // 5, "roc_auc", make, [(126, 0.05)])


def regression(cells: Cells) -> None:
    _of_metric(cells, cells.trials, "mean_absolute_error", heavy, [(88, 0.1), (1_000, 0.05), (10_000, 0.02)])


def slices(cells: Cells) -> None:
    title(f"As good in all, worse in a slice of 15 % of the rows; margin 0.05, {cells.trials} candidates")
    header("rows", "loss in the slice", "plain comparison", "gate without the slice", "gate with it")
    for rows in (1_000, 3_000, 10_000):
        for size in (0.06, 0.05, 0.0):
            found = cells.of(f"{rows} {size}", partial(_slice, rows, 0.15, size, 0.05))
            line(rows, size, *map(rate, found.values()))


def _slice(rows: int, share: float, size: float, margin: float, random: Random) -> dict[str, float]:
    """A candidate that loses `size` in a slice, and wins as much elsewhere."""
    inside = random.random(rows) < share
    right = random.random(rows) < ACCURACY
    made = right.copy()
    made[inside] = candidate(right[inside], ACCURACY, -size, random)
    made[~inside] = candidate(right[~inside], ACCURACY, size * share / (1 - share), random)
    whole = gain("accuracy", labels(made), labels(right))
    part = gate.no_worse("s", "it", "accuracy", margin, gain("accuracy", labels(made[inside]), labels(right[inside])))
    promoted = passes(whole, margin)
    return {"plain": plain(whole), "without": promoted, "with": promoted and part.passed is True}
