"""A champion, night after night: the gate and the old gate judge candidates, and remember what they judged.

Right and wrong answers to independent rows. The test rows of a night are a window [first, end) of all rows that there
will ever be. This does what flows/promotion/comparison.py does, with its looks, its gain and its budget, and without
the tables of predictions, which would take a hundred times as long.
"""

import math
from dataclasses import dataclass, field
from functools import cache, lru_cache
from hashlib import sha256
from statistics import NormalDist

import numpy as np

from flows.promotion import gate
from flows.promotion.statistics import budget
from flows.promotion.statistics.budget import Budget, spent
from flows.promotion.statistics.gain import Gain, gain
from flows.promotion.statistics.resampling import ALPHA
from flows.records import champion_state
from flows.records.champion_state import Standing, Use
from gate.models import labels
from gate.rules import passes
from pipelines.table import row_sample
from pipelines.table.row_sample import RowSample

Window = tuple[int, int]
POWER = 1.43  # half intervals in a margin, from which on the old gate let newer rows decide for themselves


class Sample(RowSample):
    """The same for all sequences of a cell, so that what two of them share is computed once."""

    __eq__ = object.__eq__
    __hash__ = object.__hash__
    share_in = cache(RowSample.share_in)


@cache
def sample(window: Window) -> Sample:
    found = row_sample.of(_row_id(number) for number in range(*window))
    return Sample(found.rows, found.ids)


@cache
def _row_id(number: int) -> str:
    return sha256(str(number).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Model:
    """right: of all rows [rows, bool]; accuracy: the true one; window: its own test rows."""

    right: np.ndarray
    accuracy: float
    window: Window


@dataclass(frozen=True)
class Count:
    """How many of some rows one model alone answers right, and how many the other one alone."""

    rows: int
    won: int
    lost: int

    @property
    def value(self) -> float:
        return (self.won - self.lost) / self.rows

    def at(self, alpha: float) -> Gain | None:
        return _gain(self.rows, self.won, self.lost, alpha)

    def hopeless(self, margin: float, alpha: float) -> bool:
        """It is so far below the margin that no interval at this level can clear it: most candidates of a long row."""
        error = math.sqrt(max(0.0, (self.won + self.lost) / self.rows - self.value**2) / self.rows)
        wide = -NormalDist().inv_cdf(alpha) if alpha > 0 else math.inf
        return error > 0 and self.value - wide * error <= -margin


@lru_cache(maxsize=100_000)
def _gain(rows: int, won: int, lost: int, alpha: float) -> Gain | None:
    """The gate's gain of right and wrong answers, which depends on these numbers alone."""
    one, other = np.ones(rows, bool), np.ones(rows, bool)
    one[:lost], other[lost : lost + won] = False, False
    return gain("accuracy", labels(one), labels(other), alpha)


def count(one: Model, other: Model, first: int, end: int) -> Count:
    mine, theirs = one.right[first:end], other.right[first:end]
    won, lost = np.count_nonzero(mine & ~theirs), np.count_nonzero(theirs & ~mine)
    return Count(max(0, end - first), int(won), int(lost))


def parts(made: Model, rival: Model) -> tuple[Count, list[Count]]:
    """The rival's own rows that are still there, and the other ones: older and newer than those."""
    first, end = made.window
    low, high = max(first, min(rival.window[0], end)), max(first, min(rival.window[1], end))
    return count(made, rival, low, high), [count(made, rival, first, low), count(made, rival, high, end)]


@dataclass
class Gate:
    """The gate as it is."""

    margin: float
    champion: Model
    reference: Model
    standing: Standing = field(default_factory=lambda: Standing(seats=[champion_state.Seat(0, 0)]))

    def judge(self, made: Model) -> tuple[bool, bool]:
        """Whether it is accepted, and whether as better."""
        used = budget.of(self.standing, sample(made.window))
        accepted, better, step = self.against(made, self.champion, used, None)
        if accepted and self.reference is not self.champion:
            accepted, also, _ = self.against(made, self.reference, used, step)
            better = better and also
        return accepted, accepted and better

    def against(self, made: Model, rival: Model, used: Budget, step: float | None) -> tuple[bool, bool, float]:
        counted, alpha = count(made, rival, *made.window), used.alpha
        if counted.hopeless(self.margin, alpha):
            return False, False, 0.0
        whole = counted.at(alpha)
        if step is not None and whole is not None:
            alpha = used.alpha_reference(whole.error, step)
            if counted.hopeless(self.margin, alpha):
                return False, False, 0.0
            whole = counted.at(alpha)
        if whole is None or not passes(whole, self.margin, used, alpha):
            return False, False, 0.0
        sure = counted.at(min(alpha, used.alpha_better)) if whole.better else None
        better = sure is not None and sure.better
        own, others = parts(made, rival)
        newer = Count(*(sum(getattr(one, name) for one in others) for name in ("rows", "won", "lost")))
        return not (own.rows and newer.rows) or self._agree(own, newer), better, whole.error

    def _agree(self, own: Count, newer: Count) -> bool:
        if own.value >= newer.value >= -self.margin:  # nothing to object to, however wide the intervals are
            return True
        older, later = own.at(ALPHA), newer.at(ALPHA)
        looks = [gate.veto("rows", "it", "accuracy", self.margin, found, 0) for found in (older, later)]
        looks.append(gate.agree("it", "accuracy", self.margin, older, later))
        return all(look.passed for look in looks)

    def night(self, made: Model) -> bool:
        accepted, better = self.judge(made)
        number = len(self.standing.uses) + 1
        self.standing.uses.append(Use(number, sample(made.window), accepted))
        if accepted:
            self.champion, self.standing.promoted_at = made, number
        if better:
            self.reference, self.standing.began[number] = made, number
        if accepted:
            reference = number if better else self.standing.reference or 0
            self.standing.seats.append(champion_state.Seat(number, reference))
        return accepted


@dataclass
class Old:
    """The old gate: the rival's own rows decide, newer ones can only say no. A reference has one budget for ever."""

    margin: float
    champion: Model
    reference: Model
    compared: int = 0

    def judge(self, made: Model) -> tuple[bool, bool]:
        looks = [self.against(made, self.champion)]
        if looks[0][0] and self.reference is not self.champion:
            looks.append(self.against(made, self.reference))
        accepted = all(passed for passed, _ in looks)
        return accepted, accepted and all(better for _, better in looks)

    def against(self, made: Model, rival: Model) -> tuple[bool, bool]:
        alpha = spent(self.compared)
        own, others = parts(made, rival)
        if own.rows < 2 or own.hopeless(self.margin, alpha):
            return False, False
        found = own.at(alpha)
        if found is None or not found.not_worse(self.margin):
            return False, False
        newer = others[1].at(alpha) if others[1].rows else None
        half = newer.high - newer.value if newer else 0.0
        vetoed = newer and not newer.not_worse(self.margin) and (newer.worse or half * POWER <= self.margin)
        return not vetoed, found.better

    def night(self, made: Model) -> bool:
        accepted, better = self.judge(made)
        self.compared = 0 if better else self.compared + 1
        self.champion = made if accepted else self.champion
        self.reference = made if better else self.reference
        return accepted
