"""The verdicts of the gate, and of the rules before it: the old gate, and the plain comparison."""

from collections.abc import Iterator
from contextlib import contextmanager

from flows.promotion import gate
from flows.promotion.statistics import resampling
from flows.promotion.statistics.budget import Budget
from flows.promotion.statistics.gain import Gain
from flows.promotion.statistics.resampling import ALPHA

UNUSED = Budget(0, 0, 0, 0)  # of test rows that have judged nobody


def passes(found: Gain | None, margin: float, budget: Budget = UNUSED, alpha: float = ALPHA) -> bool:
    """What `gate.telling` says. The words of one that is undecided take longer than its verdict: nobody asks here."""
    if found is None or (found.disagree != 0 and not found.not_worse(margin)):
        return False
    return gate.telling("champion", "the champion", "accuracy", margin, found, budget, alpha).passed is True


def old(found: Gain | None, margin: float) -> bool:
    """The old gate on the rival's own rows. It took all rows for independent, and knew no `worst`."""
    return found is not None and found.not_worse(margin)


def plain(found: Gain | None) -> bool:
    """Whatever scores at least as well."""
    return found is not None and found.value >= 0


@contextmanager
def resamples(number: int) -> Iterator[None]:
    """Fewer than the gate's: the standard error of a score is then known less well, to 1 / sqrt(2 * number)."""
    usual = resampling.RESAMPLES
    resampling.RESAMPLES = number
    try:
        yield
    finally:
        resampling.RESAMPLES = usual
