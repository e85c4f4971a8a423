"""The difference of two versions on rows that both have answered, at every look, with as few labels as it takes.

For a metric that is a mean over rows, two answers bound what the label of a row can say: `gap`. Two equal classes cost
the same whatever is right; two numbers cost different absolute errors by at most their distance; two lists of
probabilities differ in log loss by at most the largest difference of their logarithms. So rows fall into two parts, by
the answers alone: those with a small gap, and those that differ. The difference is

    share that differs * mean of those + share that does not * mean of those

The shares need no label, so every answered row counts. Each mean needs labels of some rows of its part, those that came
and those that somebody asked for: within a part all were asked for with one probability (of several the smallest
counts, and the labels are thinned to it), so they are a fair sample of their part, even if some were never given. What
must hold: whether a label comes does not depend on what it says, given the part (`labels: depend_on_answer` says it
does). Each of the three bounds is a confidence sequence (flows/promotion/statistics/confidence_sequence.py) and the
chances of error add up to ERROR, so the whole holds at every look. Of rows with a small gap the gap itself is a bound.

A metric that is no mean over rows is computed by the gate's own rule at looks that are set beforehand (looks.py).
"""

import hashlib
import math

import numpy as np

from flows.promotion.statistics.confidence_sequence import interval
from flows.promotion.statistics.gain import Gain
from flows.rollout import looks
from flows.rollout.pairs import Pairs
from pipelines.model.metric import CLASSIFY
from pipelines.model.metrics import METRICS, Answers

ERROR = 0.05  # that a bound is ever wrong: the chance of a false promotion, and of a false rollback
# of it: each end of the share, then each mean; 2 * 0.1 + 0.6 + 0.2 = 1
OF_SHARE, OF_DIFFERENT, OF_ALIKE = 0.1, 0.6, 0.2
SMALL = 0.5  # margins: the largest gap of rows that count as alike
LEAST = 1e-12  # the smallest range of scores


def difference(metric: str, pairs: Pairs, margin: float, worst: float | None) -> Gain | None:
    """How much better `one` is, in the metric's unit, with an interval that holds at every look; None without a value.

    worst: the largest loss of a row that counts, if it is declared. `rows` of the result: those with a label.
    """
    found = gap(metric, pairs, worst)
    if found is None:
        return looks.at_looks(metric, pairs, worst)
    differ = apart(found, margin)
    share = float(differ.mean())
    bounds = interval(differ.astype(float), 0.0, 1.0, OF_SHARE * ERROR)
    scores, parts = gains(metric, pairs, worst), []
    labelled = ~np.isnan(scores)
    for part, error in ((differ, OF_DIFFERENT), (~differ, OF_ALIKE)):
        chosen = evenly(pairs, labelled & part)
        most = _range(found[part], margin, bool(error == OF_ALIKE))
        parts.append(_mean(scores[chosen], pairs.taken[chosen], most, error * ERROR))
    unlike, alike = parts
    known = float(found[~differ].mean()) if (~differ).any() else 0.0
    alike = (alike[0], max(alike[1], -known), min(alike[2], known))
    low = min(_mix(end, unlike[1], alike[1]) for end in bounds)
    high = max(_mix(end, unlike[2], alike[2]) for end in bounds)
    return Gain(int(labelled.sum()), _mix(share, unlike[0], alike[0]), low, high, effective=float(labelled.sum()))


def _mix(share: float, unlike: float, alike: float) -> float:
    return share * unlike + (1 - share) * alike


def gains(metric: str, pairs: Pairs, worst: float | None) -> np.ndarray:
    """How much less `one` has lost on each row [rows], as far as a loss counts. NaN without a label."""
    mine, theirs = (np.asarray(part.losses(metric), float) for part in (pairs.one, pairs.other))
    if worst is not None and METRICS[metric].unbounded:
        mine, theirs = np.minimum(mine, worst), np.minimum(theirs, worst)
    return np.where(pairs.known, theirs - mine, np.nan)


def gap(metric: str, pairs: Pairs, worst: float | None = None) -> np.ndarray | None:
    """What the gain of each row is at most, whatever is right [rows]; None for a metric that is no mean over rows."""
    one, other = pairs.one, pairs.other
    if METRICS[metric].loss is None:
        return None
    if METRICS[metric].task != CLASSIFY:
        found = np.abs(one.predicted - other.predicted).astype(float)
    elif METRICS[metric].unbounded:
        costs = [np.column_stack([_if_right(metric, part, name) for name in part.classes]) for part in (one, other)]
        costs = [np.minimum(cost, worst) for cost in costs] if worst is not None else costs
        return np.asarray(np.abs(costs[0] - costs[1]).max(axis=1))
    else:
        found = (one.predicted != other.predicted).astype(float)
    return np.minimum(found, worst) if worst is not None and METRICS[metric].unbounded else found


def _if_right(metric: str, answers: Answers, name: object) -> np.ndarray:
    """The loss of each row if this class were right [rows]."""
    actual = np.full(len(answers.row_ids), name, dtype=answers.predicted.dtype)
    losses = Answers(answers.row_ids, actual, answers.predicted, answers.probabilities, answers.classes).losses(metric)
    return np.asarray(losses, float)


def apart(found: np.ndarray, margin: float) -> np.ndarray:
    """Which rows differ [rows, bool]. found: their gaps."""
    return np.asarray(found > SMALL * margin)


def evenly(pairs: Pairs, rows: np.ndarray) -> np.ndarray:
    """Positions of some rows, thinned so that all labels that were asked for were with the same probability, in the
    order in which their labels came. rows: a mask."""
    asked = pairs.asked[rows]
    least = np.nanmin(asked) if rows.any() and not np.isnan(asked).all() else 1.0
    kept = np.flatnonzero(rows)
    kept = kept[np.isnan(asked) | (lots(pairs.one.row_ids[kept]) < least)]
    return kept[np.argsort(pairs.taken[kept], kind="stable")]


def lots(ids: np.ndarray) -> np.ndarray:
    """A number from 0 to 1 for each id, the same for ever [rows]: a row is asked for if it is below a probability."""
    digests = (hashlib.sha256(f"label {one}".encode()).digest()[:8] for one in ids)
    return np.array([int.from_bytes(one, "little") / 2**64 for one in digests], float)


def _range(found: np.ndarray, margin: float, alike: bool) -> float:
    """The bound of the gains of a part. A larger gap that comes later widens it by twice, so it changes seldom."""
    if alike:
        return max(SMALL * margin, LEAST)
    most = float(found.max(initial=0.0))
    return 2.0 ** math.ceil(math.log2(most)) if most > LEAST else LEAST


def _mean(scores: np.ndarray, taken: np.ndarray, most: float, alpha: float) -> tuple[float, float, float]:
    """The mean of some gains, with its ends. Without any it may be anything."""
    if not len(scores):
        return 0.0, -most, most
    low, high = interval(np.clip(scores, -most, most), -most, most, alpha)
    return float(scores.mean()), low, high
