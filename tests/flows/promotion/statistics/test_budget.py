"""The budget: what test rows were used for, and what that leaves."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.promotion.statistics import budget
from flows.promotion.statistics.budget import Budget, luck, spent
from flows.promotion.statistics.resampling import ALPHA
from flows.records.champion_state import Standing, Use
from pipelines.table import row_sample


def ids(first: int, count: int) -> list[str]:
    """Row ids as they are: hashes."""
    import hashlib

    return [hashlib.sha256(str(number).encode()).hexdigest()[:32] for number in range(first, first + count)]


def test_all_comparisons_between_two_promotions_share_one_budget():
    levels = [spent(number) for number in range(10_000)]
    assert levels[0] == ALPHA
    assert levels == sorted(levels, reverse=True)
    assert 1.9 * ALPHA < sum(levels) < 2 * ALPHA


@given(st.floats(0, 1000), st.floats(0, 1000))
def test_more_use_never_makes_a_comparison_easier(one, other):
    low, high = sorted((one, other))
    assert spent(high) <= spent(low)


@pytest.mark.parametrize(("kept", "new"), [(360, 0), (180, 180), (0, 360), (300, 900)])
def test_the_share_of_rows_that_took_part_is_exact_for_few_rows_and_near_for_many(kept, new):
    then, now = row_sample.of(ids(0, 360)), row_sample.of(ids(360 - kept, kept) + ids(1000, new))
    expected = kept / (kept + new)
    exact = kept + new <= row_sample.MOST
    assert now.share_in(then) == (expected if exact else pytest.approx(expected, abs=0.08))


def test_large_sets_are_compared_by_a_sample_of_their_own():
    then, now = row_sample.of(ids(0, 20_000)), row_sample.of(ids(5_000, 20_000))
    assert now.share_in(then) == pytest.approx(0.75, abs=0.08)
    assert now.share_in(now) == 1.0
    assert row_sample.read(now.content()) == now
    assert row_sample.read(None) is None
    assert row_sample.of([]).share_in(now) == 0.0


def used(rows, count: int, promoted: bool = False) -> list[Use]:
    return [Use(number, rows, promoted) for number in range(1, count + 1)]


def test_rows_that_have_judged_nobody_bring_the_budget_back():
    old = row_sample.of(ids(0, 100))
    standing = Standing(uses=used(old, 12))
    assert budget.of(standing, old).since_promotion == 12
    assert budget.of(standing, row_sample.of(ids(0, 100) + ids(500, 100))).since_promotion == 6
    assert budget.of(standing, row_sample.of(ids(500, 100))).alpha == ALPHA


def test_a_promotion_starts_anew_and_better_pays_for_all_the_same():
    rows = row_sample.of(ids(0, 100))
    standing = Standing(uses=used(rows, 12), promoted_at=12)
    found = budget.of(standing, rows)
    assert (found.alpha, found.alpha_better) == (ALPHA, ALPHA / 13)


def test_lines_of_before_rows_were_noted_count_in_full():
    assert budget.of(Standing(uses=[Use(1, None, False)]), row_sample.of(ids(0, 10))).since_promotion == 1


def test_the_luck_of_the_best_of_many_is_what_the_largest_of_many_normal_numbers_is():
    import numpy as np

    random = np.random.default_rng(0)
    for tries in (1, 2, 10, 100):
        expected = random.normal(size=(4000, tries)).max(axis=1).mean()
        assert luck(tries) == pytest.approx(expected, abs=0.06)


PICKED = Budget(judged=200, since_promotion=0, since_reference=200, promotions=6)


def test_the_reference_asks_for_more_where_the_champion_was_picked_and_the_candidate_builds_on_it():
    apart = PICKED.alpha_reference(error=0.0118, step=0.00447)  # seven steps away
    assert apart < PICKED.alpha / 100
    assert PICKED.alpha_reference(error=0.00447, step=0.00447) == pytest.approx(PICKED.alpha)  # no step is inherited
    all_passed = replace(PICKED, promotions=200.0)
    assert all_passed.alpha_reference(0.0118, 0.00447) == pytest.approx(PICKED.alpha)
    assert PICKED.alpha_reference(0.01, 0.0) == pytest.approx(PICKED.alpha)
    far = [PICKED.alpha_reference(error=0.1 * more, step=0.001) for more in (1, 10)]  # it was another kind of model
    assert far[0] == far[1] > 0  # six promotions are no more than six steps
