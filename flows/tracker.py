"""MLflow in a process of its own: its import takes two seconds, which pass while other work goes on.

One worker does one thing after the other. It ends with the run, however the run ends.
"""

import signal
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

from flows.environment import Project
from pipelines import lifeline

T = TypeVar("T")


class Tracker:
    """with Tracker(project, pipe, log) as tracker: tracker.call("publish.publish", project, ...)"""

    def __init__(self, project: Project, pipe: str, log: Path):
        """pipe: a lifeline that the run holds; log: where MLflow's own talk goes, away from the run's result."""
        self._project = project
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), _begin, (pipe, str(log)))
        self._pool.submit(_warm)

    def __enter__(self) -> "Tracker":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def call(self, name: str, *arguments: Any) -> Any:
        """Run flows.<module>.<function>, named "module.function", and wait for its answer.

        Raises what it raises; an error of the tracking store as a RatchetError.
        """
        return self._pool.submit(_call, self._project, name, arguments).result()

    def send(self, name: str, *arguments: Any) -> None:
        """Run it without waiting; nobody learns of its failure."""
        self._pool.submit(_call, self._project, name, arguments)


def _begin(pipe: str, log: str) -> None:
    lifeline.redirect(log)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which then ends this process
    lifeline.follow(pipe)


def _warm() -> None:
    import flows.decide
    import flows.publish  # noqa: F401


def _call(project: Project, name: str, arguments: tuple[Any, ...]) -> Any:
    import importlib

    from flows import tracking

    module, _, function = name.partition(".")
    work: Callable[..., Any] = getattr(importlib.import_module(f"flows.{module}"), function)
    with tracking.reachable(project):
        return work(*arguments)
