"""The warm processes of a run: started as soon as a stage may have to run, ended with the run.

pipelines/process/fork_server.py explains them.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from flows.project import environment, lifeline, scratch
from flows.project.environment import Project
from pipelines.config.stages import STAGES
from pipelines.hardware import device
from pipelines.hardware.device import Hardware
from pipelines.model_file import Declaration
from pipelines.process.fork_server import VARIABLE


class ForkPool:
    """The warm processes of one run.

    folder: holds their sockets, each named after its kind. A stage finds its socket by a link with the stage's name.
    """

    def __init__(self, project: Project, folder: Path):
        self._project, self._folder = project, folder
        for name, stage in STAGES.items():
            if stage.preload:
                (folder / name).symlink_to(stage.preload)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}  # by kind

    def begin(self, stage: str, hardware: Hardware) -> None:
        """Start the processes that this stage and the later ones need, if they are not there yet.

        On one or two cores they import one after the other, in the order of the stages: the run itself must import too.
        """
        names = list(STAGES)
        with ExitStack() as stack:
            turn: IO[bytes] = stack.enter_context(open(os.devnull, "rb"))
            for one in (STAGES[name] for name in names[names.index(stage) :]):
                if one.preload and one.preload not in self._processes:
                    imported = stack.enter_context(self._start(one.preload, hardware, turn))
                    turn = imported if _cores() <= 2 else turn

    def _start(self, kind: str, hardware: Hardware, turn: IO[bytes]) -> IO[bytes]:
        """Start one; returns a file that ends when its imports are done.

        hardware: of its imports. turn: its imports begin when this file ends.
        """
        imported, held = os.pipe()
        log = self._project.state / "logs" / "warm.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        own = device.variables(hardware) | {"TF_CPP_MIN_LOG_LEVEL": "3", VARIABLE: str(self._folder)}
        command = [sys.executable, "-m", "pipelines.process.fork_server", "serve", kind, str(held)]
        with log.open("ab") as file:
            self._processes[kind] = subprocess.Popen(
                command, env=os.environ | own, stdin=turn, stdout=file, stderr=file, pass_fds=[held]
            )
        os.close(held)
        return open(imported, "rb")

    def end(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()


def first_stage(project: Project, declared: Declaration) -> str:
    """A quick guess of the first stage that must run: it reads a file newer than the last result. "" for none.

    It is certain only after Prefect and DVC are imported. A wrong guess costs only time.
    """
    made, source = project.data(declared.model) / "metrics.json", project.root / declared.ingest.source
    if _any_younger([source, *source.glob("*"), *(project.root / "pipelines").rglob("*.py")], made):
        return next(iter(STAGES))
    return "train" if _any_younger([project.root / "models" / f"{declared.model}.yaml"], made) else ""


def _any_younger(paths: list[Path], than: Path) -> bool:
    try:
        return any(path.stat().st_mtime > than.stat().st_mtime for path in paths if path.exists())
    except OSError:
        return True


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def opened(project: Project) -> Iterator[ForkPool]:
    """The pool of a run, with no process yet, and the variable that leads stages to it."""
    # in the system's own folder: the address of a socket has room for about a hundred letters
    with lifeline.held(project), scratch.folder("warm") as folder, environment.variable(VARIABLE, str(folder)):
        pool = ForkPool(project, folder)
        try:
            yield pool
        finally:
            pool.end()
