"""The loop over the batches of a window, inside one program: XLA compiles it around Keras' own train_step.

What XLA cannot compile (a layer, a gradient) runs as the same loop without XLA. The last, smaller batch of an epoch is
not worth a second compilation and runs by itself. A loss that is no number ends the loop at its step.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np

from pipelines.errors import TrainingError
from pipelines.training import memory
from pipelines.training.data_loader import Feed, Window
from pipelines.training.throughput import Meter


class Loop:
    """What Keras calls for one window of an epoch, with an iterator over the numbers of the windows."""

    def __init__(self, model: Any, step: Callable[..., Any], feed: Feed, size: int, epoch: int, trains: bool = False):
        """step: such as model.train_step, or model.test_step for one that does not train; size: rows in a batch;
        epoch: the one that comes first, from 0."""
        self._model, self._step, self._feed, self._size, self._epoch = model, step, feed, size, epoch
        self._trains = trains
        self._windows: Iterator[Window] = iter(())
        self._done = 0  # steps of this epoch
        self._program: Any = None
        self._shapes: list[Any] = []
        self._written: list[Any] = []  # the variables that XLA may change in place
        self.meter = Meter()

    def __call__(self, numbers: Iterator[Any]) -> dict[str, float]:
        """The metrics of the epoch so far. Raises TrainingError at the first step with a loss that is no number."""
        number = int(next(numbers))
        if number == 0:
            self._windows = self.meter.watch(self._feed.epoch(self._epoch))
            self._epoch, self._done = self._epoch + 1, 0
        sound = self._run(next(self._windows))
        if number + 1 == self._feed.windows:
            self._windows = iter(())  # it held the last one
        logs = {name: float(value) for name, value in self._model.get_metrics_result().items()}
        if self._trains and not (sound and np.isfinite(logs["loss"])):
            raise diverged("loss", logs["loss"], f"epoch {self._epoch}, step {self._done}")
        return logs

    def compile(self, xla: bool) -> str:
        """Make the program, before Keras' fit asks for it; returns why XLA could not compile, or ""."""
        import tensorflow as tf

        columns = self._feed.shaped()
        self._shapes = [column.shape[1:] for column in columns]  # of a row, known without tracing
        if len(columns[0]) < self._size:
            return ""  # there is no whole batch: the program for any size takes all rows
        none = (_flat(columns), tf.zeros(len(columns[0]), tf.int32), tf.constant(0))
        if not xla:
            self._program = tf.function(self._loop, autograph=False)
            return ""
        self._program = tf.function(self._loop, jit_compile=True, autograph=False)
        try:
            self._written = list(self._program.get_concrete_function(*none).graph.variables)
            self._call(*none)  # it is compiled to run over no batch
        except (tf.errors.OpError, NotImplementedError, TypeError, ValueError) as error:
            if memory.exhausted(error):
                raise
            self._program, self._written = tf.function(self._loop, autograph=False), []
            return " ".join(str(error).strip().split("\n")[0].split())[:160]
        return ""

    @cached_property
    def _rest(self) -> Any:
        """The step as a program for a batch of any size: for the last one, where it is smaller."""
        import tensorflow as tf

        of_any_size = tuple(tf.TensorSpec([None, *c.shape[1:]], c.dtype) for c in self._feed.shaped())
        return tf.function(lambda columns: self._step(columns), autograph=False).get_concrete_function(of_any_size)

    def _run(self, window: Window) -> bool:
        """Take all rows of a window, and count the steps; returns whether the loss was a number in each."""
        import tensorflow as tf

        columns, whole = window.columns, len(window.order) // self._size
        done, sound = self._whole_batches(window, whole) if whole else (0, True)
        self._done += done
        if sound and len(window.order) % self._size:
            rows = tf.constant(window.order[whole * self._size :])
            self._rest(tuple(tf.gather(column, rows) for column in columns))
            self._done += 1
        return sound

    def _whole_batches(self, window: Window, whole: int) -> tuple[int, bool]:
        """Take so many batches; returns how many it were, and whether the loss was a number in each."""
        import tensorflow as tf

        order = np.zeros(len(window.columns[0]), np.int32)
        order[: len(window.order)] = window.order
        done, sound = self._call(_flat(window.columns), tf.constant(order), tf.constant(whole))
        return int(done), bool(sound)

    def _call(self, *arguments: Any) -> Any:
        """Run the program, and hold the values of the variables meanwhile.

        Else XLA changes them in place, and where memory does not suffice frees them, as their variables do again later:
        what the process computes after that crashes, or is wrong.
        """
        _held = [variable.read_value() for variable in self._written]
        return self._program(*arguments)

    def _loop(self, columns: tuple[Any, ...], order: Any, steps: Any) -> Any:
        """Take so many batches of the rows; returns how many it were until the loss was no number, and if it is one."""
        import tensorflow as tf

        def body(step: Any, _: Any) -> tuple[Any, Any]:
            rows = tf.slice(order, [step * self._size], [self._size])
            batch = [tf.gather(column, rows) for column in columns]
            logs = self._step(tuple(tf.reshape(c, [self._size, *s]) for c, s in zip(batch, self._shapes, strict=True)))
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
