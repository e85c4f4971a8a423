"""Half precision, in a process that computes in it: python -m pytest tests/support/started/half_precision.py

A process of float32 tells oneDNN once which instructions it may use, and crashes on some processors when it is then
asked for half precision. So tests/pipelines/hardware/test_half_precision.py runs this file in a process of its own, as
Ratchet does it with stages and predictions.
"""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from flows.predict import worker
from pipelines import evaluate
from pipelines.hardware import device
from pipelines.model import networks, objective
from pipelines.train import Train
from pipelines.training import compiled_fit
from pipelines.training.data_loader import Held
from tests.pipelines.config.test_user_code import BUILD
from tests.pipelines.training.test_compiled_fit import BATCH, rows
from tests.support.world import World, pets


@pytest.fixture(scope="session")
def hardware():
    return device.prepare(device.Hardware(precision="mixed_float16", device="cpu"), seed=0)


pytestmark = pytest.mark.usefixtures("hardware")


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_a_network_computes_in_its_precision_and_answers_in_float32(precision):
    config = Train(hidden=[5], optimizer="sgd")
    with networks.computed_in(precision):
        network = networks.answering(networks.network(config, (6,), 3, 0))
        network.compile(objective.optimizer(config), "sparse_categorical_crossentropy", metrics=["accuracy"])
    assert network.get_layer("hidden_0").compute_dtype == precision.removeprefix("mixed_")
    assert {weight.dtype for weight in network.weights} == {"float32"}
    assert network.output.dtype == "float32"
    scales = type(network.optimizer).__name__ == "LossScaleOptimizer"
    assert scales == (precision == "mixed_float16")
    held = Held(rows((6,)), 5)
    for plan in (compiled_fit.Plan(BATCH), compiled_fit.Plan(BATCH, 2)):
        found = compiled_fit.fit(network, held, Held(rows((6,), 20), None), plan, epochs=2, callbacks=[])
        assert found.history["loss"][-1] < found.history["loss"][0]
    assert networks.network(config, (6,), 3, 0).get_layer("hidden_0").compute_dtype == "float32"


def test_a_network_of_ones_own_answers_in_float32_too():
    import keras

    with networks.computed_in("mixed_float16"):
        start = keras.Input((6,))
        found = networks.answering(keras.Model(start, keras.layers.Dense(2)(start), name="network"))
    assert (found.output.dtype, found.name) == ("float32", "network")


def test_a_model_in_half_precision_is_trained_evaluated_and_loaded(world: World):
    """With a layer of its own that says so itself."""
    (world.root / "models/pets.py").write_text(BUILD.replace('activation="swish"', 'dtype="bfloat16"'))
    world.declare(train={"precision": "mixed_bfloat16", "device": "cpu", "own": {"width": 5}, "epochs": 2})
    world.pin(pets())
    folder = world.run("ingest", "validate", "clean", "check", "train", "evaluate")
    assert json.loads((folder / "model/model.json").read_text())["hardware"]["precision"] == "mixed_bfloat16"
    found = worker.loaded(folder / "model").predict(pq.read_table(folder / "test.parquet").to_pandas())
    expected = evaluate.answers(folder / "predictions.parquet")
    np.testing.assert_array_equal(found["probability_cat"], expected["probability_cat"])
