"""Replicas: several devices, and several processes, train what one device trains with the same batches."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.errors import TrainingError
from pipelines.training import replicas
from tests.support.world import PATIENCE, ROOT, World, pets, until

EPOCHS = 4


def history(world: World) -> np.ndarray:
    """[epochs, columns]"""
    found = np.loadtxt(world.root / "data/pets/history.csv", delimiter=",", skiprows=1)
    return found.reshape(-1, found.shape[-1])


def declare(world: World, **train: Any) -> None:
    """With dropout it would be other masks; with 200 rows the last batch of an epoch is no multiple of anything."""
    world.declare(train={"hidden": [8], "epochs": EPOCHS, "batch_size": 15, "device": "cpu", **train})


@pytest.fixture
def prepared(world):
    """Everything before `train`."""
    declare(world)
    world.pin(pets())
    for stage in ("ingest", "validate", "clean", "check"):
        done = world.command(stage)
        assert done.returncode == 0, done.stderr
    return world


def trained(world: World) -> tuple[np.ndarray, str]:
    done = world.command("train")
    assert done.returncode == 0, done.stderr
    return history(world), done.stdout


def start(world: World, count: int) -> list[subprocess.Popen[str]]:
    """The workers of one training, each with its TF_CONFIG, as a launcher would start them."""
    ports = []
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            door = stack.enter_context(socket.socket())
            door.bind(("127.0.0.1", 0))
            ports.append(door.getsockname()[1])
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    found = []
    for index in range(count):
        config = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CONFIG": json.dumps(config)}
        command = [sys.executable, "-m", "pipelines", "train", "pets"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        found.append(subprocess.Popen(command, cwd=world.root, env=environment, **pipes))  # type: ignore[call-overload]
    return found


@pytest.mark.long
def test_two_devices_train_what_one_does_and_the_declared_scale_is_another_training(prepared):
    alone, _ = trained(prepared)
    declare(prepared, devices=2)
    found, said = trained(prepared)
    assert "CPU in 2 parts" in said
    assert "2 replicas share batches of 15 rows, at the learning rate 0.001 (scale: none)" in said
    np.testing.assert_allclose(found, alone, rtol=1e-4)
    about = json.loads((prepared.root / "data/pets/model/model.json").read_text())
    assert about["hardware"]["devices"] == 2
    declare(prepared, devices=2, scale="square_root")
    other, said = trained(prepared)
    assert "2 replicas share batches of 30 rows, at the learning rate 0.00141421 (scale: square_root)" in said
    assert not np.allclose(other, alone, rtol=1e-4)
    declare(prepared, devices=2, dropout=0.3, network="mlp", micro_batch=5, optimizer="sgd", momentum=0.9)
    trained(prepared)  # masks of its own in each part
    done = prepared.command("evaluate")
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_two_workers_train_what_one_does_and_only_the_first_one_writes(prepared):
    alone, _ = trained(prepared)
    declare(prepared, workers=2)
    before = {path for path in prepared.root.rglob("*") if "__pycache__" not in path.parts}
    first, second = start(prepared, 2)
    (said, error), (_, other) = first.communicate(timeout=PATIENCE), second.communicate(timeout=PATIENCE)
    assert (first.returncode, second.returncode) == (0, 0), error + other
    assert "worker 1 of 2, waiting for the others" in said
    np.testing.assert_allclose(history(prepared), alone, rtol=1e-4)
    assert {path for path in prepared.root.rglob("*") if "__pycache__" not in path.parts} == before


@pytest.mark.long
def test_a_killed_worker_ends_the_training_clearly_and_another_start_goes_on(prepared):
    declare(prepared, workers=2, epochs=3000)
    first, second = start(prepared, 2)
    checkpoint = prepared.root / "data/pets/checkpoint.npz"
    until(lambda: checkpoint.exists() and len(history(prepared)) > 1)
    second.send_signal(signal.SIGKILL)
    _, error = first.communicate(timeout=PATIENCE)
    second.communicate()
    assert first.returncode == 1
    assert error.startswith("error: A worker of this training cannot be reached any more: ")
    assert error.endswith("Start all workers again: they continue after the last finished epoch.\n")
    done = len(history(prepared))
    kept = history(prepared)[:2]
    first, second = start(prepared, 2)
    lines = iter(first.stdout or [])
    assert any(f"training goes on after epoch {done}, from a checkpoint" in line for line in lines)
    for process in (first, second):
        process.kill()
        process.communicate()
    assert (history(prepared)[:2] == kept).all()


def config(count: int, index: int, kind: str = "worker") -> str:
    return json.dumps({"cluster": {"worker": ["x:1"] * count}, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "train.workers is 2, and TF_CONFIG is not set"),
        (config(3, 0), "train.workers is 2, and TF_CONFIG names 3, of which this is 0"),
        (config(2, 2), "TF_CONFIG names 2, of which this is 2"),
        (config(2, 0, "ps"), "TF_CONFIG names 2"),
        ("{", "TF_CONFIG cannot be read"),
        ("[]", "TF_CONFIG cannot be read"),
    ],
)
def test_workers_that_no_launcher_started_are_told(value, told, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if value is not None:
        monkeypatch.setenv("TF_CONFIG", value)
    with pytest.raises(TrainingError, match=told):
        replicas.worker(2)
    assert replicas.worker(1).count == 1


def test_who_a_worker_is_and_where_it_writes(monkeypatch, tmp_path):
    monkeypatch.setenv("TF_CONFIG", config(2, 0))
    with replicas.worker(2).place(tmp_path) as place:
        assert place == tmp_path
    monkeypatch.setenv("TF_CONFIG", config(2, 1))
    with replicas.worker(2).place(tmp_path) as place:
        assert place != tmp_path
        assert place.is_dir()
    assert not Path(place).exists()


@pytest.mark.parametrize(
    ("scale", "found"), [("none", (32, 0.01)), ("linear", (128, 0.04)), ("square_root", (128, 0.02))]
)
def test_what_grows_with_the_replicas_is_declared(scale, found):
    assert replicas.scaled(scale, 4, 32, 0.01) == found
    assert replicas.scaled(scale, 1, 32, 0.01) == (32, 0.01)
