"""Train: the same bytes in every process, fitted on the training split alone, and an end when the loss is no number."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from ruamel.yaml import YAML
from sklearn.utils.class_weight import compute_sample_weight

from pipelines import train
from pipelines.config.data import Data
from pipelines.errors import TrainingError
from pipelines.fitting import fit
from pipelines.model import features, networks, predictor, statistics
from pipelines.model.statistics import Fitted
from pipelines.train import Train
from pipelines.training.data_loader import Split
from tests.support.world import PETS, World, tiles


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in [*(folder / "model").iterdir(), folder / "history.csv"]}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system cannot hold a process to some cores")
@pytest.mark.parametrize("cores", ["one", pytest.param("all", marks=pytest.mark.long)])
def test_a_fresh_process_on_one_core_or_on_all_writes_the_bytes_of_this_one(made, tmp_path, cores):
    """That a fresh process on all of them does is also in test_fork_server.py."""
    world = World(tmp_path)
    world.declare_tiles()
    world.pin(tiles(), "rows.parquet", model="tiles")
    for name in ("train.parquet", "validation.parquet"):
        (world.root / "data/tiles" / name).write_bytes((made.root / "data/tiles" / name).read_bytes())
    available = os.sched_getaffinity(0)
    done = world.command("train", "tiles", cores={min(available)} if cores == "one" else available)
    assert (done.returncode, done.stderr) == (0, "")
    assert contents(world.root / "data/tiles") == contents(made.root / "data/tiles")


@pytest.fixture
def folder(tmp_path, made):
    """The split files of pets, to be changed."""
    copied(made, "pets", tmp_path)
    return tmp_path


def copied(made: World, model: str, folder: Path) -> dict[str, Any]:
    """Put the split files of a model there; returns its declaration."""
    for name in ("train", "validation", "test"):
        (folder / f"{name}.parquet").write_bytes((made.root / f"data/{model}/{name}.parquet").read_bytes())
    return YAML(typ="safe").load(made.root / f"models/{model}.yaml")


def trained(folder: Path, declared: dict[str, Any] = PETS, **changes) -> dict[str, bytes]:
    """The files of a model trained on the splits of `folder`."""
    data = Data.model_validate(declared["data"])
    config = Train.model_validate(declared["train"] | changes | {"device": "cpu"})  # as `auto` is resolved here
    splits = (Split(folder / "train.parquet", data), Split(folder / "validation.parquet", data))
    fitted = statistics.measure(data, splits[0].pieces, config)
    model = train.train(config, fitted, splits, folder / "history.csv")
    train.save(model, data, config, fitted, folder / "model")
    return contents(folder)


def alter(path: Path, **columns) -> None:
    table = pq.read_table(path)
    for name, change in columns.items():
        table = table.set_column(table.column_names.index(name), table.schema.field(name), change(table[name]))
    pq.write_table(table, path)


def test_what_is_fitted_depends_on_training_rows_alone(folder, made):
    before = contents(made.root / "data/pets")
    for name in ("validation", "test"):
        alter(folder / f"{name}.parquet", weight=lambda c: pc.multiply(c, 1000.0), colour=lambda c: pc.utf8_upper(c))
    after = trained(folder)
    history = before.pop("history.csv"), after.pop("history.csv")
    assert after == before
    assert pd.read_csv(folder / "history.csv")["validation/loss"].max() > 10  # it did look at the changed rows
    assert history[0] != history[1]


def test_another_training_row_another_model(folder, made):
    before = contents(made.root / "data/pets")
    alter(folder / "train.parquet", weight=lambda c: pa.chunked_array([[99.0], c[1:].combine_chunks()]))
    after = trained(folder)
    assert after["architecture.json"] != before["architecture.json"]
    assert after["model.weights.h5"] != before["model.weights.h5"]


def test_training_again_in_one_process_gives_the_same_bytes(folder, made):
    assert trained(folder) == contents(made.root / "data/pets")


CHANGES: list[tuple[dict, dict]] = [
    ({}, {"seed": 2}),
    ({}, {"batch_size": 8}),
    ({}, {"learning_rate": 0.01}),
    ({}, {"optimizer": "sgd"}),
    ({"optimizer": "sgd"}, {"momentum": 0.9}),
    ({}, {"class_weights": "balanced"}),
    ({}, {"loss": "huber"}),
    ({}, {"learning_rate_schedule": {"by": "cosine", "decay_steps": 10}}),
    ({}, {"weight_decay": 0.1}),
    ({}, {"wide": True}),
    ({}, {"numbers": "quantiles"}),
    ({"numbers": "quantiles"}, {"bins": 3}),
    ({}, {"min_count": 1000}),
]


STEPWISE = {"xla": "off", "epochs": 1}  # to compile takes most of the time of a training as small as these


@pytest.fixture(scope="module")
def unchanged(made, tmp_path_factory) -> dict[str, bytes]:
    copied(made, "pets", folder := tmp_path_factory.mktemp("unchanged"))
    return trained(folder, **STEPWISE)


@pytest.mark.parametrize(("others", "change"), CHANGES, ids=[next(iter(change)) for _, change in CHANGES])
def test_every_key_of_training_is_used(folder, unchanged, others, change):
    before = trained(folder, **others, **STEPWISE) if others else unchanged
    assert trained(folder, **others, **change, **STEPWISE)["model.weights.h5"] != before["model.weights.h5"]


def test_a_recipe_with_every_key_of_tables_gives_the_same_bytes_twice_and_is_compiled(folder, capsys):
    keys = {"numbers": "quantiles", "bins": 5, "wide": True, "weight_decay": 0.01, "min_count": 2, "dropout": 0.2}
    assert trained(folder, **keys) == trained(folder, **keys)
    assert "XLA" not in capsys.readouterr().out
    predictor.Predictor(folder / "model")  # what is saved says how it was trained, too, and has to load


def test_the_history_has_a_line_for_each_epoch_and_keras_own_values(made):
    history = pd.read_csv(made.root / "data/pets/history.csv")
    assert history["epoch"].tolist() == [1, 2, 3]
    assert list(history)[1:] == ["train/accuracy", "train/loss", "validation/accuracy", "validation/loss"]
    frame = pq.read_table(made.root / "data/pets/validation.parquet").to_pandas()
    found = predictor.Predictor(made.root / "data/pets/model").predict(frame)
    accuracy = (found["prediction"].to_numpy() == frame["animal"].to_numpy()).mean()
    assert history["validation/accuracy"].iloc[-1] == pytest.approx(accuracy, rel=1e-5)
    right = np.where(frame["animal"] == "dog", found["probability_dog"], found["probability_cat"])
    assert history["validation/loss"].iloc[-1] == pytest.approx(-np.log(right).mean(), rel=1e-4)


def test_a_regressions_error_is_told_in_the_targets_units(made):
    history = pd.read_csv(made.root / "data/weights/history.csv")
    frame = pq.read_table(made.root / "data/weights/validation.parquet").to_pandas()
    found = predictor.Predictor(made.root / "data/weights/model").predict(frame)
    error = np.abs(found["prediction"] - frame["weight"]).mean()
    assert history["validation/mean_absolute_error"].iloc[-1] == pytest.approx(error, rel=1e-4)


LOSSES = {  # a row's, from the distance of its answer and its target
    "mean_squared_error": lambda apart: apart**2,
    "mean_absolute_error": lambda apart: np.abs(apart),
    "huber": lambda apart: np.where(np.abs(apart) <= 1, apart**2 / 2, np.abs(apart) - 0.5),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_classification_may_be_trained_by_its_distance_to_the_class(folder, loss):
    trained(folder, loss=loss, **STEPWISE)
    frame = pq.read_table(folder / "validation.parquet").to_pandas()
    found = predictor.Predictor(folder / "model").predict(frame)
    apart = np.array([found[f"probability_{name}"] - (frame["animal"] == name) for name in ("cat", "dog")])
    last = pd.read_csv(folder / "history.csv")["validation/loss"].iloc[-1]
    assert last == pytest.approx(LOSSES[loss](apart).mean(), rel=1e-4)


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_of_a_regression_is_in_standard_deviations_of_the_target(tmp_path, made, loss):
    trained(tmp_path, copied(made, "weights", tmp_path), loss=loss, **STEPWISE)
    frame = pq.read_table(tmp_path / "validation.parquet").to_pandas()
    found = predictor.Predictor(tmp_path / "model").predict(frame)
    scale = pq.read_table(tmp_path / "train.parquet")["weight"].to_numpy().std()
    last = pd.read_csv(tmp_path / "history.csv")["validation/loss"].iloc[-1]
    assert last == pytest.approx(LOSSES[loss]((found["prediction"] - frame["weight"]) / scale).mean(), rel=1e-4)


def test_balanced_classes_give_each_row_the_weight_that_scikit_learn_gives_it():
    words = np.array(["cat", "dog", "cat", "eel", "cat"])
    fitted = Fitted([], [], [], (0.0, 1.0), {"cat": 3, "dog": 1, "eel": 1})
    for loss in (None, "huber"):
        prepare = fit.preparation(lambda arrays: arrays["x"], Train(class_weights="balanced", loss=loss), fitted)
        x, y, weights = prepare({"x": np.arange(5)}, words)
        assert x.tolist() == [0, 1, 2, 3, 4]
        assert (y.argmax(axis=1) if loss else y).tolist() == [0, 1, 0, 2, 0]
        np.testing.assert_allclose(weights, compute_sample_weight("balanced", words), rtol=1e-6)
    assert len(fit.preparation(lambda arrays: arrays["x"], Train(), fitted)({"x": np.arange(5)}, words)) == 2


@pytest.mark.long
def test_a_recurrent_network_gives_the_same_bytes_twice(tmp_path, made, capsys):
    tiles = copied(made, "tiles", tmp_path)
    tiles["train"] = {"network": "rnn", "recurrent": [6], "hidden": [4], "epochs": 2}
    first = trained(tmp_path, tiles)
    assert trained(tmp_path, tiles) == first
    assert "XLA" not in capsys.readouterr().out
    assert trained(tmp_path, tiles, cell="gru")["model.weights.h5"] != first["model.weights.h5"]


def test_pictures_altered_in_training_are_the_same_in_every_training_and_are_no_part_of_the_model(
    tmp_path, made, capsys
):
    tiles = copied(made, "tiles", tmp_path)
    augment = {"rotation": 0.1, "translation": 0.1, "zoom": 0.1}
    first = trained(tmp_path, tiles, augment=augment)
    assert capsys.readouterr().out.count("so TensorFlow runs this network step by step") == 1
    assert trained(tmp_path, tiles, augment=augment) == first
    plain = contents(made.root / "data/tiles")
    assert b"Random" not in first["architecture.json"]
    assert first["model.weights.h5"] != plain["model.weights.h5"]


def test_a_profile_changes_nothing_and_takes_the_place_of_an_older_one(folder, made, capsys):
    stale = folder / "tensorboard" / "stale"
    stale.parent.mkdir()
    stale.touch()
    assert trained(folder, profile=True) == contents(made.root / "data/pets")
    assert f"note: the profile: xprof --logdir {folder / 'tensorboard'}" in capsys.readouterr().out
    assert list(folder.glob("tensorboard/plugins/profile/*/*.xplane.pb"))
    assert not stale.exists()


def test_a_loss_that_is_no_number_stops_training_and_leaves_no_model(folder):
    with pytest.raises(TrainingError, match=r"The loss became (nan|inf) in epoch \d+, step \d+: training has diverged"):
        trained(folder, optimizer="sgd", learning_rate=1e30)
    assert not (folder / "model").exists()


def test_weights_that_are_no_numbers_are_not_saved(folder):
    data, config = Data.model_validate(PETS["data"]), Train.model_validate(PETS["train"])
    fitted = statistics.measure(data, Split(folder / "train.parquet", data).pieces)
    before = features.features(data, fitted)
    network = networks.network(config, before.output.shape[1:], 2, seed=0)
    network.layers[-1].bias.assign([np.nan, 0.0])
    with pytest.raises(TrainingError, match=r"The weights .* are not finite, so the model is not saved"):
        train.save(features.whole(before, network, fitted), data, config, fitted, folder / "model")
    assert not (folder / "model").exists()


def test_extreme_values_are_no_trouble(folder):
    alter(folder / "train.parquet", weight=lambda c: pc.multiply(c, 1e300))
    alter(folder / "validation.parquet", weight=lambda c: pc.multiply(c, 1e300))
    trained(folder)
    assert np.isfinite(pd.read_csv(folder / "history.csv")).all(axis=None)
