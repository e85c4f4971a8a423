"""Steps of the calendar: a row in each month, week or business day has the place after the one before it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.table.series import calendar_steps, step_grid, windows

RANGES = {
    "day": "D",
    "week": "W-WED",
    "business day": "B",
    "month": "MS",
    "month, last day": "ME",
    "month, last business day": "BME",
    "quarter": "QS",
    "quarter, last day": "QE",
    "year": "YS",
    "year, last day": "YE-JUN",
}


def micro(at: pd.DatetimeIndex) -> np.ndarray:
    return at.tz_localize(None).to_numpy().astype("datetime64[us]").astype(np.int64)


def places(times: np.ndarray, word: str) -> np.ndarray:
    return step_grid.places(times, np.full(len(times), times.min()), word)


@pytest.mark.parametrize("kind", RANGES)
@pytest.mark.parametrize("start", ["1949-01-01", "1969-11-05", "2023-02-27"])
@pytest.mark.parametrize("clock", ["0h", "17h", "23h59min"])
def test_rows_of_the_calendar_follow_each_other_without_a_gap(kind, start, clock):
    times = micro(pd.date_range(start, periods=60, freq=RANGES[kind]) + pd.Timedelta(clock))
    found = places(times, kind.partition(",")[0])
    np.testing.assert_array_equal(np.diff(found), 1)


@given(st.sampled_from(["day", "week", "business day", "month", "quarter", "year"]), st.data())
def test_an_instant_some_steps_later_has_the_place_so_many_steps_later(word, data):
    days = st.integers(-20_000, 40_000).map(lambda day: day + (-2 if (day + 3) % 7 > 4 else 0))  # no weekend
    at = data.draw(days) * calendar_steps.DAY + data.draw(st.integers(0, calendar_steps.DAY - 1))
    steps = data.draw(st.integers(1, 400))
    after = step_grid.later(at, steps, word)
    before, then = places(np.array([at, after]), word)
    assert then - before == steps
    assert (after - at) % calendar_steps.DAY == 0


def test_the_last_day_of_a_month_is_followed_by_the_last_day_of_the_next_one():
    for start, expected in (("2024-01-31", ["02-29", "03-31", "04-30"]), ("2024-02-29", ["03-31", "04-30", "05-31"])):
        at = int(micro(pd.DatetimeIndex([start]))[0])
        ends = [pd.Timestamp(step_grid.later(at, steps, "month"), unit="us").strftime("%m-%d") for steps in (1, 2, 3)]
        assert ends == expected


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/New_York", "Asia/Tokyo"])
@pytest.mark.parametrize("word", ["day", "month"])
def test_the_clocks_of_summer_and_winter_part_no_local_days(zone, word):
    at = pd.date_range(
        "2023-01-01", periods=30 if word == "month" else 400, freq={"day": "D", "month": "MS"}[word], tz=zone
    )
    np.testing.assert_array_equal(np.diff(places(micro(at.tz_convert("UTC")), word)), 1)


def test_a_weekend_has_no_place_among_business_days():
    times = micro(pd.DatetimeIndex(["2024-03-01", "2024-03-02", "2024-03-04"]))
    found = places(times, "business day")
    assert found[1] == calendar_steps.NOWHERE
    assert found[2] - found[0] == 1


@given(st.sampled_from(["day", "week", "business day", "month", "quarter", "year"]), st.integers(0, 300))
def test_what_windows_keep_reaches_as_far_back_as_they_look(word, steps):
    later = step_grid.later(0, 500, word)
    times = np.array([step_grid.later(0, number, word) for number in range(501)])
    kept = times > windows._before(later, steps, word)
    assert kept[-steps - 1 :].all()
