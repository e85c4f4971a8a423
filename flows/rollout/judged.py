"""Judged: what the live rows say of the version beside the champion. It changes nothing.

Not worse than the margin is shown: the candidate passes, as at the gate (flows/promotion/gate.py). Worse is shown: it
fails. Else it is undecided, and how many more labels would decide is an estimate from the interval as it is now.
"""

import math
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from flows.promotion import gate
from flows.promotion.gate import Look
from flows.promotion.statistics.gain import Gain
from flows.records.beside import BEFORE, Beside
from flows.rollout import canary, pairs
from flows.rollout.difference import difference
from pipelines.model_file import Declaration

LIVE = "live rows"
MOST = 10**9  # more rows than that are no answer


@dataclass(frozen=True)
class Judged:
    """passed: of the version in question: the candidate, or the champion if the one before answers beside it. None: not
    decided. answered: rows that both answered, or that the canary answered with a label; labelled: those with a label.
    missing: about how many more labels would decide; None: nobody knows."""

    passed: bool | None
    said: str
    answered: int
    labelled: int
    missing: int | None = None
    found: Gain | None = None

    def look(self) -> dict[str, Any]:
        """As a check of the gate, for the ledger."""
        told = {name: getattr(self.found, end) for name, end in (("gain", "value"), ("low", "low"), ("high", "high"))}
        about = told if self.found else dict.fromkeys(told)
        return Look(LIVE, self.passed, self.said, self.labelled, **about).row()

    def content(self) -> dict[str, Any]:
        """As JSON."""
        kept = {name: value for name, value in asdict(self).items() if name not in ("found", "passed")}
        ends = ("value", "low", "high")
        return kept | {name: getattr(self.found, name) if self.found else None for name in ends}


def unseen(state: Path, declared: Declaration, champion: int, beside: Beside, now: datetime) -> Judged:
    """By rows that both answered: of a shadow whether it passes, of the champion before whether the champion does."""
    since = datetime.fromisoformat(beside.since)
    found = pairs.read(state, declared, champion, beside.version, since, now)
    if found is None:
        return Judged(None, f"version {beside.version} has answered no row beside the champion yet", 0, 0)
    rules, back = declared.promote, beside.role == BEFORE
    pair = found.turned() if back else found
    gain = difference(rules.metric, pair, rules.margin, rules.worst)
    labelled = int(pair.known.sum())
    if not back:
        return _of_candidate(declared, champion, gain, found.rows, labelled)
    against = f"version {beside.version}, the champion before"
    if gain is None:
        return Judged(None, "too few labelled rows to judge it by", found.rows, labelled)
    if gain.shown_worse(rules.margin):
        told = gate.veto(LIVE, against, rules.metric, rules.margin, gain, labelled).said
        return Judged(False, told, found.rows, labelled, None, gain)
    look = gate.no_worse(LIVE, against, rules.metric, rules.margin, gain)
    passed = True if look.passed else None
    said = look.said if passed else f"not shown to be worse by more than the margin: {look.said}"
    return Judged(passed, said, found.rows, labelled, _missing(gain, rules.margin, labelled), gain)


def by_callers(state: Path, declared: Declaration, champion: int, beside: Beside, now: datetime) -> Judged:
    """By labelled rows of the callers of a canary, beside those of all others."""
    wanted = declared.serve.canary
    if wanted is None:
        return Judged(None, "the YAML has no canary any more", 0, 0)
    since = datetime.fromisoformat(beside.since)
    found = canary.read(state, declared, (beside.version, champion), wanted, since, now)
    if found is None:
        return Judged(None, f"version {beside.version} has no labelled row of a caller yet", 0, 0)
    gain = canary.difference(declared.promote.metric, found)
    judged = _of_candidate(declared, champion, gain, found.labelled, found.labelled)
    if not found.unnamed:
        return judged
    told = "the log does not have their key, so rows were taken for callers"
    return Judged(**(vars(judged) | {"said": f"{judged.said}; {told}"}))


def _of_candidate(declared: Declaration, champion: int, gain: Gain | None, answered: int, labelled: int) -> Judged:
    rules = declared.promote
    against = f"the champion (version {champion})"
    look = gate.no_worse(LIVE, against, rules.metric, rules.margin, gain, better=rules.require == "better")
    if gain is None:
        return Judged(None, "too few labelled rows to judge it by", answered, labelled)
    goal = 0.0 if rules.require == "better" else rules.margin
    missing = None if look.passed is not None else _missing(gain, goal, labelled)
    return Judged(look.passed, look.said, answered, labelled, missing, gain)


def _missing(found: Gain, margin: float, labelled: int) -> int | None:
    """About how many more labels would decide, if the gain stayed as it is: an interval narrows with their root."""
    if not labelled:
        return None
    towards = found.value + margin
    half, wanted = (found.value - found.low, towards) if towards > 0 else (found.high - found.value, -found.value)
    if wanted <= 0 or half <= 0:
        return None
    more = labelled * (max(1.0, half / wanted) ** 2 - 1)
    return _rounded(more) if 0 < more < MOST else None


def _rounded(rows: float) -> int:
    """Up, to two figures: it is an estimate."""
    step = 10 ** max(0, math.floor(math.log10(max(rows, 1))) - 1)
    return math.ceil(rows / step) * step
