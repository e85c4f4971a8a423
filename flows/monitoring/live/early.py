"""Early: whether rows whose labels come soon are better or worse answered than those whose labels come late.

Where they are, the newest rows, of which only the soon ones are labelled, say too much or too little.
"""

from dataclasses import dataclass

import numpy as np

from flows.monitoring.live import means
from flows.monitoring.live.scored import Scored
from pipelines.model.metrics import METRICS

FEWEST = 50  # rows in each half
ERRORS = 3.0  # standard errors from which on the halves are called different
COMPLETE = 0.9  # a day is complete when so many labels have come sooner than it is old


@dataclass(frozen=True)
class Early:
    """The metric of rows whose labels came sooner than the median, and of the others, in its unit."""

    soon: float
    late: float
    said: str


def early(metric: str, scored: Scored, worst: float | None) -> Early | None:
    """Of a metric that is a mean over rows, on days of which nearly all labels have come. None where the halves are too
    small, or do not differ by more than chance."""
    if not scored.rows:
        return None
    slow = np.quantile(scored.delays, COMPLETE) / 86_400
    complete = scored.take(scored.days < scored.days.max() - slow)
    if not complete.rows:
        return None
    middle = np.median(complete.delays)
    soon = complete.delays < middle if middle == complete.delays.max() else complete.delays <= middle
    if min(soon.sum(), (~soon).sum()) < FEWEST:
        return None
    losses = means.losses(metric, complete, worst or 1.0)
    first, last = losses[soon], losses[~soon]
    error = np.sqrt(first.var() / len(first) + last.var() / len(last))
    if abs(first.mean() - last.mean()) <= ERRORS * error:
        return None
    grows = METRICS[metric].greater_is_better
    one, other = (float(1 - half.mean() if grows else half.mean()) for half in (first, last))
    said = (
        f"labels that come soon tell another story ({one:.4g}) than late ones ({other:.4g}), so the newest days mislead"
    )
    return Early(one, other, said)
