"""The process that has MLflow: python -m flows.tracking.mlflow_worker LINE LIFELINE

LINE: the descriptor of a connection, on which functions and their arguments come and answers go. It ends with the
connection, or with the run whose lifeline it follows.
"""

import os
import pickle
import pkgutil
import signal
import sys
import traceback
from multiprocessing.connection import Connection
from typing import Any

from flows.project.environment import Project
from pipelines.process import lifeline

FOR_THE_RUN = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)  # it still tells MLflow how it ended


def main(line: str, pipe: str) -> None:
    for number in FOR_THE_RUN:
        signal.signal(number, signal.SIG_IGN)
    lifeline.follow(pipe)
    with Connection(int(line)) as asked:
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


def preload(modules: tuple[str, ...]) -> None:
    for name in modules:
        pkgutil.resolve_name(name)


def call(project: Project, work: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """Run the function that `work` (a Remote) names, with the store's errors as ours."""
    from flows.tracking import mlflow_runs

    function = pkgutil.resolve_name(work.place)
    with mlflow_runs.reachable(project):
        return function(*arguments, **named)


if __name__ == "__main__":
    main(*sys.argv[1:])
