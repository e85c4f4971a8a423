"""Sequences from windows to forecasts: what the graph knows, what it learns, and what it is measured against."""

import contextlib
import json

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import mean_absolute_error

from flows.registry import model_registry
from pipelines.answering.predictions import skill
from pipelines.config import settings
from pipelines.config.data import Data
from pipelines.model import features, networks, predictor, statistics, temporal
from pipelines.model.statistics import Fitted
from pipelines.train import Train
from pipelines.training.data_loader import Split
from tests.support.sequences import SECTIONS, SHOPS, prepared, shops
from tests.support.world import STAGES, World

NETWORKS = {
    "gru": {},
    "lstm": {"cell": "lstm", "hidden": [4]},
    "simple": {"cell": "simple", "predict": "value"},
    "cnn": {"network": "cnn", "recurrent": [], "filters": [4, 4]},
    "mlp": {"network": "mlp", "recurrent": [], "hidden": [4], "dropout": 0.2},
    "attention": {"network": "attention", "recurrent": [], "width": 8, "dropout": 0.1},
}


@pytest.fixture(scope="module")
def sold(tmp_path_factory, hardware):
    """data/shops, all stages run."""
    world = World(tmp_path_factory.mktemp("sold"))
    with contextlib.chdir(world.root):
        yield prepared(world, shops(), *STAGES)


@pytest.mark.long
def test_two_processes_make_the_same_model(sold):
    first = predictor.model_hash(sold / "model")
    done = World(sold.parent.parent).command("train", "shops")
    assert done.returncode == 0, done.stderr
    assert predictor.model_hash(sold / "model") == first


def table(folder, split: str = "test") -> pd.DataFrame:
    return pq.read_table(folder / f"{split}.parquet").to_pandas()


def test_the_forecast_of_a_row_does_not_depend_on_the_rows_beside_it(sold):
    model, rows = predictor.Predictor(sold / "model"), table(sold).head(40)
    together = model.predict(rows)
    alone = pd.concat([model.predict(rows.iloc[i : i + 1]) for i in range(len(rows))])
    np.testing.assert_allclose(alone["prediction"], together["prediction"], rtol=1e-6)
    assert together["row_id"].tolist() == rows["row_id"].tolist()


def test_a_window_may_come_as_lists_and_its_time_as_a_timestamp(sold):
    model, rows = predictor.Predictor(sold / "model"), table(sold).head(20)
    lists = rows.assign(**{name: [list(cell) for cell in rows[name]] for name in ("warm", "sky", "past_sold")})
    stamps = lists.assign(at=pd.to_datetime(lists["at"]).dt.tz_convert("Asia/Tokyo"))
    expected = model.predict(rows)["prediction"].to_numpy()
    for given in (lists, stamps):
        np.testing.assert_array_equal(model.predict(given)["prediction"], expected)


def test_the_naive_forecast_and_the_skill_are_scikit_learns_error_against_it(sold):
    found, rows = pq.read_table(sold / "predictions.parquet").to_pandas(), table(sold)
    last = [next((value for value in cell[::-1] if not np.isnan(value)), np.nan) for cell in rows["past_sold"]]
    np.testing.assert_array_equal(found["naive"], last)
    scores = json.loads((sold / "metrics.json").read_text())["test"]
    known = found.dropna()
    mine, theirs = (mean_absolute_error(known["actual"], known[name]) for name in ("prediction", "naive"))
    assert scores["skill"] == pytest.approx(1 - mine / theirs)
    assert scores["mean_absolute_error"] == pytest.approx(mean_absolute_error(found["actual"], found["prediction"]))


def test_there_is_no_skill_where_the_naive_forecast_is_never_wrong_or_unknown():
    exact = pd.DataFrame({"actual": [1.0, 2.0], "prediction": [1.0, 3.0], "naive": [1.0, 2.0]})
    assert skill(exact) == {}
    assert skill(exact.assign(naive=np.nan)) == {}


def test_a_network_that_says_nothing_changes_forecasts_the_last_known_value(world, hardware):
    folder = prepared(world, shops())
    data = settings.load("shops", "data", Data)
    split = Split(folder / "test.parquet", data)
    found = statistics.measure(data, Split(folder / "train.parquet", data).pieces, Train())
    fitted = Fitted(**{**vars(found), "target": (0.0, found.target[1])})
    before = features.features(data, fitted)
    network = networks.network(Train(**SECTIONS["train_"]), before.output.shape[1:], 1, 0)
    network.set_weights([weight * 0 for weight in network.get_weights()])
    model = features.whole(before, network, fitted)
    for arrays, _ in split.pieces():
        answers = np.asarray(model(arrays))[:, 0]
        naive = temporal.baseline_of_rows(table(folder), data)
        np.testing.assert_allclose(answers, np.where(np.isnan(naive), found.past[0][-1], naive), rtol=1e-6)


BASELINES = ("last", "mean", "season", "season_and_change")


