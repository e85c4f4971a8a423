"""Train: the same bytes in every process, fitted on the training split alone, and an end when the loss is no number."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipelines import networks, predictor, train
from pipelines.errors import TrainingError
from pipelines.settings import Data
from pipelines.train import Train
from tests.world import PETS, World, tiles


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in [*(folder / "model").iterdir(), folder / "history.csv"]}


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system cannot hold a process to some cores")
def test_fresh_processes_on_one_core_and_on_all_write_the_bytes_of_this_one(made, tmp_path_factory):
    cores = os.sched_getaffinity(0)
    worlds = []
    for _ in range(2):
        world = World(tmp_path_factory.mktemp("again"))
        world.declare_tiles()
        world.pin(tiles(), "rows.parquet", model="tiles")
        for name in ("train.parquet", "validation.parquet"):
            (world.root / "data/tiles" / name).write_bytes((made.root / "data/tiles" / name).read_bytes())
        worlds.append(world)
    with ThreadPoolExecutor() as pool:
        places = zip(worlds, [{min(cores)}, cores], strict=True)
        done = list(pool.map(lambda place: place[0].command("train", "tiles", cores=place[1]), places))
    assert [(run.returncode, run.stderr) for run in done] == [(0, "")] * 2
    expected = contents(made.root / "data/tiles")
    for world in worlds:
        assert contents(world.root / "data/tiles") == expected


@pytest.fixture
def folder(tmp_path, made):
    """The split files of pets, to be changed."""
    for name in ("train", "validation", "test"):
        (tmp_path / f"{name}.parquet").write_bytes((made.root / f"data/pets/{name}.parquet").read_bytes())
    return tmp_path


def trained(folder: Path, **changes) -> dict[str, bytes]:
    """The files of a model trained on the splits of `folder`."""
    data = Data.model_validate(PETS["data"])
    config = Train.model_validate(PETS["train"] | changes)
    split, validation = (train.load(folder / f"{name}.parquet", data) for name in ("train", "validation"))
    fitted = networks.measure(data, *split)
    model = train.train(data, config, fitted, split, validation, folder / "history.csv")
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


@pytest.mark.parametrize("change", [{"seed": 2}, {"batch_size": 8}, {"learning_rate": 0.01}, {"optimizer": "sgd"}])
def test_every_key_of_training_is_used(folder, made, change):
    assert trained(folder, **change)["model.weights.h5"] != contents(made.root / "data/pets")["model.weights.h5"]


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


@pytest.mark.usefixtures("hardware")
def test_every_row_comes_once_in_an_epoch_and_the_order_is_that_of_seed_and_epoch():
    x, y = np.arange(25.0)[:, None], np.arange(25)

    def epochs(seed: int) -> list[list[int]]:
        batches = train.shuffled(x, y, 10, seed)
        found = []
        for _ in range(3):
            parts = [batches[index] for index in range(len(batches))]
            assert all((features[:, 0] == target).all() for features, target in parts)
            found.append(np.concatenate([target for _, target in parts]).tolist())
            batches.on_epoch_end()
        return found

    assert [sorted(order) for order in epochs(1)] == [list(range(25))] * 3
    assert len({tuple(order) for order in epochs(1) + epochs(2)}) == 6
    assert epochs(1) == epochs(1)


def test_a_loss_that_is_no_number_stops_training_and_leaves_no_model(folder):
    with pytest.raises(TrainingError, match=r"The loss became (nan|inf) in epoch \d+, step \d+: training has diverged"):
        trained(folder, optimizer="sgd", learning_rate=1e30)
    assert not (folder / "model").exists()


def test_weights_that_are_no_numbers_are_not_saved(folder):
    data, config = Data.model_validate(PETS["data"]), Train.model_validate(PETS["train"])
    split = train.load(folder / "train.parquet", data)
    fitted = networks.measure(data, *split)
    before = networks.features(data, fitted)
    network = networks.network(config, before.output.shape[1:], 2, seed=0)
    network.layers[-1].bias.assign([np.nan, 0.0])
    with pytest.raises(TrainingError, match=r"The weights .* are not finite: this model is not saved"):
        train.save(networks.whole(before, network, fitted), data, config, fitted, folder / "model")
    assert not (folder / "model").exists()


def test_extreme_values_are_no_trouble(folder):
    alter(folder / "train.parquet", weight=lambda c: pc.multiply(c, 1e300))
    alter(folder / "validation.parquet", weight=lambda c: pc.multiply(c, 1e300))
    trained(folder)
    assert np.isfinite(pd.read_csv(folder / "history.csv")).all(axis=None)


def test_the_batches_of_an_epoch_come_one_after_the_other_so_that_every_row_is_seen_once(folder, monkeypatch):
    asked: list[int] = []
    plain = train.shuffled

    def watched(x, y, *arguments):
        rows = plain(x, y, *arguments)
        kind = type(rows)
        take = kind.__getitem__

        def noted(self, index):
            asked.append(index)
            batch = take(self, index)
            seen.extend(map(bytes, batch[0]))
            return batch

        kind.__getitem__ = noted
        everything.extend(map(bytes, x))
        return rows

    seen: list[bytes] = []
    everything: list[bytes] = []
    monkeypatch.setattr(train, "shuffled", watched)
    trained(folder, epochs=3)
    batches = max(asked) + 1
    assert asked[-3 * batches :] == [*range(batches)] * 3  # before it begins Keras looks at a batch or two
    first, second, third = (seen[-count * len(everything) :][: len(everything)] for count in (3, 2, 1))
    assert sorted(first) == sorted(second) == sorted(third) == sorted(everything)
    assert first != second
