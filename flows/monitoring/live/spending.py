"""Spending: how much of the error each of many looks may use, so that all of them together use at most all of it."""


def share(number: int, looks: int) -> float:
    """The share of look `number`, counted from 0. The first `looks` have half of it alike, the next as many a quarter,
    and so on: the sum over all looks, for ever, is 1."""
    return 0.5 ** (1 + number // looks) / looks
