"""MLflow in a process of its own. Its import takes two seconds, during which the run does other work.

It does one call after the other. It ends with the connection, and with the run that it follows, however that ends.
It is started with its output in a log and no signal of the terminal, so nothing of its start or end reaches a person:
Python's own pools of processes print a traceback where the parent has ended, and the semaphores that they have left.
"""

import os
import pickle
import pkgutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, Pipe
from typing import Any, ParamSpec, TypeVar

from flows.project import lifeline
from flows.project.environment import Project
from pipelines.errors import UnreachableError
from pipelines.process import lifeline as following

P = ParamSpec("P")
R = TypeVar("R")
FOR_THE_RUN = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)  # it still tells MLflow how it ended
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
        self._submit(_preload, self._preloaded)

    def _submit(self, work: Callable[..., Any], *arguments: Any) -> "Future[Any]":
        self._begun = self._begun or self._started()
        return self._turns.submit(_ask, self._begun[1], work, arguments)

    def _started(self) -> tuple[subprocess.Popen[bytes], "Connection[Any, Any]"]:
        ours, theirs = Pipe()
        path = f"import sys; sys.path[:] = {sys.path!r}"  # the modules of this process, wherever it lies
        begin = f"from flows.tracking.mlflow_process import main; main({theirs.fileno()}, {self._pipe!r})"
        command = [sys.executable, "-P", "-c", f"{path}; {begin}"]
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
            answer: R = self._submit(_call, self._project, work, arguments, named).result()
        except WorkerDied as error:
            raise UnreachableError(DIED, "Run again: the stages are done and kept.") from error
        return answer

    def send(self, work: Callable[P, R], *arguments: P.args, **named: P.kwargs) -> "Future[R]":
        """Run it without waiting. Its failure is in what this returns."""
        return self._submit(_call, self._project, work, arguments, named)


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


# ------------------------------------------------------------------ in the process


def main(line: int, pipe: str) -> None:
    """line: the descriptor of a connection, on which functions and their arguments come and answers go."""
    for number in FOR_THE_RUN:
        signal.signal(number, signal.SIG_IGN)
    following.follow(pipe)
    with Connection(line) as asked:
        while True:
            try:
                work, arguments = asked.recv()
            except EOFError:
                os._exit(0)
            asked.send_bytes(_answer(work, arguments))


def _answer(work: Any, arguments: tuple[Any, ...]) -> bytes:
    """(answer, None) or (None, error), pickled."""
    try:
        return pickle.dumps((work(*arguments), None))
    except Exception as error:
        traceback.print_exc()  # into the log
        error.add_note(traceback.format_exc())  # for --debug
        try:
            pickle.loads(told := pickle.dumps((None, error)))  # noqa: S301 (our own): some errors cannot be made again
        except Exception:
            told = pickle.dumps((None, RuntimeError(f"{type(error).__name__}: {error}")))
        return told


def _preload(modules: tuple[str, ...]) -> None:
    for name in modules:
        pkgutil.resolve_name(name)


def _call(project: Project, work: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """Run the function that `work` (a Remote) names, with the store's errors as ours."""
    from flows.tracking import mlflow_runs

    function = pkgutil.resolve_name(work.place)
    with mlflow_runs.reachable(project):
        return function(*arguments, **named)
