"""Sampler: what this machine does while a model trains, as MLflow's own system metrics.

It uses MLflow's monitors, but not MLflow's rhythm. MLflow reads them every ten seconds, which misses a training of two,
writes a point for each reading (8,640 a day), and stops for good when the store is away once. The sampler reads every
half second. A point is the mean over a sixtieth of the time so far: the first half minute has every reading, an hour
about 300 points and a day about 500.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import psutil
from mlflow.system_metrics.metrics.cpu_monitor import CPUMonitor
from mlflow.system_metrics.metrics.gpu_monitor import GPUMonitor
from mlflow.system_metrics.metrics.rocm_monitor import ROCMMonitor

EVERY = 0.5  # seconds between two looks
PARTS = 60  # a point covers one part of the time so far
LIVE = 5.0  # seconds between two deliveries

Point = dict[str, float]  # `at`: milliseconds since 1970; then each figure under MLflow's name


class Sampler:
    """A thread that looks, and delivers the points so far now and then. It ends with its process."""

    def __init__(self, deliver: Callable[[list[Point]], None]):
        """deliver: called in the thread; its errors are ignored."""
        self.points: list[Point] = []
        self._deliver, self._monitors = deliver, monitors()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._work, name="sampler", daemon=True)
        self._thread.start()

    def end(self) -> list[Point]:
        """All points. It does not wait for a delivery that hangs because the store is away."""
        self._ended.set()
        self._thread.join(2 * EVERY)
        return list(self.points)

    def _work(self) -> None:
        psutil.cpu_percent()  # the load since the call before in this thread: the first one has none
        start = point = delivered = time.monotonic()
        while not self._ended.wait(EVERY):
            for monitor in self._monitors:
                monitor.collect_metrics()
            now = time.monotonic()
            if now - point >= (now - start) / PARTS:
                self._point()
                point = now
            if now - delivered >= LIVE:
                with suppress(Exception):
                    self._deliver(list(self.points))
                delivered = now
        self._point()

    def _point(self) -> None:
        """The means of the looks since the last point."""
        values: Point = {}
        for monitor in self._monitors:
            values |= monitor.aggregate_metrics()
            monitor.clear_metrics()
        if values:
            self.points.append({"at": time.time_ns() // 1_000_000, **{f"system/{k}": v for k, v in values.items()}})


def monitors() -> list[Any]:
    """Processor and memory; and the GPUs where a driver answers: utilisation, memory, power."""
    found: list[Any] = [CPUMonitor()]
    for kind in (GPUMonitor, ROCMMonitor):
        with suppress(Exception):  # no such driver
            return [*found, kind()]
    return found
