"""What Keras' own fit does with the same batches, in fewer calls; and what XLA cannot do is done without it."""

import re
import threading
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines.config.data import Data
from pipelines.errors import TrainingError
from pipelines.table import row_groups
from pipelines.training import compiled_fit, data_loader, loop
from pipelines.training.data_loader import Columns, Held, Split, Streamed

pytestmark = pytest.mark.usefixtures("hardware")

LONG = pytest.mark.long
ROWS, BATCH = 43, 8  # five whole batches and one of three rows
DATA = Data(kind="table", task="regression", target="y", columns={"x": "number"})
SCHEMA = pa.schema([("x", pa.float64()), ("y", pa.float64())])


SLOW = [
    ("Conv1D", "convolutions"),
    ("Conv2D", "convolutions"),
    ("Conv3D", "convolutions"),
    ("Conv1DTranspose", "convolutions"),
    ("Conv2DTranspose", "convolutions"),
    ("Conv3DTranspose", "convolutions"),
    ("DepthwiseConv1D", "convolutions"),
    ("DepthwiseConv2D", "convolutions"),
    ("SeparableConv1D", "convolutions"),
    ("SeparableConv2D", "convolutions"),
    ("MaxPooling1D", "max-pooling"),
    ("MaxPooling2D", "max-pooling"),
    ("MaxPooling3D", "max-pooling"),
    ("GlobalMaxPooling2D", ""),
    ("AveragePooling2D", ""),
]


def rows(shape: tuple[int, ...], count: int = ROWS, weighted: bool = False, seed: int = 0) -> Columns:
    """Features, and the one of three classes that their mean tells with some noise; a weight if wanted."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, *shape)).astype(np.float32)
    x += (y := random.integers(0, 3, count).astype(np.int32)).reshape(-1, *[1] * len(shape)) * 0.5
    return (x, y, random.choice([0.5, 2.0], count).astype(np.float32)) if weighted else (x, y)


def stream(folder, columns: Columns, seed: int | None) -> Streamed:
    """Rows in windows of two row groups of ten."""
    numbers = np.arange(float(len(columns[0])))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_groups, "GROUP_ROWS", 10)
        row_groups.write(folder / "x.parquet", SCHEMA, [pa.record_batch([numbers, numbers], schema=SCHEMA)])
        row = sum(column[:1].nbytes for column in columns)
        patch.setattr(data_loader, "HELD_BYTES", 0)
        patch.setattr(data_loader, "WINDOW_BYTES", 20 * row)

        def prepare(_: data_loader.Arrays, places: np.ndarray) -> Columns:
            return tuple(column[places.astype(int)] for column in columns)

        found = data_loader.feed(Split(folder / "x.parquet", DATA), prepare, BATCH, seed)
    assert isinstance(found, Streamed)
    assert found.windows == 3
    return found


def batches(found: data_loader.Feed, epoch: int) -> Any:
    """What Keras' own fit is to be given: the batches of an epoch."""
    import keras

    class Batches(keras.utils.PyDataset):
        def __init__(self) -> None:
            super().__init__()
            self._found = [
                tuple(np.asarray(column)[window.order[start : start + BATCH]] for column in window.columns)
                for window in found.epoch(epoch)
                for start in range(0, len(window.order), BATCH)
            ]

        def __len__(self) -> int:
            return len(self._found)

        def __getitem__(self, index: int) -> Columns:
            return self._found[index]

    return Batches()


