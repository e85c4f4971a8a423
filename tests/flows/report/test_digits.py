"""Digits: an interval is never shown on the wrong side of a bound."""

import pytest

from flows.report.digits import interval


@pytest.mark.parametrize(
    ("low", "high", "bounds", "told"),
    [
        (-0.015, 0.025, (0.0, -0.02), "+0.0050 [-0.0150, +0.0250]"),  # four digits are enough
        (-0.01996, 0.03, (0.0, -0.02), "+0.00500 [-0.01996, +0.03000]"),  # it clears the margin
        (-0.02004, 0.03, (0.0, -0.02), "+0.00500 [-0.02004, +0.03000]"),  # it does not
        (-0.019999996, 0.03, (-0.02,), "+0.005000000 [-0.019999996, +0.030000000]"),
        (0.00003, 0.03, (0.0,), "+0.00500 [+0.00003, +0.03000]"),  # better
        (-0.03, -0.00003, (0.0,), "+0.00500 [-0.03000, -0.00003]"),  # worse
        (0.0, 0.03, (0.0,), "+0.0050 [+0.0000, +0.0300]"),  # on the bound
        (-1e-20, 0.03, (0.0,), "+0.0050 [-0.0000, +0.0300]"),  # no digit would show it
        (-0.01996, 0.03, (), "+0.0050 [-0.0200, +0.0300]"),  # compared with nothing
    ],
)
def test_the_end_of_an_interval_is_shown_on_its_own_side_of_a_bound(low, high, bounds, told):
    assert interval(0.005, low, high, bounds) == told


@pytest.mark.parametrize("exponent", range(5, 13))
@pytest.mark.parametrize("margin", [0.02, 0.035, 3.0])
@pytest.mark.parametrize("side", [1, -1])
def test_as_many_digits_as_needed(exponent, margin, side):
    low = -margin + side * 10**-exponent
    shown = float(interval(1.0, low, 2.0, (-margin,)).split("[")[1].split(",")[0])
    assert (shown > -margin, shown < -margin) == (side > 0, side < 0)
