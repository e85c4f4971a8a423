"""MLflow in a process of its own: its import takes two seconds, which pass while other work goes on.

One worker does one thing after the other. It ends with the run, however the run ends.
"""

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from multiprocessing import get_context
from typing import Any, TypeVar

from flows.processes import forward
from flows.project import lifeline
from flows.project.environment import Project
from pipelines.errors import UnreachableError
from pipelines.process import lifeline as following

T = TypeVar("T")
BEGINS = 30.0  # seconds that it may take to begin
DIED = (
    "The process that talks to MLflow ended without a word. So ends what a person kills, and what the system kills "
    "because it is out of memory."
)


class Tracker:
    """The process. `shared` makes it, or gives the one that is there."""

    def __init__(self, project: Project, pipe: str):
        """pipe: the lifeline that it follows."""
        self._project = project
        log = project.state / "logs" / "mlflow-client.log"  # MLflow's own talk, away from the run's result
        # where everything has been imported already a copy of this process has it too; there are no threads yet
        self._pool = ProcessPoolExecutor(
            1, get_context("fork" if forward.INSIDE else "spawn"), _begin, (pipe, str(log))
        )
        self._first: Future[Any] | None = None  # what it was asked for first
        if forward.INSIDE:
            self.begin()

    def begin(self) -> None:
        """Let MLflow be imported now, and not when it is first needed."""
        with suppress(BrokenProcessPool):
            self._submit(_warm)

    def _submit(self, work: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        self._first = self._first or self._pool.submit(os.getpid)
        return self._pool.submit(work, *arguments)

    def close(self) -> None:
        with suppress(BrokenProcessPool, TimeoutError):
            if self._first is None:  # there is none, and to ask it for something would start it
                return
            self._first.result(BEGINS)  # one that begins while this process ends would fail, and show its traceback
            self._pool.submit(os._exit, 0)  # at once: to take MLflow's libraries down would cost a third of a second
        self._pool.shutdown(wait=False)

    def call(self, name: str, *arguments: Any) -> Any:
        """Run flows.<package>.<module>.<function>, named "package.module.function", and wait for its answer.

        Raises what it raises; an error of the tracking store, and the end of the process, as a RatchetError.
        """
        try:
            return self._submit(_call, self._project, name, arguments).result()
        except BrokenProcessPool as error:
            raise UnreachableError(DIED, "Run again: the stages are done and kept.") from error

    def send(self, name: str, *arguments: Any) -> None:
        """Run it without waiting; nobody learns of its failure."""
        with suppress(BrokenProcessPool):  # the next call tells
            self._submit(_call, self._project, name, arguments)


_current: ContextVar[Tracker | None] = ContextVar("tracker", default=None)


@contextmanager
def shared(project: Project) -> Iterator[Tracker]:
    """One for a run: a block inside another one has the same."""
    if (there := _current.get()) is not None:
        yield there
        return
    with lifeline.held(project) as pipe:
        tracker = Tracker(project, pipe)
        token = _current.set(tracker)
        try:
            yield tracker
        finally:
            _current.reset(token)
            tracker.close()


def _begin(pipe: str, log: str) -> None:
    lifeline.let_go()
    try:
        following.redirect(log)
    except OSError:  # a full disk: what this process then fails at is told, and nothing else reaches the terminal
        following.redirect(os.devnull)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which then ends this process
    following.follow(pipe)


def _warm() -> None:
    import flows.promotion.decide
    import flows.tracking.publish  # noqa: F401


def _call(project: Project, name: str, arguments: tuple[Any, ...]) -> Any:
    import importlib

    from flows.tracking import mlflow_runs

    module, _, function = name.rpartition(".")
    work: Callable[..., Any] = getattr(importlib.import_module(f"flows.{module}"), function)
    with mlflow_runs.reachable(project):
        return work(*arguments)
