"""MLflow in a process of its own. Its import takes two seconds, during which the run does other work.

One worker does one call after the other. It ends with the run, however the run ends.
"""

import os
import pkgutil
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any, ParamSpec, TypeVar

from flows.project import lifeline
from flows.project.environment import Project
from pipelines.errors import UnreachableError
from pipelines.process import lifeline as following

P = ParamSpec("P")
R = TypeVar("R")
BEGINS = 30.0  # seconds that it may take to begin
DIED = "The process that talks to MLflow was killed, most likely because memory ran out."


@dataclass(frozen=True)
class Remote:
    """Where a function is, as "package.module:function"."""

    place: str


class MlflowProcess:
    """The process. It starts with its first call."""

    def __init__(self, project: Project, pipe: str, preloaded: tuple[str, ...] = ()):
        """pipe: the lifeline that it follows. preloaded: the modules that `begin` imports."""
        self._project, self._preloaded = project, preloaded
        log = project.state / "logs" / "mlflow-client.log"  # MLflow's messages, apart from the run's result
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), _begin, (pipe, str(log)))
        self._first: Future[Any] | None = None  # its first call

    @property
    def begun(self) -> bool:
        return self._first is not None

    def begin(self) -> None:
        """Import MLflow now, before it is needed."""
        with suppress(BrokenProcessPool):
            self._submit(_import, self._preloaded)

    def _submit(self, work: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        self._first = self._first or self._pool.submit(os.getpid)
        return self._pool.submit(work, *arguments)

    def close(self) -> None:
        with suppress(BrokenProcessPool, TimeoutError):
            if self._first is None:  # there is no process, and a call would start one
                return
            self._first.result(BEGINS)  # starting while this process ends would fail with a traceback
            self._pool.submit(os._exit, 0)  # at once: an orderly end of MLflow's libraries takes a third of a second
        self._pool.shutdown(wait=False)

    def call(self, work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        """Run one of flows/run/remote_calls.py, and wait for its answer.

        Raises what it raises; an error of the tracking store, and the end of the process, as a RatchetError.
        """
        try:
            answer: R = self._submit(_call, self._project, work, arguments, named).result()
        except BrokenProcessPool as error:
            raise UnreachableError(DIED, "Run again: the stages are done and kept.") from error
        return answer

    def send(self, work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> "Future[R] | None":
        """Run it without waiting. Its failure is in what this returns; None if the process has died."""
        with suppress(BrokenProcessPool):  # the next call raises it
            return self._submit(_call, self._project, work, arguments, named)
        return None


@contextmanager
def opened(project: Project, preloaded: tuple[str, ...] = ()) -> Iterator[MlflowProcess]:
    """A process that ends with the block, and with this process, however that ends."""
    with lifeline.held(project) as pipe:
        process = MlflowProcess(project, pipe, preloaded)
        try:
            yield process
        finally:
            process.close()


def _begin(pipe: str, log: str) -> None:
    try:
        following.redirect(log)
    except OSError:  # a full disk: later failures are reported, and nothing else reaches the terminal
        following.redirect(os.devnull)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which then ends this process
    following.follow(pipe)


def _import(modules: tuple[str, ...]) -> None:
    for name in modules:
        pkgutil.resolve_name(name)


def _call(project: Project, work: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    from flows.tracking import mlflow_runs

    function = pkgutil.resolve_name(work.place)
    with mlflow_runs.reachable(project):
        return function(*arguments, **named)
