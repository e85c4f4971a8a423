"""This process's lifeline: the pipe by which servers, stages and workers notice that it has ended."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from flows.project import environment
from flows.project.environment import Project

VARIABLE = "RATCHET_LIFELINE"  # stages read it (pipelines/__main__.py)


@contextmanager
def held(project: Project) -> Iterator[str]:
    """The path of the pipe. A block inside another one has the same pipe."""
    if VARIABLE in os.environ:
        yield os.environ[VARIABLE]
        return
    for left in project.state.glob("run-*.pipe"):
        if not psutil.pid_exists(int(left.stem.partition("-")[2])):
            left.unlink(missing_ok=True)
    path = project.state / f"run-{os.getpid()}.pipe"
    path.unlink(missing_ok=True)
    os.mkfifo(path, 0o600)
    end = os.open(path, os.O_RDWR)
    try:
        with environment.variable(VARIABLE, str(path)):
            yield str(path)
    finally:
        os.close(end)
        path.unlink(missing_ok=True)
