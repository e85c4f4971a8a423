"""Series: a forecast looks at what `ratchet predict` looks at for the same rows, by seconds and by the calendar."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from flows.predict.forecast_rows import Ahead
from flows.predict.read_rows import Unseen
from flows.registry import reading
from flows.serving.problem import Problem
from flows.serving.rows.reader import RowReader
from pipelines.config.data import Data
from pipelines.ingest import Ingest
from pipelines.model import predictor
from pipelines.training.data_loader import described
from tests.support.served import models, versions
from tests.support.served.versions import shops_rows

STARTS = {  # step: the instants of a history
    3600: pd.date_range("2026-01-28T20:00", periods=14, freq="h"),
    86400: pd.date_range("2024-02-20T10:30", periods=14, freq="D"),
    "day": pd.date_range("2026-03-24T23:30", periods=14, freq="D"),
    "business day": pd.bdate_range("2024-02-20", periods=14) + pd.Timedelta("10h"),
    "week": pd.date_range("2024-02-06", periods=14, freq="7D"),
    "month": pd.date_range("2022-12-31", periods=14, freq="ME"),
    "quarter": pd.date_range("2020-04-01", periods=14, freq="QS"),
    "year": pd.to_datetime([f"{year}-06-30" for year in range(2010, 2024)]),
}
COLUMNS = {"day": "date", "warm": "number", "sky": "category"}


def declared(step: float | str, horizon: int, series: str) -> Data:
    keys: dict[str, Any] = {"kind": "sequence", "task": "regression", "target": "sold", "time": "day", "step": step}
    keys |= {"columns": COLUMNS | {"shop": series}, "series": ["shop"], "window": 4, "horizon": horizon, "seasons": [3]}
    return Data.model_validate(keys)


def history(step: float | str, seed: int) -> list[dict[str, Any]]:
    """The rows of one shop: some are not there, some values are missing, and the last ones have no target."""
    random = np.random.default_rng(seed)
    rows = [
        {
            "day": at.strftime("%Y-%m-%d %H:%M"),
            "shop": "a",
            "warm": None if random.random() < 0.2 else round(random.normal(), 3),
            "sky": random.choice(["clear", "cloud", "fog", None]),
            "sold": None if random.random() < 0.2 else round(random.normal(10), 3),
        }
        for at in STARTS[step]
    ]
    kept = [row for row in rows if random.random() < 0.8] or rows
    unknown = int(random.integers(0, 4))
    return [row | {"sold": None} if place >= len(kept) - unknown else row for place, row in enumerate(kept)]


def predicted(folder: Path, rows: list[dict[str, Any]], data: Data, config: Ingest) -> tuple[dict, str]:
    """The arrays of `ratchet predict` for the forecast that is `horizon` steps after the last known target, and its
    instant: the last one of a row that is there or is added."""
    pd.DataFrame(rows).to_csv(folder / "rows.csv", index=False)
    last = [place for place, row in enumerate(rows) if row["sold"] is not None][-1]
    pd.DataFrame(rows[: last + 1]).to_csv(folder / "known.csv", index=False)
    ends = [_windows(folder, name, data, config) for name in ("known.csv", "rows.csv")]
    at = ends[0]["day"].iloc[-1]  # without later rows the last one is that forecast
    found = ends[1][ends[1]["day"].str[: _digits(data)] == at[: _digits(data)]]
    assert len(found) == 1
    return predictor.to_arrays(found, described(data)), found["day"].iloc[0]


def _digits(data: Data) -> int:
    """Letters of an instant that tell its step: rows of one month or year may differ in the day."""
    return {"month": 7, "quarter": 7, "year": 4}.get(str(data.step), 25)


def _windows(folder: Path, name: str, data: Data, config: Ingest) -> pd.DataFrame:
    batches = Ahead(Unseen(folder / name, data, config), folder).batches()
    return pd.concat([batch.to_pandas() for batch in batches]).sort_values("day")


def version(folder: Path, data: Data, config: Ingest) -> Path:
    """A version's folder, as far as its rows are concerned."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "model").mkdir(parents=True)
    words = [["clear", "cloud"], ["a", "b"]]
    layers = [
        {"class_name": "StringLookup", "config": {"name": f"category_{place}", "vocabulary": known}}
        for place, known in enumerate(words)
    ]
    (folder / "model" / "architecture.json").write_text(json.dumps({"config": {"layers": layers}}))
    (folder / "model" / "model.json").write_text(json.dumps({"classes": [], **described(data)}))
    columns = [{"name": name, "role": role, "sensitive": False} for name, role in data.columns.items()]
    facts = {name: getattr(data, name) for name in ("window", "horizon", "step", "time", "series", "lags")}
    (folder / "columns.json").write_text(json.dumps(models.columns("sequence", "regression", "sold", columns, **facts)))
    reading.write(reading.content(config), folder / "reading")
    return folder


