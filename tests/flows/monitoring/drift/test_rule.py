"""The rule: on rows of one kind it is hardly ever wrong, and it sees what moved."""

import numpy as np
import pytest

from benchmarks import watch
from flows.monitoring.drift import rule
from flows.monitoring.drift.compare import Apart


@pytest.mark.parametrize(("size", "each", "before"), [(1_000, 200, 0), (5_000, 2_000, 0), (5_000, 200, 2)])
def test_twenty_columns_on_rows_of_one_kind_raise_at_most_one_alarm_in_a_month(size, each, before):
    random = np.random.default_rng([size, each, before])
    assert watch.quarter(random, size, each, before, days=30)[0] <= 1


def test_what_moved_by_half_a_deviation_is_noticed_within_four_days():
    random = np.random.default_rng(1)
    assert max(watch.noticed(random, each=200, shift=0.5) for _ in range(5)) <= 4


def test_both_chance_and_size_must_say_so_on_two_periods():
    assert rule.differs(Apart(0.2, 0.001), 20, 0.1)
    assert not rule.differs(Apart(0.2, 0.003), 20, 0.1)
    assert not rule.differs(Apart(0.09, 0.0), 20, 0.1)
    assert rule.drifted([True, True])
    assert not any(map(rule.drifted, ([True], [True, False], [False, True])))
