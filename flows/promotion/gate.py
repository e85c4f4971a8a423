"""The gate: the checks that a candidate must pass before it becomes champion.

A check (`Look`) passes, fails, or has not enough evidence. One failure rejects the candidate. Else a check without
enough evidence leaves it undecided, and the champion stays. Every check is a function of numbers, which
flows/promotion/evidence.py gathers.
"""

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from flows.project.plain_words import many
from flows.promotion.statistics import power
from flows.promotion.statistics.budget import Budget
from flows.promotion.statistics.gain import Gain
from flows.promotion.statistics.resampling import ALPHA, largest_share
from flows.report import digits
from pipelines.model.metrics import METRICS
from pipelines.sections.promote import Promote


@dataclass(frozen=True)
class Look:
    """One check. passed: None without enough evidence; gain and interval in the metric's unit."""

    what: str
    passed: bool | None
    said: str
    rows: int | None = None
    gain: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def verdict(self) -> str:
        return {True: "pass", False: "fail", None: "not enough evidence"}[self.passed]

    def row(self) -> dict[str, Any]:
        """As a line of a table, and of decision.json."""
        return {key: value for key, value in asdict(self).items() if key != "passed"} | {"verdict": self.verdict}


def decide(looks: list[Look]) -> tuple[str, str]:
    """accepted, rejected or undecided, and the reason in one sentence. looks: the deciding one last."""
    failed = [look for look in looks if look.passed is False]
    unsure = [look for look in looks if look.passed is None]
    decision = "rejected" if failed else "undecided" if unsure else "accepted"
    return decision, (failed or unsure or looks[-1:])[0].said


def floor(rules: Promote, value: float) -> Look:
    """The metric on the candidate's own test rows meets the bound in the YAML."""
    sign = 1 if METRICS[rules.metric].greater_is_better else -1
    bound, word = (rules.at_least, "at least") if sign > 0 else (rules.at_most, "at most")
    if bound is None or sign * (value - bound) >= 0:
        return Look("floor", True, f"{rules.metric} is {value:.4g}, and {word} {bound:g} is met")
    return Look("floor", False, f"{rules.metric} is {value:.4g}, but {word} {bound:g} is required")


TRIVIAL = "a trivial baseline (the best answer that does not look at the row)"
NAIVE = "the naive forecast"


def baseline(metric: str, found: Gain | None, name: str = TRIVIAL) -> Look:
    """The candidate is better than always answering the majority class, its share, or the mean; for a sequence, than
    its forecast without a model (`data: baseline:`)."""
    if found is None:
        return Look("baseline", None, f"{metric} cannot be compared with {name} on these test rows")
    numbers = _numbers(found)
    if found.better:
        return Look("baseline", True, f"better than {name}: {_told(found)}", **numbers)
    if found.high <= 0:
        return Look("baseline", False, f"{metric} is not better than {name}: {_told(found)}", **numbers)
    said = (
        f"not shown to be better than {name}: {_told(found)}; about {found.rows_to_decide():,} test rows would decide"
    )
    return Look("baseline", None, said, **numbers)


TELLING = ("champion", "reference", "parent")  # parent: of a smaller form (flows/compression)
BY_HAND = "`ratchet promote` decides"
APART = 1.645  # standard errors: equal rows are taken for different ones 5 times of 100
CHANGED = 0.01  # of the labels, at most, on another kind of device: rows whose classes are as good as tied


def golden(found: dict[str, Any], tolerance: float, across: str = "") -> Look:
    """The registered artifact, loaded anew, predicts the evaluated values; across: the two devices, if not one."""
    if reason := found.get("failed"):
        return Look("golden rows", False, f"the registered model does not predict its golden rows: {reason}")
    allowed = CHANGED * found["rows"] if across else 0
    if found["same_rows"] and found["changed"] <= allowed and found["largest"] <= tolerance:
        near = f"within {found['largest']:.1g}" if found["largest"] else "bit for bit"
        near += f" ({across}: {tolerance:g} is allowed)" if across else ""
        said = f"the registered model predicts its golden rows as evaluated, {near}"
        return Look("golden rows", True, said, rows=found["rows"])
    said = (
        f"the registered model's predictions for its golden rows differ from its evaluation: {found['changed']} labels "
        f"changed, and the largest difference is {found['largest']:.2g} (at most {tolerance:g})"
    )
    return Look("golden rows", False, said, rows=found["rows"])


