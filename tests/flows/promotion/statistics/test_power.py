"""Power before training: rare classes need more rows, and what is asked for is enough."""

import numpy as np
import pytest
from scipy import stats

from flows.promotion.statistics import power

METRICS = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc")
RARE = [1386, 14]
STEP = 0.01  # of a power: labels are whole numbers, so that one row more may lower it a little
NAMED = {"no": 1386, "yes": 14}


@pytest.mark.parametrize("metric", METRICS[1:])
def test_fourteen_rows_of_a_class_show_nothing_and_about_three_hundred_do(metric):
    assert power.before_training(metric, RARE, 0.02) < 0.1
    assert power.before_training("accuracy", RARE, 0.02) > power.FULL
    assert power.scarce(metric, NAMED) == ("yes", 14)
    assert 250 < power.scarce_rows_needed(metric, NAMED, 0.02) < 350


def test_of_accuracy_all_rows_count_and_it_is_what_the_gate_says_of_equal_candidates():
    assert power.before_training("accuracy", [180, 180], 0.02) == power.of_labels(360, 0.02, 0.02, power.ALPHA)
    assert round(power.before_training("accuracy", [300, 40, 20], 0.02), 2) == 0.68


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("classes", [RARE, [60, 60], [84, 42], [2, 100], [9980, 20]])
def test_as_many_rows_as_are_asked_for_give_full_power_and_fewer_do_not(metric, classes):
    named = dict(zip("ab", classes, strict=True))
    times = power.scarce_rows_needed(metric, named, 0.02) / power.scarce(metric, named)[1]
    chances = [power.before_training(metric, [rows * times * more for rows in classes], 0.02) for more in (0.8, 1, 3)]
    assert chances[0] < power.FULL - STEP < chances[1] < chances[2]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("classes", [RARE, [60, 60], [700, 300]])
def test_the_margin_that_can_be_met_is_met_and_no_smaller_one(metric, classes):
    margin = power.margin_before_training(metric, classes)
    assert power.before_training(metric, classes, margin) >= power.FULL
    assert power.before_training(metric, classes, margin - 0.002) < power.FULL


@pytest.mark.parametrize(("metric", "classes"), [("log_loss", RARE), ("roc_auc", [9, 9, 9]), ("log_loss", [1, 50])])
def test_of_other_metrics_nothing_is_said(metric, classes):
    assert power.before_training(metric, classes, 0.02) is None
    assert power.scarce_rows_needed(metric, dict(enumerate(classes)), 0.02) is None
    assert power.margin_before_training(metric, classes) is None


def test_classes_in_equal_shares_are_no_better_than_their_rows_together():
    """Ten classes of 36 rows decide together: none of them alone has to show a margin of 0.02."""
    assert power.before_training("balanced_accuracy", [36] * 10, 0.02) == pytest.approx(
        power.before_training("accuracy", [36] * 10, 0.02)
    )


def test_the_error_of_an_area_is_that_of_scores_that_fall_off_exponentially():
    """Scores with the densities of Hanley and McNeil: the area is ratio / (1 + ratio)."""
    random, rarer, other = np.random.default_rng(0), 14, 300
    ratio = power.AREA / (1 - power.AREA)
    high, low = random.exponential(ratio, (4000, rarer)), random.exponential(1, (4000, other))
    areas = stats.mannwhitneyu(high, low, axis=1).statistic / (rarer * other)
    assert areas.mean() == pytest.approx(power.AREA, abs=0.01)
    error = areas.std() * np.sqrt(2 * (1 - power.RANKED_ALIKE))
    expected = stats.norm.cdf(0.1 / error - stats.t.isf(power.ALPHA, rarer - 1))
    assert power.of_areas(rarer, other, 0.1) == pytest.approx(expected, abs=0.03)
