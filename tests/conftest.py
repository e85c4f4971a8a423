"""Fixtures that several tests share."""

import gc
import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest
import sqlalchemy

from flows.project import environment
from tests.support import golden
from tests.support.world import ROOT, World

# The deadline: a busy machine is no fault. `make test-fast` takes the second profile, `make random` the third.
for profile, examples in (("ratchet", 50), ("quick", 15), ("thorough", 200)):
    hypothesis.settings.register_profile(profile, deadline=None, max_examples=examples)
hypothesis.settings.load_profile("ratchet")


FIRST = (  # the longest: of two workers the first makes a finished project, which the second has no need of meanwhile
    "tests/whole/test_end_to_end.py",
    "tests/pipelines/test_train.py",
    "tests/pipelines/training/test_compiled_fit.py",
    "tests/flows/promotion/test_decide.py",
    "tests/whole/test_own_data.py",
    "tests/pipelines/process/test_fork_server.py",
    "tests/flows/verify/test_verify.py",
    "tests/faults/test_crash.py",
    "tests/flows/predict/test_predict.py",
    "tests/flows/inspect/test_plan.py",
    "tests/whole/test_fresh_clone.py",
)
PROCESSES = {"subprocess", "git", "command", "ratchet", "answer", "golden", "registered", "prefect_test_harness"}


def pytest_configure():
    """Started in the background or by `nohup`, processes ignore signals, and so would all that the tests start."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """The longest files come first, unless the order is drawn. What a test needs is marked, as far as that is seen."""
    places = {str(ROOT / name): place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(str(item.path), len(places)))
    for item in items:
        if {"made", "hardware"} & set(item.fixturenames):
            item.add_marker(pytest.mark.tensorflow)
        if PROCESSES & vars(item.module).keys():
            item.add_marker(pytest.mark.process)


def pytest_collection_finish():
    _settle()


def _settle() -> None:
    """What has been imported stays: no later collection of garbage has to walk through it. Keras asks for a collection
    before every training, and each took a fifth of the time of a small one."""
    gc.collect()
    gc.freeze()


@sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
def _never_wait_for_the_disk(connection, _):
    """No test cuts the power, and a busy disk takes hundredths of a second for each transaction of MLflow's store."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")


@pytest.fixture
def world(tmp_path, monkeypatch):
    """An empty project folder, which is the working directory, with the model `pets` declared."""
    monkeypatch.chdir(tmp_path)
    world = World(tmp_path)
    world.declare()
    return world


@pytest.fixture(scope="session")
def hardware():
    """TensorFlow, as `train` and `evaluate` set it up."""
    from pipelines.hardware import device

    found = device.prepare(device.Hardware(), seed=0)
    _settle()
    return found


@pytest.fixture(scope="session")
def made(tmp_path_factory, hardware):
    """A project folder in which all stages have run: for `pets` (two classes, text), `weights` (a regression on the
    same table) and `tiles` (images, three classes, whole numbers). It is only read: who writes takes a copy."""
    world = World(tmp_path_factory.mktemp("made"))
    golden.stages(world.root)
    SHARED[world.root] = listed(world.root)
    return world


@pytest.fixture(scope="session")
def begun(tmp_path_factory) -> Path:
    """A folder in which git and DVC were begun, to be copied."""
    folder = tmp_path_factory.mktemp("begun")
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=folder, check=True)
    command = [sys.executable, "-m", "dvc", "init", "-q"]
    subprocess.run(command, cwd=folder, check=True, env=os.environ | environment.QUIET)
    return folder


SHARED: dict[Path, dict[Path, int]] = {}  # folders that tests share -> what is in them


def listed(folder: Path) -> dict[Path, int]:
    """Every file, and when it was changed."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(autouse=True)
def _shared_folders_stay(request):
    """What one test leaves there the next one would find, or not, depending on the order."""
    yield
    for folder, before in SHARED.items() if "made" in request.fixturenames else ():
        if (now := listed(folder)) != before:
            SHARED[folder] = now  # told once
            changed = sorted(str(path.relative_to(folder)) for path, _ in before.items() ^ now.items())
            pytest.fail(f"this test changed {sorted(set(changed))} in the folder that tests share: take a copy")


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_testnodedown(node, error):
    """Say how a worker has died: xdist says no more than that it did."""
    if error:
        status = node.gateway._io.popen.wait(10)
        how = signal.Signals(-status).name if status < 0 else f"status {status}"
        print(f"\nworker {node.gateway.id} ended by {how}", flush=True)
