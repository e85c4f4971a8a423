"""Digits: as many as show on which side of a bound an interval ends."""

from collections.abc import Collection
from decimal import Decimal

LEAST = 4  # decimals
MOST = 12  # decimals; what is still nearer to the bound looks equal to it


def interval(value: float, low: float, high: float, bounds: Collection[float] = (0.0,)) -> str:
    """The gain and its interval, "+0.0120 [-0.0199, +0.0439]", with equally many decimals.

    bounds: that the ends of the interval are compared with, such as 0 and -margin. An end that is not on the bound
    looks neither equal to it nor beyond it.
    """
    places = max(_places(end, bound) for end in (low, high) for bound in bounds) if bounds else LEAST
    return f"{value:+.{places}f} [{low:+.{places}f}, {high:+.{places}f}]"


def _places(end: float, bound: float) -> int:
    """The fewest decimals with which the rounded end is on the same side of the bound as the end itself."""
    side = _side(Decimal(repr(float(end))), bound)
    shown = (n for n in range(LEAST, MOST + 1) if _side(Decimal(f"{end:.{n}f}"), bound) == side)
    return next(shown, LEAST)


def _side(number: Decimal, bound: float) -> int:
    """-1 below the bound, 0 on it, 1 above."""
    at = Decimal(repr(float(bound)))
    return (number > at) - (number < at)
