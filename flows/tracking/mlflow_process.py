"""MLflow in a process of its own. Its import takes two seconds, during which the run does other work.

One worker (flows/tracking/mlflow_worker.py) does one call after the other. It ends with the run, however the run ends.
It is started with its output in a log and no signal of the terminal, so nothing of its start or end reaches a person:
Python's own pools of processes print a traceback where the parent has ended, and the semaphores that they have left.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from typing import Any, ParamSpec, TypeVar

from flows.project import lifeline
from flows.project.environment import Project
from flows.tracking import mlflow_worker
from pipelines.errors import UnreachableError

P = ParamSpec("P")
R = TypeVar("R")
DIED = "The process that talks to MLflow was killed, most likely because memory ran out."


@dataclass(frozen=True)
class Remote:
    """Where a function is, as "package.module:function"."""

    place: str


class WorkerDied(Exception):
    """The process has ended before it answered."""


class MlflowProcess:
    """The process. It starts with its first call."""

    def __init__(self, project: Project, pipe: str, preloaded: tuple[str, ...] = ()):
        """pipe: the lifeline that it follows. preloaded: the modules that `begin` imports."""
        self._project, self._pipe, self._preloaded = project, pipe, preloaded
        self._turns = ThreadPoolExecutor(1, "mlflow")  # one call after the other
        self._begun: tuple[subprocess.Popen[bytes], Connection[Any, Any]] | None = None

    @property
    def begun(self) -> bool:
        return self._begun is not None

    def begin(self) -> None:
        """Import MLflow now, before it is needed."""
        self._submit(mlflow_worker.preload, self._preloaded)

    def _submit(self, work: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        self._begun = self._begun or self._started()
        return self._turns.submit(_ask, self._begun[1], work, arguments)

    def _started(self) -> tuple[subprocess.Popen[bytes], "Connection[Any, Any]"]:
        ours, theirs = Pipe()
        command = [sys.executable, "-m", "flows.tracking.mlflow_worker", str(theirs.fileno()), self._pipe]
        with theirs, _log(self._project) as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                process_group=0,  # Ctrl-C and the end of the terminal are for the run, which then ends this process
            )
        return process, ours

    def close(self) -> None:
        """End it at once: an orderly end of MLflow's libraries takes a third of a second."""
        if self._begun is not None:
            process, _ = self._begun
            process.kill()
            process.wait()
        self._turns.shutdown(wait=False, cancel_futures=True)

    def call(self, work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> R:
        """Run one of flows/run/remote_calls.py, and wait for its answer.

        Raises what it raises; an error of the tracking store, and the end of the process, as a RatchetError.
        """
        try:
            answer: R = self._submit(mlflow_worker.call, self._project, work, arguments, named).result()
        except WorkerDied as error:
            raise UnreachableError(DIED, "Run again: the stages are done and kept.") from error
        return answer

    def send(self, work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> "Future[R]":
        """Run it without waiting. Its failure is in what this returns."""
        return self._submit(mlflow_worker.call, self._project, work, arguments, named)


def _ask(line: "Connection[Any, Any]", work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """In the thread that has the line: one question, and its answer. Raises what the worker raised."""
    try:
        line.send((work, arguments))
        answer, error = line.recv()
    except (OSError, EOFError) as gone:
        raise WorkerDied from gone
    if error is not None:
        raise error
    return answer


def _log(project: Project) -> Any:
    """Where MLflow's messages go, apart from the run's result."""
    with suppress(OSError):  # a full disk: later failures are reported, and nothing else reaches the terminal
        return (project.state / "logs" / "mlflow-client.log").open("ab")
    return open(os.devnull, "ab")


@contextmanager
def opened(project: Project, preloaded: tuple[str, ...] = ()) -> Iterator[MlflowProcess]:
    """A process that ends with the block, and with this process, however that ends."""
    with lifeline.held(project) as pipe:
        process = MlflowProcess(project, pipe, preloaded)
        try:
            yield process
        finally:
            process.close()