def size(largest_mb: float, mb: float) -> Look:
    word = "within" if mb <= largest_mb else "more than"
    return Look("size", mb <= largest_mb, f"the model has {mb:.3g} MB, {word} the {largest_mb:g} MB of largest_mb")


def latency(slowdown: float, ratios: dict[str, float]) -> Look:
    """ratios: of single and batch calls, the candidate's time over the champion's."""
    kind, ratio = max(ratios.items(), key=lambda item: item[1])
    word = "within" if ratio <= slowdown else "more than"
    said = f"a prediction ({kind}) takes {ratio:.2f} times the champion's, {word} the {slowdown:g} of slowdown"
    return Look("latency", ratio <= slowdown, said)


def no_worse(what: str, against: str, metric: str, margin: float, found: Gain | None, better: bool = False) -> Look:
    """On these rows the candidate is not worse than `against` by more than the margin (better: it is better)."""
    where = "" if what in TELLING else f" on {what}"
    if found is None:
        return Look(what, None, f"not enough evidence{where}: too few test rows, or of one class")
    numbers, told = _numbers(found), f"{metric} against {against}{where}: {_told(found, margin)}"
    if better:
        if found.better:
            return Look(what, True, f"better: {told}", **numbers)
        if found.worse:
            return Look(what, False, f"worse: {told}", **numbers)
        return Look(what, None, f"not shown to be better: {told}", **numbers)
    if found.not_worse(margin):
        word = "better" if found.better else f"not worse by more than the margin {margin:g}"
        return Look(what, True, f"{word}: {told}", **numbers)
    if found.worse:
        return Look(what, False, f"worse, and maybe by more than the margin {margin:g}: {told}", **numbers)
    said = f"too few rows to tell whether it is worse by more than the margin {margin:g}: {told}"
    return Look(what, None, said, **numbers)


def telling(
    role: str,
    against: str,
    metric: str,
    margin: float,
    found: Gain | None,
    budget: Budget,
    alpha: float,
    by_hand: str = BY_HAND,
) -> Look:
    """The comparison that decides: on all rows that neither of the two was fitted on, old and new.

    alpha: what `found` was computed with; by_hand: what helps where rows are missing. One that is undecided says what
    these rows have been used for, and what is missing.
    """
    look = no_worse(role, against, metric, margin, found)
    if found is None or margin <= 0:
        return look
    if found.disagree == 0:  # no row differs: the share of rows that may differ unseen is known exactly
        return _alike(role, against, metric, margin, found, budget, by_hand)
    if look.passed is not None:
        return look
    if not found.error:
        said = f"{look.said}; both answer every row alike, and one that was not seen could cost as much as the worst"
        return replace(look, said=f"{said}: {by_hand}")
    return replace(look, said=f"{look.said}; {worn(found, margin, budget, alpha, by_hand)}")


def _alike(role: str, against: str, metric: str, margin: float, found: Gain, budget: Budget, by_hand: str) -> Look:
    comparisons = budget.since_promotion + 1
    same = f"{metric} against {against}: both answer each of these {found.rows:,} rows alike"
    if power.alike(found.effective, margin, comparisons):
        said = f"not worse by more than the margin {margin:g}: {same}"
        return Look(role, True, said, **_numbers(found))
    missing = math.ceil(power.rows_alike(margin, comparisons) * found.rows / found.effective) - found.rows
    said = f"{same}, which after {_candidates(comparisons)} says too little: about {missing:,} new rows are missing"
    return Look(role, None, f"{said}, or {by_hand}", **_numbers(found))


