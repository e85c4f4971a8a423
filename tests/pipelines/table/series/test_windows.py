"""Windows: what was known before each row of a time series, and nothing of its own time or later."""

import shutil
from collections import Counter

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines import model_file
from pipelines.config.data import Data
from pipelines.errors import DataError, SettingsError
from pipelines.table import id_sets, rows
from pipelines.table.series import step_grid, windows
from tests.support.sequences import SHOPS, SPLIT, prepared, shops

SPLITS = ("train", "validation", "test")
HOUR = 3600


def observed(places: list[int], window: int, horizon: int, **more: object) -> tuple[Data, list[pa.RecordBatch]]:
    """One series, seen at the hours `places` (or other steps), whose target and number both are the step's number."""
    data = Data.model_validate(
        {"kind": "sequence", "task": "regression", "target": "y", "time": "t", "step": HOUR, "window": window}
        | {"horizon": horizon, "columns": {"t": "date", "x": "number"}}
        | more
    )
    later = [step_grid.later(0, place, data.step) for place in places]
    at = [pd.Timestamp(micro, unit="us", tz="UTC").isoformat() for micro in later]
    values = [float(place) for place in places]
    content = {"row_id": [f"{place:032d}" for place in places], "x": values, "t": at, "y": values}
    return data, pa.table(content, rows.raw_schema(data)).to_batches()


def made(tmp_path, data: Data, batches: list[pa.RecordBatch], **more: int) -> tuple[pd.DataFrame, Counter[str]]:
    removed: Counter[str] = Counter()
    found = list(windows.windows(lambda: iter(batches), data, tmp_path, removed, **more))
    return pa.concat_tables(found).to_pandas(), removed


@given(
    places=st.lists(st.integers(0, 60), min_size=2, max_size=30, unique=True),
    window=st.integers(1, 8),
    horizon=st.integers(1, 5),
    held=st.integers(3, 40),
)
def test_a_window_holds_each_observation_in_its_place_and_none_of_its_own_time_or_later(
    tmp_path_factory, places, window, horizon, held
):
    data, batches = observed(places, window, horizon)
    table, removed = made(tmp_path_factory.getbasetemp(), data, batches, held=held)
    assert len(table) + removed["empty window"] == len(places)
    assert table["y"].is_monotonic_increasing
    for row in table.itertuples():
        wanted = [row.y - horizon - back for back in range(window - 1, -1, -1)]
        expected = [place if place in places else np.nan for place in wanted]
        np.testing.assert_array_equal(row.x, expected)
        np.testing.assert_array_equal(row.past_y, expected)


@given(
    places=st.lists(st.integers(0, 60), min_size=2, max_size=30, unique=True),
    step=st.sampled_from([HOUR, "day", "business day", "month", "year"]),
    seasons=st.lists(st.integers(2, 15), min_size=1, max_size=2, unique=True),
    horizon=st.integers(1, 5),
    held=st.integers(3, 40),
)
@example(places=[*range(40)], step=HOUR, seasons=[15], horizon=1, held=3)  # many ranges, and a season of several
def test_a_row_knows_the_target_of_whole_seasons_before_it_and_nothing_that_was_not_known(
    tmp_path_factory, places, step, seasons, horizon, held
):
    data, batches = observed(places, 8, horizon, step=step, seasons=seasons)
    assert all(steps >= horizon for steps in data.lags.values())
    table, _ = made(tmp_path_factory.getbasetemp(), data, batches, held=held)
    for row in table.to_dict("records"):
        for name, steps in data.lags.items():
            expected = row["y"] - steps if row["y"] - steps in places else np.nan
            np.testing.assert_equal(row[name], expected)
    for season in seasons:
        known = [steps for steps in data.lags.values() if steps % season == 0]
        assert min(known) < horizon + season


@pytest.mark.parametrize(
    ("step", "days", "message"),
    [
        ("month", ["2024-01-05", "2024-02-01", "2024-02-29"], "lies in a month that has a row already in its series"),
        ("business day", ["2024-03-01", "2024-03-02"], "lies on a weekend, but data.step is business day"),
    ],
)
def test_two_rows_of_one_step_and_a_row_between_two_are_named(tmp_path, step, days, message):
    data, batches = observed([0, 1, 2][: len(days)], 3, 1, step=step)
    at = pa.array([f"{day}T00:00:00+00:00" for day in days])
    batch = batches[0].set_column(2, batches[0].schema.field("t"), at)
    with pytest.raises(DataError, match=f"{days[-1]}.*{message}"):
        made(tmp_path, data, [batch])


