"""The rows that come after the last known ones of a series, by seconds and by the calendar."""

import numpy as np
import pandas as pd
import pytest

from flows.predict.forecast_rows import Ahead
from flows.predict.read_rows import Unseen
from pipelines.config.data import Data
from pipelines.ingest import Ingest

NEXT = {  # step: the days of the history, and the next three
    86400: (["2024-02-26", "2024-02-27", "2024-02-28"], ["2024-02-29", "2024-03-01", "2024-03-02"]),
    "business day": (["2024-02-27", "2024-02-28", "2024-02-29"], ["2024-03-01", "2024-03-04", "2024-03-05"]),
    "week": (["2024-02-07", "2024-02-15", "2024-02-21"], ["2024-02-28", "2024-03-06", "2024-03-13"]),
    "month": (["2023-11-30", "2023-12-31", "2024-01-31"], ["2024-02-29", "2024-03-31", "2024-04-30"]),
    "quarter": (["2023-04-01", "2023-07-01", "2023-10-01"], ["2024-01-01", "2024-04-01", "2024-07-01"]),
    "year": (["2021-06-30", "2022-06-30", "2023-06-30"], ["2024-06-30", "2025-06-30", "2026-06-30"]),
}


def ahead(tmp_path, table: pd.DataFrame, step: float | str) -> tuple[pd.DataFrame, Ahead]:
    """table: shop, day, sold -> the windows of all rows and of those that are added."""
    data = Data.model_validate(
        {"kind": "sequence", "task": "regression", "target": "sold", "columns": {"day": "date", "shop": "category"}}
        | {"time": "day", "series": ["shop"], "step": step, "window": 2, "horizon": 3, "seasons": [3]}
    )
    table.to_csv(tmp_path / "rows.csv", index=False)
    config = Ingest.model_validate({"source": "x", "timezone": "UTC"})
    found = Ahead(Unseen(tmp_path / "rows.csv", data, config), tmp_path)
    batches = list(found.batches())
    return pd.concat([batch.to_pandas() for batch in batches], ignore_index=True), found


@pytest.mark.parametrize("step", NEXT)
def test_the_next_steps_of_each_series_follow_its_last_known_target(tmp_path, step):
    days, coming = NEXT[step]
    parts = [pd.DataFrame({"shop": shop, "day": days, "sold": [1.0, 2.0, 3.0]}) for shop in ("a", "b")]
    found, about = ahead(tmp_path, pd.concat(parts), step)
    assert about.added == 6
    for shop in ("a", "b"):
        added = found[(found["shop"] == shop) & found["sold"].isna()]
        assert added["day"].str[:10].tolist() == coming
        np.testing.assert_array_equal(np.stack(added["past_sold"]), [[np.nan, 1.0], [1.0, 2.0], [2.0, 3.0]])
        np.testing.assert_array_equal(added["sold_3_before"], [1.0, 2.0, 3.0])


def test_a_row_of_the_same_month_without_a_target_is_the_next_step_whatever_its_day(tmp_path):
    days = ["2023-11-01", "2023-12-01", "2024-01-02", "2024-02-05"]
    found, about = ahead(tmp_path, pd.DataFrame({"shop": "a", "day": days, "sold": [1.0, 2.0, 3.0, None]}), "month")
    assert about.added == 2
    assert found["day"].str[:10].tolist()[-3:] == ["2024-02-05", "2024-03-02", "2024-04-02"]
