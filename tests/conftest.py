"""Fixtures that several tests share."""

import contextlib

import hypothesis
import pytest

from tests.world import STAGES, World, pets, tiles

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


@pytest.fixture(scope="session")
def made(tmp_path_factory, hardware):
    """A project folder in which all stages have run: for `pets` (two classes, text), `weights` (a regression on the
    same table) and `tiles` (images, three classes, whole numbers)."""
    world = World(tmp_path_factory.mktemp("made"))
    world.declare()
    world.declare_weights()
    world.declare_tiles()
    with contextlib.chdir(world.root):
        world.pin(pets())
        world.pin(pets(), model="weights")
        world.pin(tiles(), "rows.parquet", model="tiles")
        for model in ("pets", "weights", "tiles"):
            world.run(*STAGES, model=model)
    return world
