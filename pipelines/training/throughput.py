"""Pace: how fast a training goes, and for what share of the time it waits for its data.

    data/<model>/pace.csv, a line for each epoch: epoch, seconds, rows_per_second, waiting, train/loss

It holds times, so it is no output of the stage. The loss is that of history.csv: by it a line is known to belong to
the training that lies beside it (flows/records/throughput.py), whatever was restored or run again since.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipelines.training.data_loader import Window

HEAD = "epoch,seconds,rows_per_second,waiting,train/loss\n"


class Meter:
    """Counts the rows of the windows that go through it, and the seconds that were waited for them."""

    def __init__(self) -> None:
        self.rows, self.waited = 0, 0.0

    def watch(self, windows: Iterator[Window]) -> Iterator[Window]:
        """The same windows, counted."""
        while True:
            start = time.perf_counter()
            window = next(windows, None)
            self.waited += time.perf_counter() - start
            if window is None:
                return
            self.rows += len(window.order)
            yield window


def log(path: Path) -> Any:
    """A Keras callback that appends each epoch to pace.csv; to stand before the one that writes history.csv.

    seconds are those of the whole epoch, rows_per_second and waiting (a share) of its training without its validation.
    """
    import keras

    class Pace(keras.callbacks.Callback):
        running = False

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            if not self.running:
                _keep(path, epoch)
            self.running = True
            meter = self.model.train_function.meter
            self.rows, self.waited = meter.rows, meter.waited
            self.start = self.trained = time.perf_counter()

        def on_test_begin(self, logs: Any = None) -> None:
            self.trained = time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            meter, training = self.model.train_function.meter, self.trained - self.start
            seconds, rows = time.perf_counter() - self.start, meter.rows - self.rows
            found = (seconds, rows / training, (meter.waited - self.waited) / training, logs["loss"])
            with path.open("a", encoding="utf-8") as file:
                file.write(",".join([str(epoch + 1), *(f"{value:.9g}" for value in found)]) + "\n")

    return Pace()


def _keep(path: Path, epochs: int) -> None:
    """Of an interrupted training keep the lines of the epochs that count as done; with 0 the file begins anew."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)[1:] if path.exists() else []
    kept = [line for line in lines if line.endswith("\n") and int(line.partition(",")[0]) <= epochs]
    path.write_text("".join([HEAD, *kept]), encoding="utf-8")
