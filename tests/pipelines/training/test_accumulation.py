"""Accumulation: a batch in parts gives, within rounding, what the whole batch gives; memory decides how many rows."""

from functools import cache
from typing import Any

import numpy as np
import pytest

from pipelines import train
from pipelines.config.data import Data
from pipelines.errors import SettingsError, TrainingError
from pipelines.model import statistics
from pipelines.train import Train
from pipelines.training import compiled_fit, memory
from pipelines.training.data_loader import Held, Split
from tests.pipelines.test_train import copied
from tests.pipelines.training.test_compiled_fit import BATCH, compiled, rows

pytestmark = pytest.mark.usefixtures("hardware")


@cache
def run(name: str, shape: tuple[int, ...], weighted: bool, **plan: Any) -> tuple[dict[str, list[float]], list[Any]]:
    """Three epochs of 43 rows: five whole batches of 8, and one of three."""
    model = compiled(name)
    columns, held_out = rows(shape, weighted=weighted), rows(shape, 20, weighted=weighted, seed=1)
    found = compiled_fit.fit(
        model, Held(columns, 5), Held(held_out, None), compiled_fit.Plan(BATCH, **plan), epochs=3, callbacks=[]
    )
    return found.history, model.get_weights()


@pytest.mark.parametrize(
    ("name", "shape", "weighted", "plan"),
    [
        ("dense", (6,), True, {"micro": 4}),
        ("dense", (6,), False, {"micro": 2, "xla": "off"}),
        ("dense", (6,), False, {"xla": "off"}),
        pytest.param("convolution", (6, 6, 2), False, {"micro": 1}, marks=pytest.mark.long),
    ],
)
def test_a_batch_in_parts_is_the_batch_within_rounding(name, shape, plan, weighted):
    expected, weights = run(name, shape, weighted)
    found, others = run(name, shape, weighted, **plan)
    assert found.keys() == expected.keys()
    for key in expected:
        np.testing.assert_allclose(found[key], expected[key], rtol=1e-5, atol=1e-6)
    for one, other in zip(others, weights, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_validation_is_cut_as_the_batch_is():
    assert compiled_fit.Plan(32).validation_rows == 1024
    assert compiled_fit.Plan(32, 8).validation_rows == 256
    assert compiled_fit.Plan(4096, 1).validation_rows == 1


# ------------------------------------------------------------------ memory


def room_for(most: int, tried: list[int]) -> Any:
    import tensorflow as tf

    def attempt(micro: int) -> str:
        tried.append(micro)
        if micro > most:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor with shape[32,9]\nand so on")
        return "trained"

    return attempt


@pytest.mark.parametrize(
    ("batch", "most", "tried"), [(32, 32, [32]), (32, 9, [32, 16, 8]), (100, 7, [100, 50, 25, 10, 5]), (37, 5, [37, 1])]
)
def test_a_batch_that_does_not_fit_is_halved_until_it_does(batch, most, tried):
    found: list[int] = []
    said: list[str] = []
    assert memory.fitting(room_for(most, found), batch, batch, said.append) == "trained"
    assert found == tried
    assert len(said) == len(tried) - 1
    if said:
        assert said[0] == (
            f"{batch} rows at once do not fit into memory: training again with {tried[1]} at once "
            "(OOM when allocating tensor with shape[32,9])"
        )


def test_the_reason_is_the_line_that_names_the_memory():
    import tensorflow as tf

    def attempt(micro: int) -> None:
        text = (
            "Graph execution error:\n\nDetected at node MatMul defined at (most recent call last):\n"
            '  File "pipelines/training/memory.py", line 31, in fitting\n'
            "OOM when allocating tensor with shape[9]\n\t [[MatMul]]"
        )
        raise tf.errors.ResourceExhaustedError(None, None, text)

    with pytest.raises(TrainingError, match=r"device's memory \(OOM when allocating tensor with shape\[9\]\)"):
        memory.fitting(attempt, 1, 1, print)


def test_a_single_row_that_does_not_fit_is_told():
    with pytest.raises(TrainingError, match=r"A single row does not fit into the device's memory \(OOM when"):
        memory.fitting(room_for(0, []), 4, 4, print)


def test_another_failure_is_not_taken_for_want_of_memory():
    def attempt(micro: int) -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        memory.fitting(attempt, 4, 4, print)


def test_what_tensorflow_and_xla_say_is_understood():
    import tensorflow as tf

    assert memory.exhausted(tf.errors.ResourceExhaustedError(None, None, "OOM"))
    assert memory.exhausted(tf.errors.InternalError(None, None, "RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes"))
    assert memory.exhausted(tf.errors.UnknownError(None, None, f"2 root error(s) found.\n{CUDNN}"))
    assert not memory.exhausted(tf.errors.InternalError(None, None, "something else"))


CUDNN = (
    "  (0) UNKNOWN: {{function_node loop_5}} CUDNN failed to allocate the scratch space for the runner or to find "
    "a working no-scratch runner."
)


def test_where_in_a_graph_it_was_is_not_told():
    import tensorflow as tf

    def attempt(micro: int) -> None:
        raise tf.errors.UnknownError(None, None, f"2 root error(s) found.\n{CUDNN}")

    with pytest.raises(TrainingError, match=r"memory \(CUDNN failed to allocate the scratch space for the runner or"):
        memory.fitting(attempt, 1, 1, print)


def test_a_network_whose_memory_is_short_trains_in_parts_and_says_so(made, tmp_path, capsys):
    """A layer that has room for some rows at once, in the training as `train` runs it."""
    import keras
    import tensorflow as tf

    room = 4

    class Narrow(keras.layers.Layer):  # type: ignore[misc]
        def call(self, values: Any) -> Any:
            if room < (values.shape[0] or 0) < 100:  # and not the batches of the validation
                raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating")
            return values

    def build(settings: Any) -> Any:
        start = keras.Input(settings.shape)
        values = keras.layers.Dense(8, "relu")(Narrow()(start))
        return keras.Model(start, keras.layers.Dense(settings.outputs, "softmax")(values), name="network")

    declared = copied(made, "pets", tmp_path)
    data, config = Data.model_validate(declared["data"]), Train.model_validate(declared["train"])
    splits = (Split(tmp_path / "train.parquet", data), Split(tmp_path / "validation.parquet", data))
    fitted = statistics.measure(data, splits[0].pieces, config)
    used: list[int] = []

    def attempt(micro: int) -> Any:
        used.append(micro)
        tried = config.model_copy(update={"micro_batch": micro if micro < config.batch_size else None})
        return train.train(tried, fitted, splits, tmp_path / f"{micro}.csv", build=build)

    memory.fitting(attempt, config.batch_size, config.batch_size, lambda text: print(text))
    assert used == [16, 8, 4]
    assert "16 rows at once do not fit into memory: training again with 8 at once" in capsys.readouterr().out
    room = 16
    attempt(16)
    one, other = (np.loadtxt(tmp_path / f"{name}.csv", delimiter=",", skiprows=1) for name in ("4", "16"))
    np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.long
def test_layers_that_measure_their_batch_are_refused_in_parts_unless_that_is_allowed(made, tmp_path):
    import keras

    def build(settings: Any) -> Any:
        start = keras.Input(settings.shape)
        values = keras.layers.BatchNormalization(name="norm")(keras.layers.Dense(8)(start))
        return keras.Model(start, keras.layers.Dense(settings.outputs, "softmax")(values), name="network")

    declared = copied(made, "pets", tmp_path)
    data = Data.model_validate(declared["data"])
    splits = (Split(tmp_path / "train.parquet", data), Split(tmp_path / "validation.parquet", data))

    def attempt(**changes: Any) -> Any:
        config = Train.model_validate(declared["train"] | changes)
        fitted = statistics.measure(data, splits[0].pieces, config)
        return train.train(config, fitted, splits, tmp_path / "history.csv", build=build)

    attempt()
    with pytest.raises(
        TrainingError, match=r"The layer norm measures a batch of 16 rows, but only 4 are computed at once"
    ):
        attempt(micro_batch=4)
    attempt(micro_batch=4, split_statistics=True)


def test_a_micro_batch_divides_the_batch(world):
    from pipelines import model_file

    world.declare(train={"micro_batch": 5})
    with pytest.raises(SettingsError, match="`micro_batch` 5 does not divide batch_size 16"):
        model_file.check("pets")


# ------------------------------------------------------------------ compiler


def test_xla_that_is_asked_for_and_cannot_compile_is_refused():
    with pytest.raises(TrainingError, match=r"train\.xla is on, and XLA cannot compile this network: .* `xla: auto`"):
        run("turned", (6, 6, 2), False, xla="on")