def worn(found: Gain, margin: float, budget: Budget, alpha: float, by_hand: str = BY_HAND) -> str:
    """How far these rows are used up, and what restores them."""
    passes = power.of_equal(found, margin, alpha)
    used = f"these {found.rows:,} rows have judged {_candidates(budget.since_promotion)} since the last promotion"
    if round(budget.since_promotion) < 1:
        used = f"these are {found.rows:,} rows"
    missing = power.rows_missing(found, margin, budget.since_promotion)
    said = f"{used}; an equal candidate passes {passes:.0%} of the time"
    if missing is None:
        return f"{said}, and no number of rows would change that: {by_hand}"
    if by_hand != BY_HAND:
        return f"{said}; about {missing:,} new rows restore it, and {by_hand}" if missing else said
    return f"{said}; about {missing:,} new rows, or `ratchet promote`, restore it" if missing else said


def _candidates(count: float) -> str:
    return f"{round(count):,} candidate{'s' if round(count) != 1 else ''}"


def veto(what: str, against: str, metric: str, margin: float, found: Gain | None, rows: int) -> Look:
    """A part of the rows, which can only say no: the candidate is shown worse by more than the margin there."""
    if found is None:
        return Look(what, True, f"{rows:,} {what} are too few for a verdict of their own", rows=rows)
    told = f"{metric} against {against} on {what}: {_told(found, margin)}"
    if found.shown_worse(margin):
        return Look(what, False, f"worse by more than the margin {margin:g}: {told}", **_numbers(found))
    return Look(what, True, f"not shown to be worse by more than the margin {margin:g}: {told}", **_numbers(found))


def agree(against: str, metric: str, margin: float, older: Gain | None, newer: Gain | None) -> Look:
    """The newer rows and the older ones say the same of the candidate, or the older ones clear it by themselves.

    Newer rows may be poisoned, or labelled by the candidate itself. So where they speak better of it than the older
    ones, by more than chance, both are not put together: rows that nobody could prepare must not be outvoted.
    """
    if older is None or newer is None:
        return Look("older and newer rows", True, "there are too few older or newer rows to tell them apart")
    apart, error = newer.value - older.value, math.hypot(newer.error, older.error)
    said = f"{metric} against {against}: {_told(newer, margin)} that are newer, {_told(older, margin)} that are older"
    if apart <= APART * error:
        return Look("older and newer rows", True, f"they say the same: {said}")
    if older.not_worse(margin):
        return Look(
            "older and newer rows", True, f"the newer rows say more for it, and the older ones clear it: {said}"
        )
    said = f"the newer rows speak for it, and the older ones do not clear it: {said}"
    return Look("older and newer rows", None, f"{said}; look at the labels of the newer rows, or `ratchet promote`")


def hidden(metric: str, found: Gain, worst: float, declared: bool) -> Look:
    """How large a share of rows with a large error could hide. It never decides: no rule sees what no row shows."""
    share = largest_share(0, found.effective, ALPHA)
    said = f"a fault on less than {share:.1%} of the rows could hide"
    if metric != "r2":  # whose unit is not that of an error
        loss = share * worst if METRICS[metric].loss else worst * math.sqrt(share)
        kind = "the declared worst" if declared else "the worst that was seen"
        said += f"; at {worst:.3g} a row, {kind}, it would cost {metric} up to {loss:.3g}"
    return Look("rare errors", True, said, rows=found.rows)


def independent(entity: str) -> str:
    """What a verdict rests on where rows repeat an entity that no key names."""
    return f"the {entity if ' ' in entity else f'rows of one {entity}'} were taken for independent"


def _numbers(found: Gain) -> dict[str, Any]:
    return {"rows": found.rows, "gain": found.value, "low": found.low, "high": found.high}


def _told(found: Gain, margin: float = 0.0) -> str:
    return f"gain {digits.interval(found.value, found.low, found.high, (0.0, -margin))} on {many(found.rows, 'row')}"
