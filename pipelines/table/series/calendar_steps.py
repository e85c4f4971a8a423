"""Calendar steps: from one row of a series to the next by the calendar, where no number of seconds fits.

A series has one row in each day, week from Monday, business day from Monday to Friday, month, quarter or year, at
whatever day and time within it. An instant belongs to the day that is nearest by the clock of the first row of its
series, so that the clocks of summer and winter do not part days.
"""

import numpy as np

DAY = 86_400_000_000  # microseconds
MONTHS = {"month": 1, "quarter": 3, "year": 12}
DAYS = {"day": 1, "week": 7}
LONGEST = {"day": 2 * DAY, "week": 14 * DAY, "business day": 4 * DAY, "month": 62 * DAY, "quarter": 184 * DAY}
LONGEST |= {"year": 732 * DAY}  # between rows of neighbouring steps, at most
NOWHERE = -(2**62)  # the place of an instant that lies between two steps


def places(times: np.ndarray, starts: np.ndarray, word: str) -> np.ndarray:
    """The number of the step of each instant [rows], counted from about 1970; NOWHERE for a weekend of business days.

    times: microseconds since 1970. starts: of the first row of its series, for each row.
    """
    days = _days(times, starts)
    if word == "business day":
        found = np.busday_count(np.datetime64("1970-01-01"), days)
        return np.where(np.is_busday(days), found, NOWHERE).astype(np.int64)
    if word in MONTHS:
        return days.astype("datetime64[M]").astype(np.int64) // MONTHS[word]
    return (days.astype(np.int64) + 3) // 7 if word == "week" else days.astype(np.int64)  # 1970 began on a Thursday


def _days(times: np.ndarray, starts: np.ndarray) -> np.ndarray:
    since = np.rint((times - starts) / DAY).astype(np.int64)
    return (starts // DAY + since).astype("datetime64[D]")


def later(at: int, steps: int, word: str) -> int:
    """An instant so many steps after `at`, both in microseconds since 1970: on the same day of the month, or on the
    last one if `at` is on the last one."""
    day, time = np.datetime64(at // DAY, "D"), at % DAY
    if word in DAYS:
        return at + steps * DAYS[word] * DAY
    if word == "business day":
        found = np.busday_offset(day, steps, roll="backward")
    else:
        month = day.astype("datetime64[M]")
        length = _last(month) - month.astype("datetime64[D]")
        into = day - month.astype("datetime64[D]")
        target = month + steps * MONTHS[word]
        end = _last(target)
        found = end if into == length else min(end, target.astype("datetime64[D]") + into)
    return int(found.astype(np.int64)) * DAY + time


def _last(month: np.datetime64) -> np.datetime64:
    """The last day of a month."""
    return (month + 1).astype("datetime64[D]") - 1
