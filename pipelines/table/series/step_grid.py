"""The grid of a series: which step is an instant in? A step is a number of seconds, or a word of the calendar."""

import numpy as np

from pipelines.table.series import calendar_steps


def places(times: np.ndarray, starts: np.ndarray, step: float | str) -> np.ndarray:
    """The number of the step of each instant [rows] in its series; calendar_steps.NOWHERE for one between two steps.

    times: microseconds since 1970. starts: of the first row of its series, for each row. step: seconds, or a word of
    the calendar.
    """
    if isinstance(step, str):
        return calendar_steps.places(times, starts, step)
    length = round(step * 1e6)
    return np.where((times - starts) % length == 0, (times - starts) // length, calendar_steps.NOWHERE)


def later(at: int, steps: int, step: float | str) -> int:
    """An instant so many steps after `at`, in microseconds since 1970."""
    return calendar_steps.later(at, steps, step) if isinstance(step, str) else at + steps * round(step * 1e6)