@pytest.fixture(scope="module")
def seasonal(tmp_path_factory, hardware):
    """The splits of shops whose rows know their last day and week, and their declaration with each baseline."""
    world = World(tmp_path_factory.mktemp("seasonal"))
    with contextlib.chdir(world.root):
        folder = prepared(world, shops(), data_=SHOPS | {"horizon": 2, "seasons": [24, 48]})
        data = settings.load("shops", "data", Data)
    return {one: (world.root / folder, data.model_copy(update={"baseline": one})) for one in BASELINES}


@pytest.mark.parametrize("baseline", BASELINES)
def test_a_network_with_a_baseline_begins_as_this_forecast_which_evaluate_computes_from_the_rows(seasonal, baseline):
    folder, data = seasonal[baseline]
    found = statistics.measure(data, Split(folder / "train.parquet", data).pieces, Train())
    fitted = Fitted(**{**vars(found), "target": (0.0, found.target[1])})
    before = features.features(data, fitted)
    network = networks.network(Train(**SECTIONS["train_"]), before.output.shape[1:], 1, 0, still=True)
    model = features.whole(before, network, fitted)
    ((arrays, _),) = Split(folder / "test.parquet", data).pieces()
    rows = table(folder)
    naive = temporal.baseline_of_rows(rows, data)
    answers = np.asarray(model(arrays))[:, 0]
    np.testing.assert_allclose(answers, np.where(np.isnan(naive), found.past[0][-1], naive), rtol=1e-6)
    alone = np.concatenate([np.asarray(model({k: v[[i]] for k, v in arrays.items()}))[:, 0] for i in range(5)])
    np.testing.assert_allclose(alone, answers[:5], rtol=1e-6)


@pytest.mark.parametrize("baseline", BASELINES)
def test_a_baseline_is_what_its_name_says(seasonal, baseline):
    folder, data = seasonal[baseline]
    at = {(row.shop, pd.Timestamp(row.at)): row.sold for row in shops().itertuples()}
    rows = table(folder)
    for row, found in zip(rows.itertuples(), temporal.baseline_of_rows(rows, data), strict=True):
        known = [value for value in row.past_sold if not np.isnan(value)]
        last = known[-1] if known else np.nan
        before, then = (at.get((row.shop, pd.Timestamp(row.at) - pd.Timedelta(hours=h)), np.nan) for h in (24, 26))
        seasonal_ = before + last - then if baseline == "season_and_change" else before
        wanted = {"last": last, "mean": np.mean(known) if known else np.nan}.get(baseline, seasonal_)
        np.testing.assert_allclose(found, last if np.isnan(wanted) else wanted)


def test_a_series_on_another_level_is_forecast_by_the_same_differences(seasonal):
    """What the network sees of the history is its difference from the last value; only that one tells the level."""
    folder, data = seasonal["season"]
    found = statistics.measure(data, Split(folder / "train.parquet", data).pieces, Train())
    before = features.features(data, found)
    ((arrays, _),) = Split(folder / "test.parquet", data).pieces()
    raised = arrays | {"numbers": arrays["numbers"] + 1000}
    raised["past_numbers"] = arrays["past_numbers"].copy()
    raised["past_numbers"][:, :, -1] += 1000
    changed = np.abs(np.asarray(before(raised)) - np.asarray(before(arrays))).max(axis=(0, 1))
    assert (changed > 1).sum() == 1
    assert (np.delete(changed, changed.argmax()) < 1e-3).all()


@pytest.mark.tensorflow
def test_what_is_measured_is_of_the_training_windows_alone(world):
    folder = prepared(world, shops())
    data, rows = settings.load("shops", "data", Data), table(folder, "train")
    found = statistics.measure(data, Split(folder / "train.parquet", data).pieces, Train())
    values = np.stack(rows["past_sold"].tolist())
    assert found.past[0] == pytest.approx([np.nanmean(np.stack(rows["warm"].tolist())), np.nanmean(values)])
    assert found.past[1][1] == pytest.approx(np.nanstd(values))
    naive = temporal.baseline_of_rows(rows, data)
    changes = rows["sold"] - np.where(np.isnan(naive), np.nanmean(values), naive)
    assert found.target == pytest.approx((changes.mean(), changes.std(ddof=0)))
    assert found.vocabularies == [["clear", "cloud"], ["a", "b"]]


LATER = ("gru", "simple", "cnn", "attention")  # in the longer suite
KINDS = [pytest.param(kind, marks=pytest.mark.long) if kind in LATER else kind for kind in NETWORKS]


@pytest.mark.parametrize("kind", KINDS)
def test_every_network_learns_windows_in_one_program(world, hardware, capsys, kind):
    wanted = SECTIONS["train_"] | NETWORKS[kind] | {"loss": "mean_absolute_error"}
    folder = prepared(world, shops(), *STAGES[:5], train_=wanted)
    history = pd.read_csv(folder / "history.csv")
    assert history["train/loss"].iloc[-1] < history["train/loss"].iloc[0]
    assert "XLA cannot" not in capsys.readouterr().out


