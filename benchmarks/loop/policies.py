"""Policies: when to retrain? A champion of a small world, one tick a day, labels a week late, and the gate of flows/.

never; every night; when a column is at p < 0.05, or its stability index above 0.1 (the usual thresholds); when live
quality is shown to be worse (`schedule: on: {quality: worse}`); and that or drift by our rule (`drift: alarm`).
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from statistics import mean

import numpy as np
from gate.cells import Cells, Found, Random, header, line, rate, title
from gate.chains import Gate

from flows.monitoring.live import means, promise
from flows.monitoring.live.promise import Promise
from flows.monitoring.live.scored import Scored
from loop.moved import apart
from loop.streams import declared
from loop.world import AFTER, KINDS, LATE, ROWS, STEADY, Trained, World, made, trained
from pipelines.model.metrics import Answers

MARGIN, LOOKS = 0.02, 365
TICKS = 3  # after the delay
NEVER = 10_000.0
WATT_HOURS = 0.5  # of one training: supposed, for the sum


@dataclass
class Loop:
    """What stands at a tick. since: the first day that the champion answered; differed: columns of the day before."""

    world: World
    champion: Trained
    gate: Gate
    promise: Promise
    since: int = 0
    trainings: int = 0
    differed: np.ndarray | bool = False
    champions: list[int] = field(default_factory=list)  # the days of promotions

    def worse(self, day: int) -> bool:
        """The labelled rows that it answered are shown to be worse than was promised."""
        end = day - LATE + 1
        if end <= self.since:
            return False
        span = self.world.span(self.since, end)
        days = np.repeat(np.arange(self.since, end), ROWS)
        answers = _answers(self.world.labels[span], self.champion.answers[span])
        scored = Scored(answers, days, np.zeros(len(days)), np.zeros(len(days), bool))
        found = means.by_day("accuracy", scored, None).from_each_on()
        return means.harm("accuracy", found, self.promise, self.since, LOOKS)[0] is not None

    def retrain(self, day: int) -> None:
        candidate = trained(self.world, day)
        self.trainings += 1
        if self.gate.night(candidate.gated):
            self.champion, self.since = candidate, day + 1
            self.promise = promised(candidate, judged=len(self.gate.standing.uses) - 1)
            self.champions.append(day)


def _answers(actual: np.ndarray, predicted: np.ndarray) -> Answers:
    return Answers(np.arange(len(actual)), actual, predicted, None, [0, 1])


def promised(model: Trained, judged: int) -> Promise:
    right = model.gated.right[slice(*model.gated.window)]
    found = promise.of(declared("accuracy", MARGIN), _answers(np.ones(len(right), int), right * 1), judged)
    assert found is not None
    return found


def _threshold(rule: str, loop: Loop, day: int) -> bool:
    found = apart(loop.world, loop.champion, day)
    return bool((found.p < 0.05).any() if rule == "p" else (found.psi > 0.1).any())


def _drifted(loop: Loop, day: int) -> bool:
    today = loop.world.rows[loop.world.span(day, day + 1)]
    broken = (today == today[0]).all(axis=0)  # named as such, and no reason to learn it
    differs = apart(loop.world, loop.champion, day).differs & ~broken
    both = differs & loop.differed
    loop.differed = differs
    return bool(both.any())


def _either(loop: Loop, day: int) -> bool:
    drifted = _drifted(loop, day)
    return loop.worse(day) or drifted


POLICIES: dict[str, Callable[[Loop, int], bool]] = {
    "never": lambda loop, day: False,
    "every night": lambda loop, day: True,
    "p < 0.05": partial(_threshold, "p"),
    "PSI > 0.1": partial(_threshold, "psi"),
    "quality: worse": Loop.worse,
    "quality: worse, drift: alarm": _either,
}


def policies(cells: Cells) -> None:
    """Three kinds of change, and none."""
    for kind in KINDS:
        title(f"{kind}: a change on day {STEADY}, looked at until day {STEADY + AFTER}; labels {LATE} days late")
        header(
            *("policy", f"new champion within {LATE + TICKS} days", "median days", "trainings before", "after"),
            *("watt-hours", "accuracy before", "in the first 10 days", "days 20 to 50"),
        )
        for policy in POLICIES:
            _line(
                policy, cells.of(f"{kind} {policy}", partial(_lived, kind, policy), _trials(kind, policy, cells.trials))
            )


def _trials(kind: str, policy: str, trials: int) -> int:
    """The question is whether our policies answer a changed relation; the others are there to compare with."""
    return trials // 2 if kind == "relation" and policy.startswith("quality") else trials // 8


def _line(policy: str, found: Found) -> None:
    days = np.array(found["days"])
    middle = float(np.median(days))
    trainings = [mean(found[name]) for name in ("trainings before", "trainings after")]
    accuracies = [f"{mean(found[name]):.3f}" for name in ("before", "soon", "late")]
    line(
        *(policy, rate((days <= LATE + TICKS).tolist()), "later" if middle >= NEVER else f"{middle:.0f}"),
        *(f"{number:.1f}" for number in trainings),
        *(f"{WATT_HOURS * sum(trainings):.1f}", *accuracies),
    )


def _lived(kind: str, policy: str, random: Random) -> dict[str, float]:
    world = made(kind, random)
    first = trained(world, -1)
    loop = Loop(world, first, Gate(MARGIN, first.gated, first.gated), promised(first, 0))
    right, before = [], 0
    for day in range(STEADY + AFTER):
        span = world.span(day, day + 1)
        right.append(float((loop.champion.answers[span] == world.labels[span]).mean()))
        before = loop.trainings if day < STEADY else before
        if POLICIES[policy](loop, day):
            loop.retrain(day)
    after = [day - STEADY + 1 for day in loop.champions if day >= STEADY]
    return {
        "days": min(after, default=NEVER),
        "trainings before": before,
        "trainings after": loop.trainings - before,
        "before": mean(right[:STEADY]),
        "soon": mean(right[STEADY : STEADY + 10]),
        "late": mean(right[STEADY + 20 :]),
    }
