"""A confidence sequence misses the truth at most as often as it says, though one looks after every score."""

import numpy as np
import pytest
from scipy import stats

from flows.promotion.statistics.confidence_sequence import interval, intervals, shown_below, weighted

LOOKS = np.unique(np.geomspace(1, 3000, 60).astype(int))
ROWS, STREAMS = 3000, 60


def constant(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Rare errors. Scores, and what is expected of each given those before it."""
    return (random.random(ROWS) < 0.03) * 1.0, np.full(ROWS, 0.03)


def drifting(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The mean wanders, and jumps in the middle."""
    means = 0.2 + 0.1 * np.sin(np.arange(ROWS) / 200) + 0.4 * (np.arange(ROWS) > ROWS / 2)
    return (random.random(ROWS) < means) * 1.0, means


def dependent(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Each score depends on the one before it."""
    scores, means, last = np.empty(ROWS), np.empty(ROWS), 0.0
    for row in range(ROWS):
        means[row] = 0.8 if last else 0.1
        scores[row] = last = float(random.random() < means[row])
    return scores, means


def skewed(random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Losses far below their bound, with a long tail."""
    return np.minimum(random.exponential(0.02, ROWS), 1.0), np.full(ROWS, 0.02 * (1 - np.exp(-50)))


@pytest.mark.parametrize("stream", [constant, drifting, dependent, skewed])
def test_the_running_mean_of_expectations_is_missed_at_most_as_often_as_alpha_says(stream):
    below = above = 0
    for seed in range(STREAMS):
        scores, means = stream(np.random.default_rng(seed))
        running = (np.cumsum(means) / np.arange(1, ROWS + 1))[LOOKS - 1]
        low, high = intervals(scores, 0, 1, 0.1, LOOKS)
        below, above = below + (low > running).any(), above + (high < running).any()
    assert max(below, above) <= stats.binom.isf(0.001, STREAMS, 0.1)


def test_a_usual_interval_that_is_looked_at_as_often_misses_far_more():
    missed = 0
    for seed in range(STREAMS):
        scores = (np.random.default_rng(seed).random(ROWS) < 0.2) * 1.0
        means = (np.cumsum(scores) / np.arange(1, ROWS + 1))[LOOKS - 1]
        missed += (np.abs(means - 0.2) > 1.645 * np.sqrt(0.16 / LOOKS)).any()
    assert missed > 0.25 * STREAMS


def test_it_narrows_to_less_than_twice_a_usual_interval():
    scores = (np.random.default_rng(1).random(20_000) < 0.1) * 1.0
    low, high = interval(scores, 0, 1, 0.025)
    assert low < 0.1 < high
    assert high - low < 2 * 2 * 1.96 * np.sqrt(0.09 / 20_000)


def test_an_interval_at_a_look_is_that_of_the_scores_until_then():
    scores = np.random.default_rng(2).random(300)
    low, high = intervals(scores, 0, 1, 0.05, np.array([1, 40, 300]))
    for place, rows in enumerate((1, 40, 300)):
        assert interval(scores[:rows], 0, 1, 0.05) == pytest.approx((low[place], high[place]))


def test_units_and_signs_only_move_it():
    scores = np.random.default_rng(3).random(200)
    low, high = interval(scores, 0, 1, 0.05)
    assert interval(10 - 4 * scores, 6, 10, 0.05) == pytest.approx((10 - 4 * high, 10 - 4 * low))


def test_it_lies_within_the_bounds_and_holds_the_mean():
    for scores in (np.zeros(50), np.ones(50), np.array([0.3]), np.linspace(0, 1, 7)):
        low, high = interval(scores, 0, 1)
        assert 0 <= low <= scores.mean() <= high <= 1
    assert interval(np.array([]), -2, 3) == (-2, 3)


def test_less_error_makes_it_wider():
    scores = np.random.default_rng(4).random(100)
    strict, usual = interval(scores, 0, 1, 0.001), interval(scores, 0, 1, 0.05)
    assert strict[0] < usual[0] < usual[1] < strict[1]


def test_a_score_out_of_bounds_is_refused():
    with pytest.raises(ValueError, match=r"in \[0, 1\], got \[0.5, 1.5\]"):
        interval(np.array([0.5, 1.5]), 0, 1)


def test_a_mean_is_shown_to_be_below_a_bound_where_it_is():
    scores = (np.random.default_rng(5).random(2000) < 0.2) * 1.0
    assert shown_below(scores, 0, 1, 0.3)
    assert not shown_below(scores, 0, 1, 0.2)


class TestWeighted:
    """Rows on which two models differ are asked for more often than others."""

    @staticmethod
    def asked_for(random: np.random.Generator, rows: int = 2000) -> tuple[np.ndarray, np.ndarray, float]:
        """Scores with NaN, probabilities, and the true mean. A harmful row is asked for more often."""
        scores = random.choice([-1.0, 0.0, 1.0], size=rows, p=[0.06, 0.9, 0.04])
        asked = np.where(scores < 0, 0.8, np.where(scores > 0, 0.4, 0.1))
        return np.where(random.random(rows) < asked, scores, np.nan), asked, -0.02

    def test_the_mean_of_all_rows_is_missed_at_most_as_often_as_alpha_says(self):
        missed = np.zeros(2)
        for seed in range(STREAMS):
            scores, asked, truth = self.asked_for(np.random.default_rng(seed))
            for rows in (50, 200, 800, 2000):
                low, high = weighted(scores[:rows], asked[:rows], -1, 1, 0.1, 0.1)
                missed += (low > truth, high < truth)
        assert missed.max() / 4 <= stats.binom.isf(0.001, STREAMS, 0.1)

    def test_without_weights_the_mean_of_the_rows_asked_for_is_another_one(self):
        scores, asked, truth = self.asked_for(np.random.default_rng(0), 200_000)
        known = scores[~np.isnan(scores)]
        assert interval(known, -1, 1)[1] < truth
        low, high = weighted(scores, asked, -1, 1, 0.1)
        assert low < truth < high
        assert high - low < 0.05

    def test_where_every_row_is_asked_for_it_is_the_usual_one(self):
        scores = np.random.default_rng(1).choice([-1.0, 0.0, 1.0], 100)
        assert weighted(scores, np.ones(100), -1, 1, 1.0) == interval(scores, -1, 1)

    def test_a_probability_below_the_least_is_refused(self):
        with pytest.raises(ValueError, match=r"less than 0\.5"):
            weighted(np.zeros(2), np.array([0.4, 1.0]), -1, 1, 0.5)