@given(order=st.permutations(range(12)), held=st.sampled_from([2, 5, 100]))
def test_neither_the_order_of_the_rows_nor_the_ranges_that_they_are_held_in_change_a_window(
    tmp_path_factory, order, held
):
    folder = tmp_path_factory.getbasetemp()
    places = [0, 1, 2, 5, 6, 7, 8, 20, 21, 30, 31, 33]
    expected, _ = made(folder, *observed(places, 3, 2))
    found, _ = made(folder, *observed([places[index] for index in order], 3, 2), held=held)
    pd.testing.assert_frame_equal(found, expected)


@pytest.mark.parametrize("held", [3, 100])
def test_rows_without_a_target_have_the_same_windows_if_they_are_asked_for(tmp_path, held):
    data, batches = observed([0, 1, 2, 3, 5, 6, 9], 3, 1)
    table = pa.Table.from_batches(batches)
    known = pa.array([True, True, False, True, True, False, True])
    table = table.set_column(3, table.schema.field("y"), pc.if_else(known, table["y"], None))
    found, removed = made(tmp_path, data, table.to_batches(), held=held, every=True)
    assert removed["missing target"] == 0
    assert found["t"].tolist() == table["t"].to_pylist()[1:]  # before the first one nothing is known
    with_target, _ = made(tmp_path, data, table.to_batches(), held=held)
    pd.testing.assert_frame_equal(found[found["y"].notna()].reset_index(drop=True), with_target)


def test_no_window_of_any_split_holds_a_value_of_its_time_or_later_or_of_another_series(world):
    table = shops()
    folder = prepared(world, table)
    known = {(row.shop, pd.Timestamp(row.at)): row for row in table.itertuples()}
    lasts = []
    for split in SPLITS:
        for row in pq.read_table(folder / f"{split}.parquet").to_pandas().itertuples():
            for back in range(6):
                then = known.get((row.shop, pd.Timestamp(row.at) - pd.Timedelta(hours=1 + back)))
                seen = (row.warm[5 - back], row.sky[5 - back], row.past_sold[5 - back])
                wanted = (then.warm, then.sky, then.sold) if then else (np.nan, None, np.nan)
                assert [*map(str, map(none, seen))] == [*map(str, map(none, wanted))]
        lasts.append(row.at)
    assert lasts == sorted(lasts)


def none(value: object) -> object:
    return None if value is None or value != value else value


def test_every_row_with_a_target_is_in_one_split_by_its_time_or_removed_with_a_reason(world):
    table = shops()
    report = (folder := prepared(world, table)) / "clean.json"
    found = pd.concat([pq.read_table(folder / f"{name}.parquet").to_pandas().assign(split=name) for name in SPLITS])
    assert found["row_id"].is_unique
    borders = [pd.Timestamp(SPLIT[key]) for key in ("validation_from", "test_from")]
    times = pd.to_datetime(found["at"])
    expected = np.select([times < borders[0], times < borders[1]], ["train", "validation"], "test")
    assert (found["split"] == expected).all()
    removed = pd.read_json(report)["rows"]["removed"]
    assert removed["missing target"] == table["sold"].isna().sum()
    assert len(found) == len(table) - sum(removed.values())
    assert removed["empty window"] >= 2  # the first row of each shop has nothing before it


def test_windows_look_back_over_the_border_of_a_split(world):
    folder = prepared(world, shops())
    first = pq.read_table(folder / "test.parquet").to_pandas().iloc[0]
    assert pd.Timestamp(first["at"]) == pd.Timestamp(SPLIT["test_from"])
    assert not np.isnan(first["past_sold"]).all()


def test_dropping_missing_values_leaves_whole_windows(world):
    clean = {"split": SPLIT, "missing": "drop"}
    folder = prepared(world, shops(), clean_=clean)
    found = pq.read_table(folder / "train.parquet").to_pandas()
    assert len(found)
    assert not any(np.isnan([*row.warm, *row.past_sold]).any() for row in found.itertuples())
    assert all(None not in list(row.sky) for row in found.itertuples())


