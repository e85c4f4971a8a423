"""The budget: how often the present test rows have judged candidates, and how strict that makes the next comparison.

Comparisons on the same rows share one budget of error between two promotions, as in LORD (Javanmard and Montanari,
2018): the k-th may be wrong with 2 * ALPHA / (k * (k + 1)), so that all of them together may be with 2 * ALPHA. A
promotion starts anew. A comparison counts as far as the present test rows were in it: a row that has judged nobody
brings the budget back. docs/explanation/gate.md derives it; benchmarks/gate.py measures it.
"""

import math
from dataclasses import dataclass

from flows.promotion.statistics.resampling import ALPHA
from flows.records.champion_state import Standing
from pipelines.table.row_sample import RowSample


@dataclass(frozen=True)
class Budget:
    """What a comparison costs now. All counts are weighed by the share of the present test rows that took part."""

    judged: float  # candidates that these rows have judged or whose test metrics were seen, ever
    since_promotion: float  # the same since the last promotion
    since_reference: float  # since the reference became it
    promotions: float  # of those since then, promoted

    @property
    def alpha(self) -> float:
        """Of "not worse"."""
        return spent(self.since_promotion)

    def alpha_first(self, resampled: bool) -> float:
        """Of "better than a trivial answer" before the first champion. All tries share the budget.

        resampled: a metric that is no mean over rows. A quarter then, since far out such an interval is too narrow.
        """
        return self.alpha / 4 if resampled else self.alpha

    @property
    def alpha_better(self) -> float:
        """Of "better", which pays for every candidate that these rows have ever judged: the best of many looks better
        than it is."""
        return min(self.alpha, ALPHA / (self.judged + 1))

    @property
    def tries(self) -> float:
        """Candidates for each promotion since the reference, this one included."""
        return (self.since_reference + 1) / (self.promotions + 1)

    def alpha_reference(self, error: float, step: float) -> float:
        """Of the comparison with the reference: stricter where champions were picked out of many candidates.

        The champion owes its place to luck on these very rows, and a candidate that is built on it inherits that luck.
        Of `tries` equal candidates the best looks better by about `luck(tries)` standard errors of one step. How many
        steps lie between reference and candidate shows in how much more the two differ than candidate and champion;
        there are not more than promotions.
        error, step: standard errors of the gain over the reference and over the champion.
        """
        from scipy import stats

        steps = min(self.promotions, max(0.0, (error / step) ** 2 - 1)) if step > 0 else 0.0
        bias = luck(self.tries) * math.sqrt(steps)
        return float(stats.norm.sf(stats.norm.isf(self.alpha) + bias))


def of(standing: Standing, rows: RowSample) -> Budget:
    """For a candidate that is tested on these rows."""
    began = standing.began.get(standing.reference or 0, 0)
    shares = [(use, rows.share_in(use.rows) if use.rows else 1.0) for use in standing.uses]  # old lines have no sample
    return Budget(
        judged=sum(share for _, share in shares),
        since_promotion=sum(share for use, share in shares if use.line > standing.promoted_at),
        since_reference=sum(share for use, share in shares if use.line > began),
        promotions=sum(share for use, share in shares if use.line > began and use.promoted),
    )


def spent(comparisons: float) -> float:
    """The chance of error of a comparison after so many others."""
    number = comparisons + 1
    return 2 * ALPHA / (number * (number + 1))


def luck(tries: float) -> float:
    """How many standard errors the best of so many equal candidates lies above their mean (Blom, 1958)."""
    from scipy import stats

    many = max(1.0, tries)
    return float(stats.norm.ppf((many - 0.375) / (many + 0.25)))
