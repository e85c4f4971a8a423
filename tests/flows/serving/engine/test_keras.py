"""Keras: a child process computes what has no ONNX graph. It ends with the server, and is replaced when it dies."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from flows.serving.engine import keras, wire
from flows.serving.engine.keras import KerasEngine
from flows.serving.engine.live import Served
from flows.serving.problem import Problem
from pipelines.errors import RatchetError
from tests.support.served import versions
from tests.support.world import ROOT, until

KILLS, HANGS, FAILS = 666.0, 555.0, 13.0  # ages with which the model of the tests ends its process, waits, or fails


def arrays(*ages: float) -> dict[str, np.ndarray]:
    return {"numbers": np.array([[age] for age in ages]), "categories": np.array([["brown"]] * len(ages), object)}


def made(folder: Path) -> tuple[Path, str]:
    """A model folder and its model_hash."""
    place = versions.promote_keras(folder) / "model"
    return place, versions.digest(place / "manifest.json")


@pytest.fixture
def engine(tmp_path):
    found = KerasEngine(*made(tmp_path))
    yield found
    found.close()


def test_the_child_answers_and_what_fails_harms_it_not(engine):
    np.testing.assert_allclose(engine.answers(arrays(1.0, 2.0, float("nan"))), [[4.0], [6.0], [16.0]])
    first = engine.pid
    with pytest.raises(Problem, match="The model failed with ValueError") as caught:
        engine.answers(arrays(FAILS))
    assert caught.value.status == 500
    assert engine.answers(arrays(1.0)).tolist() == [[4.0]]
    assert engine.pid == first


def test_a_child_that_dies_is_started_again_once_in_a_while(engine, monkeypatch):
    os.kill(engine.pid, signal.SIGKILL)
    assert engine.answers(arrays(1.0)).tolist() == [[4.0]]
    assert engine.problem == ""
    for _ in range(2):
        with pytest.raises(Problem, match="has ended twice within a minute") as caught:
            engine.answers(arrays(KILLS))
        assert caught.value.status == 503
    assert "has ended twice" in engine.problem
    monkeypatch.setattr(keras, "AGAIN_SECONDS", 0.0)
    assert engine.answers(arrays(1.0)).tolist() == [[4.0]]
    assert engine.problem == ""


def test_a_child_that_says_nothing_is_replaced(engine, monkeypatch):
    monkeypatch.setattr(keras, "ANSWER_SECONDS", 0.2)
    first = engine.pid
    os.kill(first, signal.SIGSTOP)
    assert engine.answers(arrays(1.0)).tolist() == [[4.0]]
    assert engine.pid != first


def test_no_process_is_left_when_the_engine_is_closed(tmp_path):
    engine = KerasEngine(*made(tmp_path))
    pid = engine.pid
    engine.close()
    assert not psutil.pid_exists(pid)
    assert engine.pid is None


SERVER = """
import sys
from pathlib import Path
from flows.serving.engine.keras import KerasEngine
from tests.flows.serving.engine.test_keras import arrays
engine = KerasEngine(Path(sys.argv[1]), sys.argv[2])
print(engine.pid, flush=True)
engine.answers(arrays(float(sys.argv[3])))
sys.stdin.read()
"""


@pytest.mark.parametrize("age", [1.0, HANGS], ids=["idle", "computing"])
def test_the_child_ends_with_a_server_that_is_killed(tmp_path, age):
    command = [sys.executable, "-c", SERVER, *map(str, made(tmp_path)), str(age)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as server:
        child = psutil.Process(int(server.stdout.readline()))
        time.sleep(0.2)
        server.kill()
    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_another_model_than_the_recorded_one_is_not_loaded(tmp_path):
    folder, _ = made(tmp_path)
    with pytest.raises(RatchetError, match=r"cannot load .*: ValueError this is another model"):
        KerasEngine(folder, "0" * 64)


def test_a_model_without_a_graph_is_served_beside_others_and_replaced(tmp_path):
    versions.promote(tmp_path, "pets")
    versions.promote_keras(tmp_path, "weights", 1)

    async def served() -> list[tuple[str, str, float]]:
        found, answers = Served(tmp_path), []
        await found.start()
        one = found.models["weights"]
        while one.version is None:
            await asyncio.sleep(0.01)
        for version in (2, 3):
            answered = await one.answer([{"age": 3, "colour": None}] * 100)
            answers.append((answered.version.runtime, answered.version.why, answered.answers[99].prediction))
            (versions.promote if version == 2 else versions.promote_keras)(tmp_path, "weights", version)
            while one.version.number != version:
                await asyncio.sleep(0.01)
        await found.close()
        return answers

    start = time.monotonic()
    assert asyncio.run(served()) == [("keras", "it has layers of its own", 6.0), ("onnx", "", pytest.approx(6.1))]
    assert time.monotonic() - start < 60


def test_a_frame_is_read_as_it_was_written(tmp_path):
    sent = arrays(1.0, float("nan")) | {"image": np.arange(24, dtype=np.uint8).reshape(2, 3, 4, 1)}
    with (tmp_path / "frame").open("wb") as out:
        wire.send(out, *wire.packed(sent))
    with (tmp_path / "frame").open("rb") as source:
        found = wire.unpacked(*wire.receive(source))
        with pytest.raises(EOFError):
            wire.receive(source)
    assert found.keys() == sent.keys()
    for name, array in sent.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