def compiled(name: str, **changes: Any) -> Any:
    """A small model, the same one for the same name."""
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(3)
    layers = keras.layers
    stacks: dict[str, list[Any]] = {
        "dense": [keras.Input((6,)), layers.Dense(5, "relu")],
        "linear": [keras.Input((6,)), layers.Dense(5)],
        "convolution": [keras.Input((6, 6, 2)), layers.Conv2D(3, 3, activation="relu")],
        "pooling": [keras.Input((6, 6, 2)), layers.Conv2D(3, 3), layers.MaxPooling2D()],
        "lstm": [keras.Input((5, 4)), layers.LSTM(4)],
        "gru": [keras.Input((5, 4)), layers.GRU(4, return_sequences=True), layers.SimpleRNN(3)],
        "rotation": [keras.Input((6, 6, 2)), layers.RandomRotation(0.0)],  # by nothing, which XLA cannot do either
        "turned": [keras.Input((6, 6, 2)), layers.RandomRotation(0.1, seed=1)],
    }
    model = keras.Sequential([*stacks[name], layers.Flatten(), layers.Dense(3, "softmax")])
    model.compile(
        **{
            "optimizer": keras.optimizers.SGD(0.05, momentum=0.9),
            "loss": "sparse_categorical_crossentropy",
            "metrics": ["accuracy"],
        }
        | changes
    )
    return model


def fit(model: Any, training: data_loader.Feed, validation: data_loader.Feed, epochs: int = 3, **more: Any) -> Any:
    return compiled_fit.fit(
        model, training, validation, compiled_fit.Plan(BATCH), epochs=epochs, **{"callbacks": []} | more
    )


CASES = [  # model, rows held or streamed, with sample weights
    ("dense", "held", False),
    ("dense", "streamed", True),
    ("convolution", "streamed", False),
    pytest.param("lstm", "held", True, marks=LONG),
    pytest.param("gru", "streamed", False, marks=LONG),
    pytest.param("pooling", "held", True, marks=LONG),
    pytest.param("rotation", "streamed", True, marks=LONG),
]
WITHOUT_XLA = {"convolution", "pooling", "rotation"}


@pytest.mark.parametrize(("name", "kind", "weighted"), CASES)
def test_it_does_what_keras_own_fit_does_with_the_same_batches(tmp_path, monkeypatch, name, kind, weighted):
    monkeypatch.setattr(compiled_fit, "VALIDATION_ROWS", 7)
    model, plain = compiled(name), compiled(name)
    shape = model.input_shape[1:]
    columns, others = rows(shape, weighted=weighted), rows(shape, 17, weighted, seed=1)
    training = Held(columns, 5) if kind == "held" else stream(tmp_path, columns, 5)
    said: list[str] = []
    found = fit(model, training, Held(others, None), say=said.append)
    assert len(said) == (name in WITHOUT_XLA)
    expected: dict[str, list[float]] = {}
    for epoch in range(3):
        more = {"initial_epoch": epoch, "validation_data": others, "validation_batch_size": 7, "verbose": 0}
        of_epoch = plain.fit(batches(training, epoch), epochs=epoch + 1, shuffle=False, **more)
        for key, values in of_epoch.history.items():
            expected.setdefault(key, []).extend(values)
    assert list(found.history) == list(expected)
    for key, values in expected.items():
        np.testing.assert_allclose(found.history[key], values, rtol=1e-5, atol=1e-6, err_msg=key)
    assert_same(model, plain)
    assert not np.allclose(model.get_weights()[-1], compiled(name).get_weights()[-1], atol=1e-2)  # it did move


def assert_same(one: Any, other: Any) -> None:
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_adam_and_a_schedule_of_its_learning_rate_count_the_steps_within_a_window():
    import keras

    columns = rows((6,))
    models = []
    for _ in range(2):
        schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 6, 0.5)
        models.append(compiled("dense", optimizer=keras.optimizers.Adam(schedule)))
    training = Held(columns, None)
    fit(models[0], training, Held(columns, None))
    models[1].fit(*columns, batch_size=BATCH, epochs=3, shuffle=False, verbose=0)
    assert int(models[0].optimizer.iterations) == 3 * 6
    assert_same(*models)


