"""Checkpoints: a training that was killed goes on after its last epoch, and ends with the bytes it would have had."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from pipelines import train
from pipelines.model import objective
from pipelines.table import row_groups
from pipelines.training import checkpoints, data_loader, keras_callbacks
from tests.pipelines.test_train import contents
from tests.support.world import ROOT, World, tiles

KILLED_AFTER = """
import os, runpy, signal, sys
from pipelines import train
from pipelines.training import checkpoints
after, write = int(sys.argv.pop(1)), checkpoints._write
def write_and_die(path, arrays):
    write(path, arrays)
    if checkpoints.json.loads(arrays[checkpoints.ABOUT].tobytes())["epoch"] == after:
        os.kill(os.getpid(), signal.SIGKILL)
checkpoints._write = write_and_die
runpy.run_module("pipelines", run_name="__main__", alter_sys=True)
"""
RULES = {
    "early_stopping": {"patience": 3, "min_delta": 0.05},
    "reduce_on_plateau": {"patience": 1, "min_learning_rate": 1e-5},
}
CASES = {
    "dropout and adam": {"dropout": 0.3, "epochs": 6},
    "early stopping and reduce on plateau": {**RULES, "epochs": 40, "learning_rate": 0.05},
}


def prepared(world: World, **changes) -> World:
    """Tiles up to `check`."""
    world.declare_tiles(train={"network": "cnn", "filters": [4], "hidden": [16], **changes})
    world.pin(tiles(), "rows.parquet", model="tiles")
    world.run("ingest", "validate", "clean", "check", model="tiles")
    return world


def killed(world: World, epoch: int) -> None:
    """A training of tiles that dies with the given epoch's checkpoint written."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED_AFTER, str(epoch), "train", "tiles"],
        cwd=world.root,
        env=dict(os.environ) | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert (world.root / "data/tiles/checkpoint.npz").exists()


@pytest.mark.long
@pytest.mark.parametrize("case", ["dropout and adam", "early stopping and reduce on plateau"])
def test_a_killed_training_ends_with_the_bytes_of_an_uninterrupted_one(world, case):
    prepared(world, **CASES[case])
    folder = world.root / "data/tiles"
    assert world.command("train", "tiles").returncode == 0
    whole = contents(folder)
    last = whole["history.csv"].count(b"\n") - 1
    for epoch in (1, last):
        (folder / "history.csv").unlink()
        killed(world, epoch)
        done = world.command("train", "tiles")
        assert (done.returncode, done.stderr) == (0, "")
        assert f"note: training goes on after epoch {epoch}, from a checkpoint" in done.stdout
        assert contents(folder) == whole
        assert not (folder / "checkpoint.npz").exists()


WAYS = {
    "pictures are altered": ({"augment": {"rotation": 0.1, "zoom": 0.2}}, {}),
    "it attends": ({"network": "attention", "filters": [], "width": 8, "heads": 2}, {}),
    "rows are streamed": ({}, {"HELD_BYTES": 0, "WINDOW_BYTES": 1}),
    "the learning rate has a schedule": (
        {"optimizer": "sgd", "learning_rate_schedule": {"by": "exponential", "decay_steps": 3, "decay_rate": 0.9}},
        {},
    ),
}


@pytest.mark.usefixtures("hardware")
@pytest.mark.parametrize(
    "way", [way if way == "rows are streamed" else pytest.param(way, marks=pytest.mark.long) for way in WAYS]
)
def test_a_training_that_was_stopped_ends_with_the_same_bytes_in_every_way_of_training(world, monkeypatch, capsys, way):
    """In this process: the end comes as an exception, once the second epoch's checkpoint is written."""
    config, limits = WAYS[way]
    for name, value in limits.items():
        monkeypatch.setattr(data_loader, name, value)
    monkeypatch.setattr(row_groups, "GROUP_ROWS", 30)  # so that there are several windows to stream
    prepared(world, **config, dropout=0.2, epochs=4)
    folder = world.run("train", model="tiles")
    whole = contents(folder)
    write = checkpoints._write

    def write_and_stop(path, arrays):
        write(path, arrays)
        if json.loads(arrays[checkpoints.ABOUT].tobytes())["epoch"] == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints, "_write", write_and_stop)
    with pytest.raises(KeyboardInterrupt):
        world.run("train", model="tiles")
    monkeypatch.setattr(checkpoints, "_write", write)
    assert (folder / "history.csv").read_text().count("\n") == 3
    world.run("train", model="tiles")
    assert "note: training goes on after epoch 2, from a checkpoint" in capsys.readouterr().out
    assert contents(folder) == whole