@pytest.mark.parametrize(("horizon", "series"), [(1, "category"), (3, "carried")])
@pytest.mark.parametrize("step", STARTS)
def test_a_forecast_looks_at_what_predict_looks_at(tmp_path, step, horizon, series):
    data = declared(step, horizon, series)
    config = Ingest.model_validate({"source": "x", "timezone": "Europe/Berlin", "ambiguous": "later", "reader": 2})
    reader = RowReader(version(tmp_path / "version", data, config))
    rows = history(step, seed=horizon)
    wanted, at = predicted(tmp_path, rows, data, config)
    batch = reader.read([{"rows": rows}, {"rows": rows[::-1]}])
    assert batch.times == [at, at]
    assert batch.arrays.keys() == wanted.keys()
    for name, array in wanted.items():
        np.testing.assert_array_equal(batch.arrays[name], np.concatenate([array, array]))
        assert batch.arrays[name].dtype == array.dtype


@pytest.mark.parametrize("day", ["2024-03-29", "2024-03-31"])
def test_a_row_of_the_step_that_is_forecast_has_its_own_instant(tmp_path, day):
    data = declared("month", 1, "category")
    config = Ingest.model_validate({"source": "x", "timezone": "UTC", "reader": 2})
    days = ["2023-11-30", "2023-12-31", "2024-01-31", "2024-02-29"]
    rows = [{"day": one, "shop": "a", "warm": 1.0, "sky": "fog", "sold": 2.0} for one in days]
    rows.append(rows[0] | {"day": day, "sold": None})
    wanted, at = predicted(tmp_path, rows, data, config)
    batch = RowReader(version(tmp_path / "version", data, config)).read([{"rows": rows}])
    assert batch.times == [at] == [f"{day}T00:00:00+00:00"]
    np.testing.assert_array_equal(batch.arrays["dates"], wanted["dates"])


@pytest.fixture(scope="module")
def shops(tmp_path_factory) -> RowReader:
    return RowReader(versions.make(tmp_path_factory.mktemp("state"), "shops", 1))


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"rows": []}, "A forecast needs the last rows of its series."),
        ({"at": "2026-01-01"}, "A forecast needs the last rows of its series."),
        (None, "A forecast needs the last rows of its series."),
        ({"rows": [3]}, "Row 1 is a number, not an object of columns."),
        ({"rows": shops_rows()[-1:]}, "No row has a known 'sold'."),
        ({"rows": [*shops_rows(), shops_rows()[0]]}, "'2026-01-01T00:00:00Z' lies in a step that has a row already."),
        (
            {"rows": [*shops_rows(), shops_rows(2, "b")[0]]},
            "Rows 1 and 9 are of different series",
        ),
    ],
)
def test_rows_that_are_no_series_are_told(shops, row, told):
    with pytest.raises(Problem) as caught:
        shops.read([row])
    assert told in caught.value.detail
    assert caught.value.status == 400
    assert caught.value.repair


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"at": None}, "Row 3, column 'at': None is no time, which every row needs."),
        ({"at": "soon"}, "Row 3, column 'at': 'soon' is not a date of the form ISO."),
        ({"at": "2026-01-01T02:30Z"}, "is 9000 s after the first row, but a step of the series is 3600.0 s."),
        ({"warm": "hot"}, "Row 3, column 'warm': 'hot' is not a number."),
        ({"sold": "none"}, "Row 3, column 'sold': 'none' is not a number."),
        ({"sky": []}, "Row 3, column 'sky': [] is of type list, which is no single value."),
    ],
)
def test_a_value_is_told_with_its_forecast_and_its_row(shops, change, told):
    rows = shops_rows()
    rows[2] |= change
    with pytest.raises(Problem) as caught:
        shops.read([{"rows": shops_rows()}, {"rows": rows}])
    assert caught.value.detail.startswith("Forecast 2: Row 3")
    assert told in caught.value.detail
    assert (caught.value.row, caught.value.column) == (3, next(iter(change)))


def test_a_column_that_a_row_lacks_is_told(shops):
    rows = shops_rows()
    del rows[4]["warm"]
    with pytest.raises(Problem, match="Row 5 has no column 'warm', which the model needs"):
        shops.read([{"rows": rows}])


def test_unknown_words_are_those_of_the_window_and_only_its_rows_are_kept(shops):
    rows = shops_rows(12)
    rows[0]["sky"] = "too long ago"
    rows[-2]["sky"] = "hail"
    batch = shops.read([{"rows": rows}, {"rows": shops_rows(12)}])
    assert batch.unknown == [("sky",), ()]
    assert batch.raw[0] == {"rows": rows[-7:]}, "the window of six, and the row that is forecast"
