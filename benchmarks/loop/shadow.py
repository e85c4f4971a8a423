"""Shadow and rollback: two versions answer the same rows, and are looked at again and again by flows/rollout.

The candidate of a shadow passes as soon as it is shown not to be worse by more than the margin; a champion goes back as
soon as it is shown to be worse by more than that. Where the truth is the margin itself, each of both is an error.
"""

from functools import partial

import numpy as np
from gate.cells import Cells, Random, header, line, rate, title

from flows.rollout.difference import difference
from flows.rollout.pairs import Pairs
from pipelines.model.metrics import Answers

MARGIN, CHURN, WRONG = 0.02, 0.02, 0.1
SIZES = (0.02, 0.0, -0.02, -0.04)  # by how much the one in question is truly better
LOOKS = tuple(int(rows) for rows in np.geomspace(100, 6000, 12))
ASKED = {"every label comes": (1.0, 1.0), "labels are asked for": (0.5, 0.05)}  # rows that differ, rows that do not
NEVER = 100_000.0


def shadow(cells: Cells) -> None:
    """Accuracy, with a margin of 0.02, until 6,000 rows."""
    title(f"A version beside another one, margin {MARGIN}, {len(LOOKS)} looks until {LOOKS[-1]:,} rows")
    header("labels", "truly better by", "passes", "median rows", "shown worse (goes back)", "median rows")
    for name in ASKED:
        for size in SIZES:
            found = cells.of(f"{name} {size}", partial(_watched, name, size), cells.trials)
            passed, worse = np.array(found["passed"]), np.array(found["worse"])
            shares = [rate((days < NEVER).tolist()) for days in (passed, worse)]
            line(name, f"{size:+.2f}", shares[0], _middle(passed), shares[1], _middle(worse))


def _middle(rows: np.ndarray) -> str:
    middle = float(np.quantile(rows, 0.5, method="higher"))
    return "more" if middle >= NEVER else f"{middle:,.0f}"


def _watched(name: str, size: float, random: Random) -> dict[str, float]:
    """The rows after which it is shown."""
    every, found = _pairs(name, size, random), {"passed": NEVER, "worse": NEVER}
    for rows in LOOKS:
        gain = difference("accuracy", every.take(np.arange(rows)), MARGIN, None)
        if gain is None:
            continue
        if gain.not_worse(MARGIN):
            found["passed"] = min(found["passed"], rows)
        if gain.shown_worse(MARGIN):
            found["worse"] = min(found["worse"], rows)
    return found


def _pairs(name: str, size: float, random: Random) -> Pairs:
    rows = LOOKS[-1]
    won, lost = CHURN + max(size, 0.0), CHURN + max(-size, 0.0)
    kinds = random.choice(4, rows, p=[won, lost, WRONG, 1 - won - lost - WRONG])  # one alone right, other alone, none
    one, other = np.isin(kinds, (0, 3)) * 1, np.isin(kinds, (1, 3)) * 1
    ids = np.array([f"{random.integers(2**62):x}" for _ in range(rows)])
    asked = np.where(one != other, *ASKED[name])
    known = random.random(rows) < asked
    actual = np.ones(rows, int)
    both = (Answers(ids, actual, predicted, None, [0, 1]) for predicted in (one, other))
    return Pairs(*both, known, np.where(asked < 1, asked, np.nan), np.arange(rows))
