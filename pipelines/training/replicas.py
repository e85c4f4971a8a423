"""Replicas: the loop over the batches where several devices, or several processes, share every batch.

`batch_size` is that of all together: each replica takes an equal share of the rows, and their gradients are added up,
so that the training is that of one device within rounding. `scale` declares another one. tf.distribute.MirroredStrategy
serves the devices of a process, MultiWorkerMirroredStrategy processes on one or more hosts that a launcher started with
TF_CONFIG. Keras' fit, around this loop, knows nothing of it: under MultiWorkerMirroredStrategy it would fail.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pipelines.config.section import Section
from pipelines.errors import TrainingError
from pipelines.training.accumulation import Step
from pipelines.training.data_loader import Feed, Window
from pipelines.training.loop import Loop

VARIABLE = "TF_CONFIG"
HOW = "Start the same command on every host with TF_CONFIG, or declare `launcher: ray` (docs/guides/gpu.md)."


class Spread(Section):
    """The keys of `train:` that say how several devices train together."""

    launcher: Literal["environment", "ray"] = "environment"
    """Who starts the workers: `ray`, or whoever sets `TF_CONFIG` in the environment."""
    scale: Literal["none", "linear", "square_root"] = "none"
    """How `batch_size` and `learning_rate` grow with devices times workers. `linear` multiplies both, `square_root`
    multiplies the learning rate by the root."""


def scaled(scale: str, replicas: int, batch_size: int, rate: float) -> tuple[int, float]:
    """Batch of all replicas and learning rate, as `scale` has them grow: linear is for SGD, square_root for Adam."""
    if scale == "none":
        return batch_size, rate
    return batch_size * replicas, rate * (replicas if scale == "linear" else sqrt(replicas))


@dataclass(frozen=True)
class Worker:
    """This process among those that train together; the first one writes what they make."""

    index: int = 0
    count: int = 1

    @contextmanager
    def place(self, folder: Path) -> Iterator[Path]:
        """Where this worker writes: the first one into `folder`, the others where it is thrown away."""
        if self.index == 0:
            yield folder
            return
        with tempfile.TemporaryDirectory() as place:
            yield Path(place)


def worker(wanted: int) -> Worker:
    """Who this process is, by TF_CONFIG. Raises TrainingError if that does not name as many as are declared."""
    if wanted == 1:
        return Worker()
    text = os.environ.get(VARIABLE, "")
    try:
        found = json.loads(text or "{}")
        count = len(found.get("cluster", {}).get("worker", []))
        index = int(found.get("task", {}).get("index", 0))
    except (ValueError, AttributeError, TypeError) as error:
        raise TrainingError(f"TF_CONFIG cannot be read ({error}).", HOW) from error
    if count != wanted or not 0 <= index < count or found["task"].get("type", "worker") != "worker":
        has = f"TF_CONFIG names {count}, of which this is {index}" if text else "TF_CONFIG is not set"
        raise TrainingError(f"train.workers is {wanted}, and {has}.", HOW)
    return Worker(index, count)


def strategy(device: str, devices: int, workers: int) -> Any:
    """The tf.distribute.Strategy, or None for one device in one process; to be made before anything is computed."""
    import tensorflow as tf

    if workers > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if devices > 1:
        names = [f"{device.upper()}:{index}" for index in range(devices)]
        across = None if device == "gpu" else tf.distribute.ReductionToOneDevice()
        return tf.distribute.MirroredStrategy(names, across)
    return None


class Replicated(Loop):
    """Batch after batch, each shared among the replicas. Its step takes (columns, rows of the whole batch)."""

    def __init__(self, strategy: Any, model: Any, step: Step, feed: Feed, size: int, epoch: int, trains: bool = False):
        super().__init__(model, step, feed, size, epoch, trains)
        self._strategy = strategy

    def compile(self, xla: bool) -> str:
        """Without XLA, whatever was asked for: the shares of a batch are not of one size."""
        import tensorflow as tf

        self._program = tf.function(self._together, autograph=False, reduce_retracing=True)
        return ""

    def _run(self, window: Window) -> bool:
        import tensorflow as tf

        for start in range(0, len(window.order), self._size):
            rows = window.order[start : start + self._size]
            shares = np.array_split(rows, self._strategy.num_replicas_in_sync)

            def share(context: Any, columns: Any = window.columns, shares: Any = shares) -> Any:
                mine = shares[context.replica_id_in_sync_group]
                return tuple(tf.gather(column, mine) for column in columns)

            values = self._strategy.experimental_distribute_values_from_function(share)
            self._done += 1
            if not np.isfinite(self._program(values, tf.constant(len(rows)))):
                return False
        return True

    def _together(self, columns: Any, total: Any) -> Any:
        """The loss of a batch, from the shares of it."""
        found = self._strategy.run(self._step, args=(columns, total))
        return self._strategy.reduce("SUM", found["loss"], axis=None)