@pytest.mark.long
def test_the_rules_of_the_case_above_do_something(world):
    prepared(world, **CASES["early stopping and reduce on plateau"])
    assert world.command("train", "tiles").returncode == 0
    lines = (world.root / "data/tiles/history.csv").read_text().splitlines()
    assert len(lines) - 1 < 40
    place = lines[0].split(",").index("train/learning_rate")
    assert len({line.split(",")[place] for line in lines[1:]}) > 1


CHANGES = {
    "data/tiles/train.parquet": lambda world: world.run("clean", model="tiles"),
    "the section train": lambda world: None,
}


@pytest.mark.long
@pytest.mark.parametrize("different", ["data/tiles/train.parquet", "the section train"])
def test_a_checkpoint_of_something_else_is_not_used_and_the_difference_is_said(world, different):
    prepared(world, epochs=4)
    killed(world, 2)
    more = {"clean": {"split": {"by": "hash", "seed": 5}}} if "parquet" in different else {}
    seed = 9 if "section" in different else 1
    world.declare_tiles(train={"network": "cnn", "filters": [4], "hidden": [16], "epochs": 4, "seed": seed}, **more)
    CHANGES[different](world)
    done = world.command("train", "tiles")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"note: {different} changed since the checkpoint of epoch 2: training starts afresh" in done.stdout
    found = contents(world.root / "data/tiles")
    assert world.command("train", "tiles").returncode == 0
    assert contents(world.root / "data/tiles") == found


@pytest.mark.long
def test_a_checkpoint_that_is_damaged_is_not_used(world):
    prepared(world, epochs=2)
    path = world.root / "data/tiles/checkpoint.npz"
    for content in (b"", b"PK\x03\x04 no archive"):
        path.write_bytes(content)
        done = world.command("train", "tiles")
        assert (done.returncode, done.stderr) == (0, "")
        assert "cannot be read" in done.stdout


def weights(arrays):
    arrays["variable_0"] = arrays["variable_0"] + np.float32(0.5)


def about(arrays):
    told = json.loads(arrays[checkpoints.ABOUT].tobytes()) | {"epoch": 3}
    arrays[checkpoints.ABOUT] = np.frombuffer(json.dumps(told).encode(), np.uint8)


def no_digest(arrays):
    del arrays[checkpoints.DIGEST]


def one_less(arrays):
    del arrays["variable_1"]


@pytest.mark.parametrize("change", [None, weights, about, no_digest, one_less])
def test_a_checkpoint_that_was_changed_is_not_trained_on_from(tmp_path, change):
    """A whole archive, with sums of its own that are right."""
    path, said = tmp_path / "checkpoint.npz", []
    told = {"identity": {"data": "a"}, "epoch": 2, "callbacks": [], "history": "", "stopped": False}
    arrays = {"variable_0": np.ones((2, 3), np.float32), "variable_1": np.array(7, np.int64)}
    arrays[checkpoints.ABOUT] = np.frombuffer(json.dumps(told).encode(), np.uint8)
    checkpoints._write(path, arrays)
    if change is not None:
        with np.load(path) as file:
            found = dict(file)
        change(found)
        np.savez(path, **found)
    result = checkpoints.find(path, {"data": "a"}, said.append)
    if change is None:
        np.testing.assert_array_equal(result.arrays["variable_0"], arrays["variable_0"])
        assert result.epoch == 2
    else:
        assert result is None
        assert said == [
            f"the checkpoint {path} cannot be read (its content is not what was written: it was changed): training "
            "starts afresh"
        ]


@pytest.mark.tensorflow
def test_the_state_of_every_callback_is_named_and_comes_back():
    import keras

    config = train.Train.model_validate(RULES)
    for index, made in enumerate([*objective.rules(config), keras_callbacks.log(None, 1.0)]):
        names = checkpoints.STATE[type(made).__name__]
        values = {name: [np.arange(3.0), np.ones(3)] if name == "best_weights" else np.float32(0.1) for name in names}
        vars(made).update(values)
        arrays: checkpoints.Arrays = {}
        plain = json.loads(json.dumps(checkpoints._state(made, arrays, f"callback_{index}")))
        vars(made).update(dict.fromkeys(names))
        checkpoints._restore(made, plain, arrays, f"callback_{index}")
        for name in names:
            for found, wanted in zip(np.atleast_1d(getattr(made, name)), np.atleast_1d(values[name]), strict=True):
                np.testing.assert_array_equal(found, wanted)
    with pytest.raises(KeyError, match="CSVLogger"):
        checkpoints._state(keras.callbacks.CSVLogger("file"), {}, "callback_0")
