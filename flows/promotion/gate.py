"""The gate: the checks that a candidate must pass before it becomes champion.

A check (`Look`) passes, fails, or has not enough evidence. One failure rejects the candidate. Else a check without
enough evidence leaves it undecided, and the champion stays. Every check is a function of numbers, which
flows/promotion/evidence.py gathers.
"""

from dataclasses import asdict, dataclass
from typing import Any

from flows.promotion.gain import ALPHA, Gain
from pipelines.model.metrics import METRICS
from pipelines.model_file import Promote

POWER = 1.43  # (1.96 + 0.84) / 1.96: with a margin of 1.43 half intervals an equal candidate passes 80 times of 100


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


def spent(comparisons: int) -> float:
    """The alpha of a comparison with a reference after `comparisons` earlier ones.

    The sum of all alphas stays below that of two first comparisons: 1/(1*2) + 1/(2*3) + ... = 1. So in a long row of
    candidates that are a little worse, none passes by luck.
    """
    number = comparisons + 1
    return 2 * ALPHA / (number * (number + 1))


def floor(rules: Promote, value: float) -> Look:
    """The metric on the candidate's own test rows meets the bound in the YAML."""
    sign = 1 if METRICS[rules.metric].greater_is_better else -1
    bound, word = (rules.at_least, "at least") if sign > 0 else (rules.at_most, "at most")
    if bound is None or sign * (value - bound) >= 0:
        return Look("floor", True, f"{rules.metric} is {value:.4g}, and {word} {bound:g} is met")
    return Look("floor", False, f"{rules.metric} is {value:.4g}, but {word} {bound:g} is required")


TRIVIAL = "a trivial baseline (the most frequent class, or the mean)"
NAIVE = "the naive forecast (the last known value)"


def baseline(metric: str, found: Gain | None, name: str = TRIVIAL) -> Look:
    """The candidate is better than always answering the majority class, its share, or the mean; for a sequence, than
    the last known value."""
    if found is None:
        return Look("baseline", None, f"{metric} cannot be compared with {name} on these test rows")
    numbers = _numbers(found)
    if found.better:
        return Look("baseline", True, f"better than {name}: {_told(found)}", **numbers)
    if found.high <= 0:
        return Look("baseline", False, f"{metric} is not better than {name}: {_told(found)}", **numbers)
    said = (
        f"not shown to be better than {name}: {_told(found)}; about {found.rows_to_decide(0):,} test rows would decide"
    )
    return Look("baseline", None, said, **numbers)


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
    where = "" if what in ("champion", "reference") else f" on {what}"
    if found is None:
        return Look(what, None, f"not enough evidence{where}: too few test rows, or of one class")
    numbers, told = _numbers(found), f"{metric} against {against}{where}: {_told(found)}"
    if better:
        if found.better:
            return Look(what, True, f"better: {told}", **numbers)
        if found.worse:
            return Look(what, False, f"worse: {told}", **numbers)
        said = f"not shown to be better: {told}; about {found.rows_to_decide(0):,} rows would decide"
        return Look(what, None, said, **numbers)
    if found.not_worse(margin):
        word = "better" if found.better else f"not worse by more than the margin {margin:g}"
        return Look(what, True, f"{word}: {told}", **numbers)
    if found.worse:
        return Look(what, False, f"worse, and maybe by more than the margin {margin:g}: {told}", **numbers)
    said = f"too few rows to tell whether it is worse by more than the margin {margin:g}: {told}; about "
    return Look(what, None, f"{said}{found.rows_to_decide(margin):,} rows would decide", **numbers)


def newer(against: str, metric: str, margin: float, found: Gain | None, rows: int, better: bool = False) -> Look:
    """The rows that are newer than the champion have a check of their own, which must pass too.

    While they are too few for an equal candidate to pass, they can only reject. Else a few new rows would stop every
    promotion.
    """
    look = no_worse("newer rows", against, metric, margin, found, better)
    half = found.high - found.value if found else 0.0
    if look.passed is not None or (found and half * POWER <= margin):
        return look
    numbers = _numbers(found) if found else {"rows": rows}
    told = f": {_told(found)}" if found else ""
    return Look(
        "newer rows", True, f"the newer rows are too few for a verdict, and say nothing against it{told}", **numbers
    )


def _numbers(found: Gain) -> dict[str, Any]:
    return {"rows": found.rows, "gain": found.value, "low": found.low, "high": found.high}


def _told(found: Gain) -> str:
    return f"gain {found.value:+.4f} [{found.low:+.4f}, {found.high:+.4f}] on {found.rows:,} rows"
