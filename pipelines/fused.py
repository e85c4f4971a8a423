"""Keras' own fit, with the loop over the batches inside one program: many times as fast where steps are small.

For every step Keras' fit goes through Python, a queue and TensorFlow's executor, and for a small network that takes
most of the time. Here a whole window of rows (feed.py) is one call: XLA compiles the loop over its batches, around
Keras' own train_step. Everything else stays Keras': compile, losses, metrics, optimizers, callbacks, history.
Callbacks see a window as one batch, as they do with steps_per_execution.

What XLA cannot compile (a layer, a gradient) runs as the same loop without XLA, and it is said. The last, smaller batch
of an epoch is not worth a second compilation and runs by itself. A loss that is no number ends the loop at its step.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any
from unittest.mock import patch

import numpy as np

from pipelines.errors import TrainingError
from pipelines.feed import Feed, Window
from pipelines.pace import Meter

VALIDATION_ROWS = 1024  # in one batch


def fit(
    model: Any,
    training: Feed,
    validation: Feed,
    *,
    batch_size: int,
    epochs: int,
    initial_epoch: int = 0,
    callbacks: list[Any],
    say: Callable[[str], None] = print,
) -> Any:
    """Like model.fit of a compiled keras.Model; returns its keras.callbacks.History.

    say: is told once if XLA cannot compile the training. Raises TrainingError if the loss becomes no number.
    """
    trainer = Loop(model, model.train_step, training, batch_size, initial_epoch)
    tester = Loop(model, model.test_step, validation, VALIDATION_ROWS, initial_epoch)
    if initial_epoch < epochs:
        _build(model, training.shaped())
        with _fast_random_numbers(), ThreadPoolExecutor(1, "compile") as pool:  # the two side by side
            waiting = pool.submit(tester.compile)
            if reason := trainer.compile():
                say(f"XLA cannot compile this network, so TensorFlow runs it step by step ({reason})")
            waiting.result()
    model.train_function, model.test_function = trainer, tester
    try:
        return model.fit(
            _numbers(training),
            validation_data=_numbers(validation),
            epochs=epochs,
            initial_epoch=initial_epoch,
            shuffle=False,  # the feed does it
            callbacks=callbacks,
            verbose=0,
        )
    finally:
        model.train_function = model.test_function = None


def _build(model: Any, columns: tuple[Any, ...]) -> None:
    """Let Keras make the variables of optimizer, loss and metrics: none can be made inside a compiled program."""
    model.optimizer.build(model.trainable_variables)
    model.test_step(tuple(column[:2] for column in columns))
    model.reset_metrics()


def _numbers(feed: Feed) -> Any:
    """The numbers of the windows, as the tf.data.Dataset that Keras asks for; without its threads and tuning."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    return tf.data.Dataset.range(feed.windows).with_options(options)


class Loop:
    """What Keras calls for one window of an epoch, with an iterator over the numbers of the windows."""

    def __init__(self, model: Any, step: Callable[[Any], Any], feed: Feed, size: int, epoch: int):
        """step: model.train_step or model.test_step; size: rows in a batch; epoch: the one that comes first, from 0."""
        self._model, self._step, self._feed, self._size, self._epoch = model, step, feed, size, epoch
        self._windows: Iterator[Window] = iter(())
        self._done = 0  # steps of this epoch
        self._program: Any = None
        self.meter = Meter()

    def __call__(self, numbers: Iterator[Any]) -> dict[str, float]:
        """The metrics of the epoch so far. Raises TrainingError at the first step with a loss that is no number."""
        if int(next(numbers)) == 0:
            self._windows = self.meter.watch(self._feed.epoch(self._epoch))
            self._epoch, self._done = self._epoch + 1, 0
        sound = self._run(next(self._windows))
        logs = {name: float(value) for name, value in self._model.get_metrics_result().items()}
        if self._step == self._model.train_step and not (sound and np.isfinite(logs["loss"])):
            raise diverged("loss", logs["loss"], f"epoch {self._epoch}, step {self._done}")
        return logs

    def compile(self) -> str:
        """Make the program, before Keras' fit asks for it; returns why XLA could not compile, or ""."""
        import tensorflow as tf

        columns = self._feed.shaped()
        none = (_flat(columns), tf.zeros(len(columns[0]), tf.int32), tf.constant(0))
        self._program = tf.function(self._loop, jit_compile=True, autograph=False)
        try:
            self._program(*none)  # it is compiled to run over no batch
        except (tf.errors.OpError, NotImplementedError, TypeError, ValueError) as error:
            self._program = tf.function(self._loop, autograph=False)
            return " ".join(str(error).strip().split("\n")[0].split())[:160]
        return ""

    @cached_property
    def _rest(self) -> Any:
        """The step as a program for a batch of any size: for the last one, where it is smaller."""
        import tensorflow as tf

        of_any_size = tuple(tf.TensorSpec([None, *c.shape[1:]], c.dtype) for c in self._feed.shaped())
        with _fast_random_numbers():
            return tf.function(self._step, autograph=False).get_concrete_function(of_any_size)

    def _run(self, window: Window) -> bool:
        """Take all rows of a window, and count the steps; returns whether the loss was a number in each."""
        import tensorflow as tf

        columns, whole = window.columns, len(window.order) // self._size
        order = np.zeros(len(columns[0]), np.int32)
        order[: len(window.order)] = window.order
        done, sound = self._program(_flat(columns), tf.constant(order), tf.constant(whole))
        self._done += int(done)
        if sound and len(window.order) % self._size:
            rows = tf.constant(window.order[whole * self._size :])
            self._rest(tuple(tf.gather(column, rows) for column in columns))
            self._done += 1
        return bool(sound)

    def _loop(self, columns: tuple[Any, ...], order: Any, steps: Any) -> Any:
        """Take so many batches of the rows; returns how many it were until the loss was no number, and if it is one."""
        import tensorflow as tf

        shapes = [column.shape[1:] for column in self._feed.shaped()]  # of a row, known without tracing

        def body(step: Any, _: Any) -> tuple[Any, Any]:
            rows = tf.slice(order, [step * self._size], [self._size])
            batch = [tf.gather(column, rows) for column in columns]
            logs = self._step(tuple(tf.reshape(c, [self._size, *s]) for c, s in zip(batch, shapes, strict=True)))
            return step + 1, tf.math.is_finite(logs["loss"])

        return tf.while_loop(lambda step, sound: (step < steps) & sound, body, (0, True))


def _flat(columns: tuple[Any, ...]) -> tuple[Any, ...]:
    """One dimension for a row's values: so XLA copies a row at a time, and not a line of an image."""
    import tensorflow as tf

    return tuple(tf.reshape(column, [len(column), -1]) for column in columns)


def diverged(what: str, value: float, when: str) -> TrainingError:
    return TrainingError(
        f"The {what} became {value} in {when}: training has diverged.",
        "Lower train.learning_rate, or look for extreme values in the data.",
    )


@contextmanager
def _fast_random_numbers() -> Iterator[None]:
    """While a program is traced: let dropout name the generator that TensorFlow uses on a CPU anyway.

    Keras names none, and for `none` XLA generates code that takes seven times as long.
    """
    import tensorflow as tf

    named = partial(tf.nn.experimental.stateless_dropout, rng_alg="philox")
    with patch.object(tf.nn.experimental, "stateless_dropout", named):
        yield
