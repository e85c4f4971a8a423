"""The gate: may a candidate become champion?

Accepted when the floor is met and the metric, on the same test rows, is at least the champion's less the margin.
"""

from dataclasses import dataclass

from pipelines.declaration import Promote
from pipelines.errors import RatchetError
from pipelines.metrics import METRICS


@dataclass(frozen=True)
class Scored:
    """A model's metrics on the test rows that `test_hash` names."""

    name: str  # for people: "version 3"
    model_hash: str
    test_hash: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class Decision:
    accepted: bool
    reason: str


def decide(rules: Promote, candidate: Scored, champion: Scored | None) -> Decision:
    """Raises RatchetError if the two were not scored on the same rows: such numbers are never compared."""
    name, value = rules.metric, candidate.metrics[rules.metric]
    sign = 1 if METRICS[name].greater_is_better else -1
    floor, word = (rules.at_least, "at least") if sign > 0 else (rules.at_most, "at most")
    if floor is not None and sign * (value - floor) < 0:
        return Decision(False, f"{name} is {value:.4g}, and {word} {floor:g} is asked for")
    if champion is None:
        return Decision(True, f"{name} is {value:.4g}, {word} {floor:g} is met, and there is no champion yet")
    if champion.test_hash != candidate.test_hash:
        raise RatchetError(f"{champion.name} and the candidate were scored on different test rows.")
    other = champion.metrics[name]
    gain = sign * (value - other)
    compared = f"{name} is {value:.4g} and the champion's ({champion.name}) {other:.4g} on the same test rows"
    if gain < -rules.margin:
        return Decision(False, f"{compared}: worse by {-gain:.4g}, more than the margin {rules.margin:g}")
    verdict = "better" if gain > 0 else "equal" if gain == 0 else f"not worse than the margin {rules.margin:g}"
    return Decision(True, f"{compared}: {verdict}")
