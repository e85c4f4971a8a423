"""The rule: a column has drifted if two periods running are both far from the reference, and neither by chance.

Of each period the p value must be below 0.05 / columns (Bonferroni), and the distance at least `monitor.effect`. What
two periods in a row must say, chance says rarely: less than one false alarm a quarter with 20 columns on rows of one
kind (benchmarks/watch.py). The least effect keeps many rows from raising an alarm for next to nothing, and a small
reference from raising it for its own bad luck. Another alarm of the same column can only come when it was calm between.
"""

from collections.abc import Sequence

from flows.monitoring.drift.compare import Apart

ERROR = 0.05  # of one look at all columns
RUNNING = 2  # periods


def differs(found: Apart, columns: int, effect: float) -> bool:
    """Whether one period is far from the reference. columns: how many are looked at."""
    return found.p < ERROR / columns and found.distance >= effect


def drifted(looks: Sequence[bool]) -> bool:
    """looks: of the last periods, those that there are, whether each differs."""
    return len(looks) == RUNNING and all(looks)
