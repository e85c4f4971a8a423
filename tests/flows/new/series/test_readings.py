"""Rows are read as series by their values alone: by calendar, with gaps, by words and numbers; the best one wins."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from flows.new import column_types
from flows.new.series import naive, readings, steps
from pipelines.table.rows import MISSING

RANDOM = np.random.default_rng(0)
HOURS = pd.date_range("2024-01-01", periods=1500, freq="h")
DAYS = pd.date_range("2023-01-01", periods=120)
MONTHS = pd.date_range("1990-01-01", periods=120, freq="MS")


def waves(at: pd.DatetimeIndex) -> np.ndarray:
    """By the hour, the day of the week and the day of the year, with noise that stays for a while."""
    turn = 2 * np.pi
    wave = np.sin(turn * at.hour / 24) + np.sin(turn * at.day_of_week / 7) + np.sin(turn * at.day_of_year / 365)
    return 30 + 5 * wave.to_numpy() + pd.Series(RANDOM.normal(0, 1, len(at))).ewm(span=4).mean().to_numpy()


def rows(at: pd.DatetimeIndex, **columns: Any) -> pd.DataFrame:
    """columns: of the time, as functions of the instants, or one format."""
    written = {name: at.strftime(form) if isinstance(form, str) else form(at) for name, form in columns.items()}
    return pd.DataFrame(written | {"sold": waves(at).round(3)})


def panel(at: pd.DatetimeIndex, keys: list[dict[str, Any]], **columns: Any) -> pd.DataFrame:
    level = 1 + 2 * (np.arange(len(keys)) * (len(keys) // 2 - 1) % len(keys)) / len(keys)  # neighbours differ much
    parts = [rows(at, **columns).assign(**key, sold=waves(at) * more) for key, more in zip(keys, level, strict=True)]
    return pd.concat(parts, ignore_index=True)


def found(frame: pd.DataFrame, horizon: int = 1) -> readings.Grid | None:
    table = pa.table({name: frame[name].astype(str) for name in frame})
    columns = column_types.columns(table.drop_columns(["sold"]), MISSING)
    return readings.found(table, columns, "sold", horizon)


def office(at: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return at[(at.hour >= 9) & (at.hour <= 17) & (at.day_of_week < 5)]


def range_of(freq: str, periods: int = 110, start: str = "1955-01-01") -> pd.DatetimeIndex:
    return pd.date_range(start, periods=periods, freq=freq)


LATE = RANDOM.random(110) < 0.05
STEPS = {  # kind of rows: the rows, the step, and the seasons that are tried
    "hours": (rows(HOURS, d="%Y-%m-%d %H:%M"), 3600, {24, 168}),
    "office hours": (rows(office(HOURS), d="%Y-%m-%d %H:%M"), 3600, {24, 168}),
    "missing hours": (rows(HOURS[RANDOM.random(1500) < 0.8], d="%Y-%m-%d %H:%M"), 3600, {24, 168}),
    "quarters of an hour": (rows(range_of("15min", 1000, "2024-01-01"), d="%Y-%m-%dT%H:%M:%S"), 900, {96}),
    "days": (rows(DAYS, d="%d.%m.%Y"), 86400, {7}),
    "business days": (rows(range_of("B", 300), d="%Y-%m-%d"), "business day", {5}),
    "business days without holidays": (
        rows(range_of("B", 300)[RANDOM.random(300) > 0.05], d="%Y-%m-%d"),
        "business day",
        {5},
    ),
    "a week from Sunday to Thursday": (
        rows(range_of("C", 1, "2024-01-01").union(DAYS[~DAYS.day_of_week.isin([4, 5])]), d="%Y-%m-%d").iloc[:-1],
        86400,
        {7},
    ),
    "weeks": (rows(range_of("W-FRI", 200), d="%Y-%m-%d"), 604800, {52}),
    "weeks, some a day late": (
        rows(range_of("W-TUE") + pd.to_timedelta(LATE.astype(int), "D"), d="%Y-%m-%d"),
        "week",
        set(),
    ),
    "months": (rows(MONTHS, d="%Y-%m"), "month", {12}),
    "last days of months": (rows(range_of("ME"), d="%Y-%m-%d"), "month", {12}),
    "last business days of months": (rows(range_of("BME"), d="%Y-%m-%d"), "month", {12}),
    "quarters": (rows(range_of("QS"), d="%Y-%m-%d"), "quarter", {4}),
    "years": (rows(range_of("YS", 80, "1900-01-01"), d=lambda at: at.year), "year", set()),
    "local days": (
        rows(DAYS.tz_localize("Europe/Berlin"), d=lambda at: [one.isoformat() for one in at]),
        "day",
        {7},
    ),
}


@pytest.mark.parametrize("kind", STEPS)
def test_the_step_is_found_by_seconds_or_by_the_calendar(kind):
    frame, step, seasons = STEPS[kind]
    for table in (frame, frame.sample(frac=1, random_state=0)):
        grid = found(table)
        assert grid is not None
        assert (grid.step, grid.series, grid.time) == (step, [], "d" if kind != "years" else "time")
        assert set(grid.seasons) == seasons


TIMES = {  # the columns of an instant, and how their texts are read together; "" for numbers
    "day and time": ({"d": "%Y-%m-%d", "t": "%H:%M:%S"}, "%Y-%m-%d %H:%M:%S"),
    "day and time with points": ({"d": "%d/%m/%Y", "t": "%H.%M.%S"}, "%d/%m/%Y %H.%M.%S"),
    "day and hour": ({"d": "%Y-%m-%d", "t": lambda at: at.hour}, "%Y-%m-%d %H"),
    "year, month, day, hour": (
        {"a": lambda at: at.year, "b": lambda at: at.month, "c": lambda at: at.day, "d": lambda at: at.hour},
        "",
    ),
}


@pytest.mark.parametrize("kind", TIMES)
def test_the_time_of_day_is_part_of_the_time_and_tells_no_series_apart(kind):
    columns, form = TIMES[kind]
    grid = found(rows(HOURS, **columns))
    assert grid is not None
    assert (grid.parts, grid.form, grid.step, grid.series) == ([*columns], form, 3600, [])


@pytest.mark.parametrize("month", [lambda at: at.month, "%b", "%B"])
def test_year_and_month_in_two_columns_are_months(month):
    grid = found(rows(MONTHS, year=lambda at: at.year, m=month))
    assert grid is not None
    assert (grid.parts, grid.step, grid.series) == (["year", "m"], "month", [])


def keyed(**columns: list[Any]) -> list[dict[str, Any]]:
    index = pd.MultiIndex.from_product(columns.values(), names=list(columns))
    return index.to_frame(index=False).to_dict("records")


PANELS = {
    "numbered": (panel(DAYS, keyed(shop=[*range(1, 6)]), d="%Y-%m-%d"), ["shop"]),
    "as many numbers as hours": (panel(DAYS, keyed(shop=[*range(24)]), d="%Y-%m-%d"), ["shop"]),
    "numbered, by the week": (panel(range_of("W-FRI"), keyed(shop=[*range(1, 13)]), d="%Y-%m-%d"), ["shop"]),
    "numbered, by the year": (panel(range_of("YS", 40), keyed(shop=[*range(1, 13)]), d=lambda at: at.year), ["shop"]),
    "words": (panel(DAYS, keyed(shop=["Oslo", "Bodø"]), d="%Y-%m-%d"), ["shop"]),
    "two columns": (panel(DAYS, keyed(shop=[1, 2, 3], thing=["a", "b"]), d="%Y-%m-%d"), ["shop", "thing"]),
    "two numbers, by the month": (
        panel(MONTHS, keyed(shop=[1, 2, 3], thing=[10, 11, 12]), d="%Y-%m"),
        ["shop", "thing"],
    ),
    "three columns": (
        panel(DAYS, keyed(shop=[1, 2], thing=["a", "b"], side=["l", "r"]), d="%Y-%m-%d"),
        ["shop", "thing", "side"],
    ),
}


@pytest.mark.parametrize("kind", PANELS)
def test_series_are_told_apart_by_words_or_numbers_in_as_few_columns_as_suffice(kind):
    frame, names = PANELS[kind]
    grid = found(frame)
    assert grid is not None
    assert set(grid.series) == set(names)
    assert len(set(grid.steps.codes)) == len(frame[names].drop_duplicates())


def test_a_number_that_tells_series_apart_becomes_words_and_too_many_words_are_carried():
    for count, role in ((5, "category"), (1200, "carried")):
        table = pa.table({"shop": [str(number % count) for number in range(3000)]})
        column = column_types.column("shop", table["shop"], MISSING)
        assert readings.role(column, table).role == role


NONE = {
    "events": pd.DataFrame({"d": pd.to_datetime(np.sort(RANDOM.integers(0, 10**7, 800)), unit="s").astype(str)}),
    "days of events that say nothing": rows(DAYS[RANDOM.random(120) < 0.7], d="%Y-%m-%d").assign(
        sold=lambda t: RANDOM.normal(size=len(t))
    ),
    "customers by day": pd.DataFrame(
        {"d": DAYS[RANDOM.integers(0, 120, 800)].strftime("%Y-%m-%d"), "k": RANDOM.integers(1, 40, 800)}
    ),
}


@pytest.mark.parametrize("kind", NONE)
def test_dated_events_are_no_series(kind):
    frame = NONE[kind]
    assert found(frame.assign(sold=frame.get("sold", RANDOM.normal(size=len(frame))))) is None


def test_of_two_times_the_one_with_the_better_forecast_wins_and_the_other_is_told():
    frame = rows(HOURS, d="%Y-%m-%d %H:%M").assign(entered=RANDOM.permutation(HOURS.strftime("%Y-%m-%d %H:%M")))
    for swapped in (frame, frame[["entered", "d", "sold"]]):
        grid = found(swapped)
        assert grid is not None
        assert grid.time == "d"
        assert "by entered: " in grid.others[0]
        assert "errs by" in grid.others[0]


@pytest.mark.parametrize("horizon", [1, 3, 30])
def test_each_forecast_without_a_model_errs_as_counted_one_by_one(horizon):
    at = HOURS[RANDOM.random(1500) < 0.9][:700]
    values, window = waves(at), 10
    values[RANDOM.random(len(values)) < 0.1] = np.nan
    grid = steps.found(pd.Series(at.tz_localize("UTC")), np.zeros(len(at), np.int64))
    assert grid is not None
    known = {moment: value for moment, value in zip(at, values, strict=True) if not np.isnan(value)}
    hours = pd.Timedelta("1h")

    def last(moment: pd.Timestamp) -> float:
        return next((known[then] for back in range(800) if (then := moment - back * hours) in known), np.nan)

    def guess(name: str, season: int, moment: pd.Timestamp) -> float:
        seen = moment - horizon * hours
        if name == "mean":
            some = [known[seen - back * hours] for back in range(window) if seen - back * hours in known]
            return float(np.mean(some)) if some else last(seen)
        back = season * -(-horizon // season) if season else 0
        before = known.get(moment - back * hours, np.nan)
        moved = before + last(seen) - last(moment - (back + horizon) * hours)
        wanted = {"last": last(seen), "season": before, "season_and_change": moved}[name]
        return last(seen) if np.isnan(wanted) else wanted

    test = at[int(len(at) * 0.8) :]
    for one in naive.forecasts(values, grid, horizon, window):
        off = [abs(known[moment] - guess(one.baseline, one.season, moment)) for moment in test if moment in known]
        assert one.error == pytest.approx(np.nanmean(off))