def test_calendar_numbers_return_with_the_hour_the_week_and_the_year_and_are_0_for_a_missing_date(hardware):
    at = pd.to_datetime(["2026-03-02T06:00Z", "2026-03-03T06:00Z", "2026-03-09T06:00Z"])
    seconds = np.array([*(moment.timestamp() for moment in at), np.nan])[:, None]
    found = np.asarray(temporal.calendar(seconds))
    assert found.shape == (4, 7)
    np.testing.assert_allclose(found[0, :2], [1, 0], atol=1e-6)  # a quarter of a day is over
    np.testing.assert_allclose(found[1, :2], found[0, :2], atol=1e-6)
    np.testing.assert_allclose(found[2, 2:4], found[0, 2:4], atol=1e-6)
    assert np.abs(found[1, 2:4] - found[0, 2:4]).max() > 0.1
    np.testing.assert_array_equal(found[3], [0, 0, 0, 0, 0, 0, 1])
    np.testing.assert_array_equal(found[:3, 6], 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"warm": [[1.0, 2.0]]}, "row 0, column 'warm': not a list of the last 6 values"),
        ({"warm": [5.0]}, "row 0, column 'warm': not a list of the last 6 values"),
        (
            {"past_sold": [[1.0, 2.0, 3.0, 4.0, 5.0, float("inf")]]},
            "column 'past_sold': a value is not a finite number",
        ),
        ({"past_sold": [["much"] * 6]}, "column 'past_sold': a list holds what is no number"),
        ({"at": ["2026-01-09T10:00"]}, "row 0, column 'at': '2026-01-09T10:00' has no offset"),
        ({"at": ["soon"]}, "row 0, column 'at': 'soon' is no date"),
    ],
)
def test_a_row_that_is_no_window_is_refused(sold, change, message):
    rows = table(sold).head(1).assign(**change)
    with pytest.raises(ValueError, match=r"row|column") as caught:
        predictor.Predictor(sold / "model").predict(rows)
    assert message in str(caught.value)


def test_missing_values_of_any_kind_are_filled_in_the_graph(sold):
    model, rows = predictor.Predictor(sold / "model"), table(sold).head(1)
    nothing = rows.assign(warm=[[None] * 6], sky=[[None] * 6], past_sold=[[float("nan")] * 6], at=[None], shop=[None])
    assert np.isfinite(model.predict(nothing)["prediction"]).all()


def test_the_signature_says_which_columns_are_lists():
    about = predictor_about()
    found = {column.name: str(column.type) for column in model_registry.signature(about).inputs}
    assert found == {
        "warm": "Array(Any)",
        "past_sold": "Array(Any)",
        "sky": "Array(Any)",
        "shop": "DataType.string",
        "at": "DataType.string",
    }


def predictor_about() -> dict:
    from pipelines.training.data_loader import described

    return {"classes": [], "task": "regression"} | described(Data.model_validate(SHOPS))


DATED = {"weight": "number", "born": "date"}


def test_a_table_may_have_dates_and_a_model_learns_from_them(world, hardware):
    at = pd.date_range("2025-01-01", periods=400, freq="5h", tz="UTC")
    night = (at.hour < 6) | (at.hour > 18)
    table = pd.DataFrame(
        {"weight": 1.0, "born": at.strftime("%d.%m.%Y %H:%M"), "animal": np.where(night, "owl", "hen")}
    )
    table.loc[::50, "born"] = None
    ingest = {"dates": {"born": "%d.%m.%Y %H:%M"}, "timezone": "UTC"}
    train = {"epochs": 60, "learning_rate": 0.01}
    world.declare(data={"columns": DATED}, ingest=ingest, check={"overlap": 1.0}, train=train)
    world.pin(table)
    folder = world.run(*STAGES)
    assert json.loads((folder / "metrics.json").read_text())["test"]["accuracy"] > 0.9
    model, rows = predictor.Predictor(folder / "model"), pq.read_table(folder / "test.parquet").to_pandas()
    stamps = rows.assign(born=pd.to_datetime(rows["born"]))
    pd.testing.assert_frame_equal(model.predict(stamps), model.predict(rows))
    alone = pd.concat([model.predict(rows.iloc[i : i + 1]) for i in range(10)])
    np.testing.assert_allclose(alone["probability_owl"], model.predict(rows)["probability_owl"].head(10), rtol=1e-5)


def test_a_table_is_split_by_the_time_of_a_date(world):
    at = pd.date_range("2026-01-01", periods=200, freq="h", tz="Asia/Tokyo")
    table = pd.DataFrame({"weight": 1.0, "born": at.astype(str), "animal": np.where(np.arange(200) % 3, "owl", "hen")})
    split = {"by": "time", "column": "born", "validation_from": "2026-01-05T00:00Z", "test_from": "2026-01-07T00:00Z"}
    world.declare(data={"columns": DATED}, clean_={"split": split})
    world.pin(table)
    folder = world.run("ingest", "validate", "clean")
    found = pd.to_datetime(pq.read_table(folder / "test.parquet")["born"].to_pandas())
    assert found.min() == pd.Timestamp("2026-01-07T00:00Z")
