"""The warm processes of a run: begun when its first stage is about to work, gone with it (pipelines/warm.py)."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from flows import lifeline
from flows.environment import Project
from pipelines import device
from pipelines.__main__ import STAGES
from pipelines.device import Hardware
from pipelines.warm import KINDS, VARIABLE


class Warm:
    """Those of one run. `shared` makes it, or gives the one that is there."""

    def __init__(self, project: Project, folder: Path):
        self._project, self._folder = project, folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def begin(self, stage: str, hardware: Hardware) -> None:
        """Start what this stage and those after it ask for; what runs already stays."""
        kinds = dict.fromkeys(KINDS[name] for name in STAGES[STAGES.index(stage) :] if name in KINDS)
        for kind in kinds:
            if kind not in self._processes:
                self._processes[kind] = self._start(kind, hardware)

    def _start(self, kind: str, hardware: Hardware) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "pipelines.warm", "serve", kind]
        environment = os.environ | device.variables(hardware) | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        log = self._project.state / "logs" / "warm.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=file, stderr=file)

    def end(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()


_current: ContextVar[Warm | None] = ContextVar("warm", default=None)


@contextmanager
def shared(project: Project) -> Iterator[Warm]:
    """One for a run: a block inside another one has the same."""
    if (there := _current.get()) is not None:
        yield there
        return
    # in the system's own folder: the address of a socket has room for about a hundred letters
    with lifeline.held(project), tempfile.TemporaryDirectory(prefix="ratchet-warm-") as folder:
        warm = Warm(project, Path(folder))
        token, os.environ[VARIABLE] = _current.set(warm), folder
        try:
            yield warm
        finally:
            del os.environ[VARIABLE]
            _current.reset(token)
            warm.end()
