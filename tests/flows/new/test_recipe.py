"""Recipe: settings that training takes, for every table there may be, and that beat a linear model where one can."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from flows.new import recipe
from pipelines import train
from pipelines.config.data import Data
from pipelines.model import statistics
from pipelines.model.metrics import METRICS
from pipelines.table import row_groups, rows
from pipelines.train import Train
from pipelines.training.data_loader import Split


@given(st.integers(1, 10**9), st.integers(1, 5000))
def test_training_takes_the_settings_for_every_table(count, features):
    found = recipe.table(count, features)
    config = Train.model_validate(found)
    assert config.bins * features <= max(recipe.WIDEST, 2 * features)
    assert config.batch_size * 20 <= count or config.batch_size == 32
    assert config.early_stopping is not None


@given(st.integers(60, 10**7))
def test_training_takes_the_settings_for_every_series_and_an_epoch_has_several_steps(count):
    config = Train.model_validate(found := recipe.sequence(count))
    assert count * 0.7 / config.batch_size > 2
    assert config.early_stopping is not None
    assert config.early_stopping.patience <= config.epochs / 5
    fewer = recipe.sequence(count // 2)
    assert fewer["batch_size"] <= found["batch_size"]
    assert fewer["learning_rate"] <= found["learning_rate"]


@pytest.mark.parametrize("lacking", [0, 5, 64, 10_000])
def test_a_window_reaches_over_the_usual_gap_and_a_short_series_has_a_short_one(lacking):
    short, long = recipe.window(100, lacking), recipe.window(10_000, lacking)
    assert min(lacking, recipe.WIDEST_WINDOW - 1) < short <= long <= recipe.WIDEST_WINDOW


def test_more_rows_never_mean_fewer_bins_or_smaller_batches():
    sizes = [10**power for power in range(1, 8)]
    for name in ("bins", "batch_size"):
        values = [recipe.table(size, 10)[name] for size in sizes]
        assert values == sorted(values)
        assert values[0] < values[-1]


def test_a_recipe_is_the_same_every_time_and_no_two_share_what_can_be_changed():
    first, second = (recipe.table(5000, 10) for _ in range(2))
    assert first == second
    first["hidden"].append(1)
    assert second == recipe.table(5000, 10)


def test_classes_are_balanced_for_the_metric_that_asks_for_it_alone():
    assert [name for name in METRICS if recipe.class_weights(name) == "balanced"] == ["balanced_accuracy"]


@pytest.mark.long
def test_a_curve_of_skewed_numbers_is_found_which_a_linear_model_cannot_see(tmp_path, hardware):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"a": random.lognormal(0, 2, 3000), "b": random.normal(size=3000)})
    frame["y"] = np.sin(np.log(frame["a"])) + np.abs(frame["b"]) + random.normal(0, 0.1, 3000)
    frame["row_id"] = [f"{index}" for index in frame.index]
    data = Data(kind="table", task="regression", target="y", columns={"a": "number", "b": "number"})
    schema = rows.raw_schema(data)
    parts = {"train": frame[:2000], "validation": frame[2000:2300]}
    for name, part in parts.items():
        row_groups.write(tmp_path / f"{name}.parquet", schema, pa.Table.from_pandas(part, schema).to_batches())
    splits = (Split(tmp_path / "train.parquet", data), Split(tmp_path / "validation.parquet", data))
    config = Train.model_validate(recipe.table(len(frame), 2))
    model = train.train(config, statistics.measure(data, splits[0].pieces, config), splits, tmp_path / "history.csv")
    x, new = (part[["a", "b"]].to_numpy() for part in (frame[:2300], frame[2300:]))
    linear = LinearRegression().fit(x, frame["y"][:2300]).predict(new)
    assert r2_score(frame["y"][2300:], linear) < 0.3
    assert r2_score(frame["y"][2300:], np.asarray(model({"numbers": new}))[:, 0]) > 0.9