def noted(said: list[Any]) -> Any:
    """A callback that tells what it is called for."""
    import keras

    class Noted(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            said.append(("epoch begins", epoch))

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            said.append(("batch ends", batch, sorted(logs)))

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            said.append(("epoch ends", epoch, sorted(logs)))

    return Noted()


def test_callbacks_are_called_for_every_epoch_and_every_window(tmp_path):
    said: list[Any] = []
    columns = rows((6,))
    fit(compiled("dense"), stream(tmp_path, columns, 1), Held(columns, None), 2, callbacks=[noted(said)])
    train, every = ["accuracy", "loss"], ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert said == [
        event
        for epoch in (0, 1)
        for event in [
            ("epoch begins", epoch),
            *[("batch ends", window, train) for window in range(3)],
            ("epoch ends", epoch, every),
        ]
    ]


def test_when_an_epoch_validates_nothing_is_held_of_the_training_rows(tmp_path):
    """A window, and the thread that read it."""
    import keras

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            readers.append(reading())

        def on_test_begin(self, logs: Any = None) -> None:
            readers.append(reading())

    def reading() -> int:
        return sum(thread.name.startswith("feed") for thread in threading.enumerate())

    readers: list[int] = []
    columns = rows((6,))
    fit(compiled("dense"), stream(tmp_path, columns, 1), Held(columns, None), 2, callbacks=[Look()])
    assert readers == [1, 1, 0, 0] * 2


@pytest.mark.parametrize("xla", [True, False])
def test_a_program_holds_no_window(tmp_path, xla):
    """On a GPU it would be copied there for every window."""
    import tensorflow as tf

    model, columns = compiled("dense"), rows((6,))
    training = stream(tmp_path, columns, 1)
    compiled_fit._build(model, training.shaped())
    trainer = loop.Loop(model, model.train_step, training, BATCH, 0, trains=True)
    trainer.compile(xla)
    arguments = (loop._flat(training.shaped()), tf.zeros(len(training.shaped()[0]), tf.int32), tf.constant(0))
    captured = trainer._program.get_concrete_function(*arguments).captured_inputs
    assert {tensor.dtype for tensor in captured} == {tf.resource}  # variables


def test_a_callback_may_stop_training_within_an_epoch(tmp_path):
    import keras

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.model.stop_training = batch == 1

    model, columns = compiled("dense"), rows((6,))
    found = fit(model, stream(tmp_path, columns, None), Held(columns, None), 5, callbacks=[Stop()])
    assert found.epoch == [0]
    assert int(model.optimizer.iterations) == 40 // BATCH  # two windows of 20 rows; the third has three


def test_early_stopping_ends_training_as_in_keras_own_fit_and_brings_the_best_weights_back():
    """The more is learned, the worse for these validation rows: they say the opposite."""
    import keras

    x, y = rows((6,))
    against, models, epochs = (x, 2 - y), [compiled("dense"), compiled("dense")], []
    for model in models:
        rule = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
        if model is models[0]:
            found = fit(model, Held((x, y), None), Held(against, None), 20, callbacks=[rule])
        else:
            more = {"validation_data": against, "callbacks": [rule], "verbose": 0}
            found = model.fit(x, y, BATCH, 20, shuffle=False, **more)
        epochs.append(found.epoch)
        assert model.evaluate(*against, verbose=0, return_dict=True)["loss"] == pytest.approx(
            min(found.history["val_loss"]), rel=1e-5
        )
    assert epochs[0] == epochs[1]
    assert len(epochs[0]) < 20
    assert_same(*models)


@pytest.mark.parametrize("xla", ["off", pytest.param("on", marks=LONG)])
def test_it_goes_on_after_an_epoch_as_if_it_had_not_stopped(xla):
    """With momentum: the optimizer is the same one."""
    plan, held = compiled_fit.Plan(BATCH, xla=xla), (Held(rows((6,)), 1), Held(rows((6,)), None))
    whole, parts = compiled("dense"), compiled("dense")
    compiled_fit.fit(whole, *held, plan, epochs=4, callbacks=[])
    compiled_fit.fit(parts, *held, plan, epochs=2, callbacks=[])
    compiled_fit.fit(parts, *held, plan, epochs=4, initial_epoch=2, callbacks=[])
    for one, other in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_nothing_is_left_to_do_after_the_last_epoch():
    model, columns = compiled("dense"), rows((6,))
    before = model.get_weights()
    assert fit(model, Held(columns, 1), Held(columns, None), 2, initial_epoch=2).epoch == []
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_xla_cannot_compile_is_said_once_and_trained_without_it():
    said: list[str] = []
    model, columns = compiled("turned"), rows((6, 6, 2))
    found = fit(model, Held(columns, 1), Held(columns, None), 8, say=said.append)
    assert len(said) == 1
    assert said[0].startswith("XLA cannot compile this network, so TensorFlow runs it step by step (")
    assert "\n" not in said[0]
    assert found.history["loss"][-1] < 0.9 * found.history["loss"][0]


def test_fewer_rows_than_a_batch_are_one_smaller_batch_and_nothing_is_said():
    said: list[str] = []
    model, other, (x, y) = compiled("dense"), compiled("dense"), rows((6,), BATCH - 3)
    fit(model, Held((x, y), None), Held((x, y), None), 3, say=said.append)
    for _ in range(3):
        other.train_on_batch(x, y)
    assert said == []
    for mine, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)


