"""Fixtures that several tests share."""

import hypothesis
import pytest

from tests.world import World

hypothesis.settings.register_profile("ratchet", deadline=None)  # a busy machine is no fault
hypothesis.settings.load_profile("ratchet")


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
    from pipelines import device

    return device.prepare(device.Hardware(), seed=0)