def test_two_runs_write_the_same_bytes_whatever_the_order_of_the_rows(world):
    folder = prepared(world, shops())
    before = {name: (folder / f"{name}.parquet").read_bytes() for name in SPLITS}
    shutil.rmtree(folder)
    prepared(world, shops().sample(frac=1, random_state=0))
    assert {name: (folder / f"{name}.parquet").read_bytes() for name in SPLITS} == before


def test_the_identity_of_a_window_is_that_of_its_values(world):
    folder = prepared(world, shops())
    batch = pq.read_table(folder / "train.parquet").to_batches()[0]
    ids = rows.identify(batch, ["past_sold", "sky"])
    apart = {f"past_sold{i}": pa.array([row[i] for row in batch["past_sold"].to_pylist()]) for i in range(6)}
    assert len(set(ids.tolist())) > 200
    again = rows.identify(batch.slice(7, 5), ["past_sold", "sky"])
    np.testing.assert_array_equal(again, ids[7:12])
    assert len(np.unique(rows.identify(pa.record_batch(apart), list(apart)))) == len(
        np.unique(rows.identify(batch, ["past_sold"]))
    )
    assert id_sets.survey(folder / "train.parquet")[1].count == 0


BAD = {
    "twice": (lambda table: pd.concat([table, table.iloc[[5]].assign(warm=99.0)]), "more than once in its series"),
    "off the grid": (
        lambda table: table.assign(at=table["at"].mask(table.index == 5, "2026-01-01T05:20:00+00:00")),
        "is off the grid: 19200 s after the first row of its series, but data.step is 3600 s",
    ),
    "no time": (lambda table: table.assign(at=table["at"].mask(table.index == 5)), "has no time: its column 'at'"),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_row_that_has_no_place_on_the_grid_is_named_and_nothing_is_left(world, fault):
    change, message = BAD[fault]
    with pytest.raises(DataError, match=message):
        prepared(world, change(shops()))
    folder = world.root / "data" / "shops"
    assert not {*folder.glob("train.parquet"), *folder.glob(".windows-*"), *folder.glob(".*.partial")}


WRONG = [
    (
        {"clean_": {"split": {"by": "hash"}}},
        r"clean\.split: a sequence must be split `by: time`, by its column 'at': windows",
    ),
    ({"data_": SHOPS | {"task": "classification"}}, "its task must be regression"),
    ({"data_": {key: SHOPS[key] for key in SHOPS if key != "window"}}, "a sequence needs `time`"),
    (
        {"data_": SHOPS | {"series": ["warm"]}},
        "`series` must name columns of role category or carried, but 'warm' is not",
    ),
    ({"data_": SHOPS | {"time": "when"}}, r"one column of role date, that of `time`, got \['at'\]"),
    (
        {"data_": SHOPS | {"columns": SHOPS["columns"] | {"past_sold": "number"}}},
        "'past_sold' cannot be a column: it is the history of the target",
    ),
    ({"data_": SHOPS | {"baseline": "season"}}, r"`baseline: season` needs `seasons`"),
    ({"data_": SHOPS | {"seasons": [1]}}, r"`seasons` must have from 2 to 100,000 steps each, got 1"),
    ({"data_": SHOPS | {"seasons": [24, 24]}}, r"`seasons` names a season twice"),
    ({"data_": SHOPS | {"step": "fortnight"}}, r"data\.step"),
    (
        {"data_": SHOPS | {"seasons": [24], "columns": SHOPS["columns"] | {"sold_24_before": "number"}}},
        "'sold_24_before' cannot be a column: it is the history of the target",
    ),
    (
        {"check": {"rules": [{"rule": "expect_column_values_to_not_be_null", "column": "warm"}]}},
        r"check\.rules\.0: there is no column 'warm'",
    ),
]


@pytest.mark.parametrize(("changes", "message"), WRONG)
def test_what_cannot_be_declared_of_a_sequence_is_told(world, changes, message):
    from tests.support.sequences import declare

    declare(world, **changes)
    with pytest.raises(SettingsError, match=message):
        model_file.check("shops")


def test_the_keys_of_a_sequence_belong_to_no_table(world):
    world.declare(data={"window": 3})
    with pytest.raises(SettingsError, match="`window` belongs to a sequence, not to a table"):
        model_file.check("pets")
