"""Keras' own fit, with the loop over the batches inside one program: many times as fast where steps are small.

For every step Keras' fit goes through Python, a queue and TensorFlow's executor, and for a small network that takes
most of the time. Here a whole window of rows (feed.py) is one call (loop.py). Everything else stays Keras': compile,
losses, metrics, optimizers, callbacks, history. Callbacks see a window as one batch, as with steps_per_execution.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

from pipelines.errors import TrainingError
from pipelines.training import accumulation, replicas, xla_workarounds
from pipelines.training.data_loader import Feed
from pipelines.training.loop import Loop

VALIDATION_ROWS = 1024  # in one batch


@dataclass(frozen=True)
class Plan:
    """How a training is computed; on one device, unless `strategy` (a tf.distribute.Strategy) says otherwise.

    batch_size: rows in a step. micro: rows of it that are computed at once, all of them if not said; divides it.
    xla: "auto", "on" (a network that XLA cannot compile is refused) or "off".
    """

    batch_size: int
    micro: int | None = None
    xla: str = "auto"
    strategy: Any = None

    @property
    def validation_rows(self) -> int:
        """In one batch: as much less than usual as micro-batches are less than the batch."""
        return max(1, VALIDATION_ROWS * (self.micro or self.batch_size) // self.batch_size)


def fit(
    model: Any,
    training: Feed,
    validation: Feed,
    plan: Plan,
    *,
    epochs: int,
    initial_epoch: int = 0,
    callbacks: list[Any],
    say: Callable[[str], None] = print,
) -> Any:
    """Like model.fit of a compiled keras.Model; returns its keras.callbacks.History.

    say: is told once if XLA cannot compile the training, or is slow at it. Raises TrainingError if the loss becomes no
    number, or for `xla: on` if XLA cannot compile the training; tf.errors.ResourceExhaustedError if memory does not
    suffice.
    """
    trainer, tester = _loops(model, training, validation, plan, initial_epoch)
    if initial_epoch < epochs:
        with plan.strategy.scope() if plan.strategy else nullcontext():
            _build(model, training.shaped())
        slow = slower(model) if plan.xla == "auto" and plan.strategy is None else ""
        if slow:
            say(f"XLA is slow at {slow} on a CPU, so TensorFlow runs this network step by step")
        xla = plan.xla != "off" and not slow
        with xla_workarounds.for_xla() if xla else nullcontext(), ThreadPoolExecutor(1, "compile") as pool:
            waiting = pool.submit(tester.compile, xla)  # the two side by side
            if reason := trainer.compile(xla):
                _fall_back(plan.xla, reason, say)
            waiting.result()
    model.train_function, model.test_function = trainer, tester
    model._distribute_strategy = None  # the loops know it; Keras would distribute the numbers of the windows
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


def _loops(model: Any, training: Feed, validation: Feed, plan: Plan, epoch: int) -> tuple[Loop, Loop]:
    """Of training and validation."""
    micro = plan.micro or plan.batch_size
    if plan.strategy is not None:
        shares = partial(replicas.Replicated, plan.strategy, model)
        return (
            shares(accumulation.training(model, micro), training, plan.batch_size, epoch, trains=True),
            shares(accumulation.testing(model), validation, plan.validation_rows, epoch),
        )
    whole = micro == plan.batch_size
    step = model.train_step if whole else accumulation.training(model, micro)
    return (
        Loop(model, step, training, plan.batch_size, epoch, trains=True),
        Loop(model, model.test_step, validation, plan.validation_rows, epoch),
    )


def slower(model: Any) -> str:
    """What XLA's code for a CPU does much slower than TensorFlow step by step, with the layer's name; or "".

    Convolutions took up to 40 times as long, max-pooling 4 times (two cores, 2026-11-25). Only where a step takes less
    than a millisecond anyway XLA was up to twice as fast.
    """
    import keras
    import tensorflow as tf

    if tf.config.get_visible_devices("GPU"):
        return ""
    layers = keras.layers
    convolutions = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
    transposed = (layers.Conv1DTranspose, layers.Conv2DTranspose, layers.Conv3DTranspose)
    apart = (layers.DepthwiseConv1D, layers.DepthwiseConv2D, layers.SeparableConv1D, layers.SeparableConv2D)
    for layer in model._flatten_layers():
        if isinstance(layer, (*convolutions, *transposed, *apart)):
            return f"convolutions ({layer.name})"
        if isinstance(layer, (layers.MaxPooling1D, layers.MaxPooling2D, layers.MaxPooling3D)):
            return f"max-pooling ({layer.name})"
    return ""


def _fall_back(xla: str, reason: str, say: Callable[[str], None]) -> None:
    if xla == "on":
        raise TrainingError(
            f"train.xla is on, and XLA cannot compile this network: {reason}.",
            "Declare `xla: auto`, and TensorFlow runs it step by step.",
        )
    say(f"XLA cannot compile this network, so TensorFlow runs it step by step ({reason})")


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