@pytest.mark.parametrize("name", ["convolution", *(pytest.param(name, marks=LONG) for name in ("pooling", "lstm"))])
def test_what_xla_makes_slow_on_a_cpu_is_said_and_run_step_by_step(name):
    model, said = compiled(name), list[str]()
    columns = rows(model.input_shape[1:])
    fit(model, Held(columns, 1), Held(columns, None), 1, say=said.append)
    what = f"convolutions ({model.layers[0].name})"
    slow = f"XLA is slow at {what} on a CPU, so TensorFlow runs this network step by step"
    assert said == ([] if name == "lstm" else [slow])


@pytest.mark.parametrize(("kind", "what"), SLOW)
def test_the_layers_that_xla_makes_slow_are_found_within_another_model_too(kind, what):
    import keras

    layers = keras.layers
    (dimensions,) = re.findall(r"\d", kind)
    shape = (8,) * int(dimensions) + (2,)
    sizes = {"kernel_size": 3} if "Conv" in kind else {}
    sizes |= {"filters": 2} if "Conv" in kind and not kind.startswith("Depthwise") else {}
    sizes |= {"pool_size": 2} if kind.startswith("Average") else {}
    inner = keras.Sequential([keras.Input(shape), getattr(layers, kind)(**sizes, name="it"), layers.Flatten()])
    assert compiled_fit.slower(keras.Sequential([keras.Input(shape), inner, layers.Dense(2)])) == (
        what and f"{what} (it)"
    )


def test_a_recurrent_network_is_not_slow():
    assert compiled_fit.slower(compiled("lstm")) == ""


@pytest.mark.parametrize(
    "name", [pytest.param("convolution", marks=LONG), "pooling"]
)  # the second has a convolution too
def test_xla_that_is_asked_for_compiles_convolutions_and_max_pooling(name):
    model, said = compiled(name), list[str]()
    columns = rows((6, 6, 2))
    held = Held(columns, 1), Held(columns, None)
    compiled_fit.fit(model, *held, compiled_fit.Plan(BATCH, xla="on"), epochs=1, callbacks=[], say=said.append)
    assert said == []
    assert not np.allclose(model.get_weights()[0], compiled(name).get_weights()[0])


def test_after_it_the_model_is_keras_own_again():
    model, columns = compiled("dense"), rows((6,))
    fit(model, Held(columns, 1), Held(columns, None), 1)
    again = rows((6,), 12, seed=2)
    assert model.evaluate(*again, verbose=0, return_dict=True)["loss"] > 0
    assert model.fit(*again, verbose=0).history["loss"][0] > 0


# ------------------------------------------------------------------ dropout


