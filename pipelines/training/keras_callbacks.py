"""Observers of a training: its history, and for those who look closer TensorBoard's files and a profile."""

from pathlib import Path
from typing import Any

import numpy as np

from pipelines.training.loop import diverged


def log(path: Path, target_scale: float) -> Any:
    """A Keras callback that appends each epoch to history.csv, and stops at a validation loss that is no number.

    target_scale: what a mean_absolute_error is multiplied by, to be in the target's own units.
    """
    import keras

    class Log(keras.callbacks.Callback):
        def on_train_begin(self, logs: Any = None) -> None:
            path.unlink(missing_ok=True)

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if not np.isfinite(logs["val_loss"]):
                raise diverged("validation loss", logs["val_loss"], f"epoch {epoch + 1}")
            found = {_named(key): in_units(key, value) for key, value in sorted(logs.items())}
            with path.open("a", encoding="utf-8") as file:
                if epoch == 0:
                    file.write(",".join(["epoch", *found]) + "\n")
                file.write(",".join([str(epoch + 1), *(f"{value:.9g}" for value in found.values())]) + "\n")

    def in_units(key: str, value: float) -> float:
        return value * target_scale if key.endswith("mean_absolute_error") else value

    return Log()


def _named(key: str) -> str:
    """Keras' name of a measure -> train/<measure> or validation/<measure>."""
    return f"validation/{key.removeprefix('val_')}" if key.startswith("val_") else f"train/{key}"


def tensorboard(folder: Path) -> Any:
    """Keras' callback that writes curves and weights as TensorBoard reads them."""
    import keras

    return keras.callbacks.TensorBoard(folder, histogram_freq=1, write_graph=False)


def profile(folder: Path, epochs: int) -> Any:
    """A Keras callback that profiles the first window of the second epoch: in the first one programs are compiled.

    epochs: how many there will be; a single one is profiled itself.
    """
    import keras
    import tensorflow as tf

    class Profile(keras.callbacks.Callback):
        wanted = False
        running = False

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self.wanted = epoch == min(1, epochs - 1)

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if self.wanted:
                tf.profiler.experimental.start(str(folder))
                self.wanted, self.running = False, True

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            if self.running:
                tf.profiler.experimental.stop()
                self.running = False

    return Profile()
