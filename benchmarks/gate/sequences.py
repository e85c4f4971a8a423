"""Many nights: does the gate stay open, and does the champion not slip?"""

from collections.abc import Callable
from functools import partial

import numpy as np

from gate.cells import Cells, Found, Random, header, line, percent, rate, title
from gate.chains import Gate, Model, Old, Window, count
from gate.models import ACCURACY, CHURN, candidate

RULES: dict[str, type[Gate] | type[Old]] = {"old gate": Old, "gate": Gate}
NIGHTS = (50, 200)
GROWTH = 0.01  # more test rows a night
WORSE = -0.003  # of a candidate that is built on the champion of its night


def growing(rows: int, growth: float) -> Callable[[int], Window]:
    """The test rows of each night."""
    return lambda night: (0, int(rows * (1 + growth) ** night))


def turning(rows: int, nights: int) -> Callable[[int], Window]:
    """A window of constant size that has only new rows after so many nights."""
    return lambda night: (int(rows * night / nights), int(rows * night / nights) + rows)


def _start(rule: str, margin: float, window: Callable[[int], Window], random: Random) -> tuple[Gate | Old, np.ndarray]:
    """A gate with its first champion, and what a model of its quality answers right before chance of a training."""
    base = random.random(window(NIGHTS[-1])[1]) < ACCURACY
    first = Model(_retrained(base, random), ACCURACY, window(0))
    return RULES[rule](margin, first, first), base


def _retrained(base: np.ndarray, random: Random) -> np.ndarray:
    """Another training, equal to the others and built on none of them."""
    return candidate(base, ACCURACY, 0.0, random, CHURN / 2)


def equal(rule: str, margin: float, window: Callable[[int], Window], random: Random) -> dict[str, float]:
    """Every night's candidate is equal to the champion: does it pass?"""
    judge, base = _start(rule, margin, window, random)
    found = {}
    for night in range(1, NIGHTS[-1] + 1):
        passed = judge.night(Model(_retrained(base, random), ACCURACY, window(night)))
        if night in NIGHTS:
            found[f"passes {night}"] = float(passed)
    return found


def slipping(rule: str, margin: float, window: Callable[[int], Window], random: Random) -> dict[str, float]:
    """Every night's candidate is built on the champion's answers and a little worse. How much is lost in the end?

    In the same sequence a candidate asks that is as good as the first champion, and built on nothing.
    """
    judge, base = _start(rule, margin, window, random)
    found = {}
    for night in range(1, NIGHTS[-1] + 1):
        champion = judge.champion
        right = candidate(champion.right, champion.accuracy, WORSE, random)
        judge.night(Model(right, champion.accuracy + WORSE, window(night)))
        if night in NIGHTS:
            lost = ACCURACY - judge.champion.accuracy
            found[f"lost {night}"] = lost
            found[f"slipped {night}"] = float(lost > margin + 1e-9)
            found[f"equal {night}"] = float(judge.judge(Model(_retrained(base, random), ACCURACY, window(night)))[0])
    return found


def _of(cells: Cells, kind: Callable[..., dict[str, float]], name: str, rule: str, margin: float,
        window: Callable[[int], Window]) -> Found:  # fmt: skip
    return cells.of(f"{name} {rule}", partial(kind, rule, margin, window), cells.trials // 2)


def growth(cells: Cells) -> None:
    title(f"1 % more test rows a night: an equal candidate passes ({cells.trials // 2} sequences)")
    header("rows at the start", "margin", "rule", *(f"night {night}" for night in NIGHTS))
    for rows, margin in ((1_000, 0.02), (360, 0.02)):
        for rule in RULES:
            found = _of(cells, equal, f"{rows} {margin}", rule, margin, growing(rows, GROWTH))
            line(rows, margin, rule, *(rate(found[f"passes {night}"]) for night in NIGHTS))


def windows(cells: Cells) -> None:
    title(f"1,000 test rows, which turn over: an equal candidate passes ({cells.trials // 2} sequences, margin 0.02)")
    header("nights until all rows are new", "rule", *(f"night {night}" for night in NIGHTS))
    for nights in (20, 50, 100):
        for rule in RULES:
            found = _of(cells, equal, str(nights), rule, 0.02, turning(1_000, nights))
            line(nights, rule, *(rate(found[f"passes {night}"]) for night in NIGHTS))


def nights(cells: Cells) -> None:
    title(f"Candidates that are built on the champion and 0.3 points worse ({cells.trials // 2} sequences)")
    header("rows", "margin", "new rows a night", "rule", "nights", "mean loss, points", "worst",
           "lost more than a margin", "an equal one passes")  # fmt: skip
    for more in (0.0, GROWTH):
        for rows, margin in ((1_000, 0.02), (360, 0.02), (3_000, 0.01), (10_000, 0.005)):
            for rule in RULES:
                found = _of(cells, slipping, f"{rows} {margin} {more}", rule, margin, growing(rows, more))
                for night in NIGHTS:
                    lost = [100 * value for value in found[f"lost {night}"]]
                    rates = [rate(found[f"{what} {night}"]) for what in ("slipped", "equal")]
                    line(
                        rows,
                        margin,
                        f"{100 * more:g} %",
                        rule,
                        night,
                        f"{np.mean(lost):.2f}",
                        f"{max(lost):.1f}",
                        *rates,
                    )


def poison(cells: Cells) -> None:
    title(f"Newer rows that are all labelled for the candidate ({cells.trials}, on the old rows a margin worse)")
    header("old rows", "margin", "newer rows, for each old one", "plain: promoted", "old gate", "gate",
           "gate: equal passes")  # fmt: skip
    for rows, margin in ((100, 0.05), (126, 0.05), (300, 0.05), (360, 0.02), (1_000, 0.02), (1_000, 0.01)):
        for times in (1, 3, 10):
            found = cells.of(f"{rows} {margin} {times}", partial(_poisoned, rows, margin, times))
            line(rows, margin, times, percent(found["plain"]), *(rate(found[name]) for name in (*RULES, "equal")))


def _poisoned(rows: int, margin: float, times: int, random: Random) -> dict[str, float]:
    everything = (0, rows * (1 + times))
    champion = Model(random.random(everything[1]) < ACCURACY, ACCURACY, (0, rows))
    worse = candidate(champion.right, ACCURACY, -margin, random)
    worse[rows:] = True
    poisoned = Model(worse, ACCURACY - margin, everything)
    same = Model(candidate(champion.right, ACCURACY, 0.0, random), ACCURACY, everything)
    whole = count(poisoned, champion, *everything)
    judged = {name: float(rule(margin, champion, champion).judge(poisoned)[0]) for name, rule in RULES.items()}
    passed = float(Gate(margin, champion, champion).judge(same)[0])
    return judged | {"plain": float(whole.won >= whole.lost), "equal": passed}