def test_dropout_drops_the_declared_share_and_others_in_every_step_and_in_every_epoch():
    """Each row is a power of two in every place, and every step adds what was not dropped of it to the weights: their
    binary digits say what each step kept."""
    import keras

    places, share, steps = 4000, 0.3, 6
    model = keras.Sequential([keras.Input((places,)), keras.layers.Dropout(share, seed=1), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(1.0), loss=lambda _, answer: answer)
    x = 2.0 ** np.arange(steps, dtype=np.float32)[:, None] * np.ones((1, places), np.float32)
    columns = (x, np.zeros((steps, 1), np.float32))
    said: list[str] = []
    kept = []
    for epoch in range(2):
        model.layers[-1].set_weights([np.zeros((places, 1)), np.zeros(1)])
        training = Held(columns, None)
        compiled_fit.fit(
            model,
            training,
            Held(columns, None),
            compiled_fit.Plan(1),
            epochs=epoch + 1,
            initial_epoch=epoch,
            callbacks=[],
            say=said.append,
        )
        digits = np.rint(-model.layers[-1].get_weights()[0][:, 0] * (1 - share)).astype(int)
        kept += [(digits >> step) & 1 for step in range(steps)]
    assert not said  # it was XLA that dropped them
    deviation = np.sqrt(share * (1 - share) / places)
    assert all(abs(1 - one.mean() - share) < 4 * deviation for one in kept)
    for index, one in enumerate(kept):
        for other in kept[:index]:  # both keep a place in 0.7 * 0.7 of all cases
            assert abs((one & other).mean() - (1 - share) ** 2) < 0.04


# ------------------------------------------------------------------ a loss that is no number

WHERE = {  # the place of the row in the order of the epoch: the step that meets it
    "the first row": (0, 1),
    "a step in between": (17, 3),
    "the last row of a whole batch": (31, 4),
    "the last whole batch": (39, 5),
    "the last batch, which is smaller": (42, 6),
}


BETWEEN = ("the last row of a whole batch", "the last whole batch")  # in the longer suite
PLACES = [pytest.param(where, marks=LONG) if where in BETWEEN else where for where in WHERE]


@pytest.mark.parametrize("name", ["linear", pytest.param("rotation", marks=LONG)], ids=["xla", "without xla"])
@pytest.mark.parametrize("where", PLACES)
def test_a_loss_that_is_no_number_is_told_with_its_epoch_and_step(name, where):
    place, step = WHERE[where]
    model = compiled(name)
    x, y = rows(model.input_shape[1:])
    epoch = 2
    (window,) = Held((x, y), 7).epoch(epoch)
    x[window.order[place]] = np.nan
    with pytest.raises(TrainingError, match=rf"The loss became nan in epoch 3, step {step}: training has diverged"):
        fit(model, Held((x, y), 7), Held(rows(x.shape[1:]), None), 9, initial_epoch=epoch)
    assert int(model.optimizer.iterations) == step


class Turning:
    """Rows that are sound in the first epoch, and others from then on."""

    windows = 1

    def __init__(self, sound: Held, others: Held):
        self.shaped, self._sound, self._others = sound.shaped, sound, others

    def epoch(self, number: int) -> Any:
        return (self._others if number else self._sound).epoch(number)


def test_the_steps_of_every_epoch_are_counted_from_one():
    x, y = rows((6,))
    sound = Held((x.copy(), y), None)
    x[BATCH] = np.nan
    with pytest.raises(TrainingError, match="The loss became nan in epoch 2, step 2: training has diverged"):
        fit(compiled("linear"), Turning(sound, Held((x, y), None)), sound)


@pytest.mark.parametrize("step", [*(pytest.param(step, marks=LONG) for step in (1, 2, 4)), 3, 6])
def test_the_step_is_counted_over_the_windows_of_an_epoch(tmp_path, step):
    columns = rows((6,))
    order = [batch[1] for batch in batches(stream(tmp_path, (columns[0], np.arange(ROWS)), 7), 0)]
    columns[0][order[step - 1][0]] = np.nan
    with pytest.raises(TrainingError, match=rf"The loss became nan in epoch 1, step {step}: training has diverged"):
        fit(compiled("linear"), stream(tmp_path, columns, 7), Held(rows((6,)), None))
