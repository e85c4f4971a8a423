"""Start and stop the scheduler (flows/schedule/serve.py): in this terminal, or in the background."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from flows.graph import worktree
from flows.project import databases, locks
from flows.project.environment import Project
from flows.schedule.served import ready as ready
from flows.schedule.served import running
from flows.servers import lifecycle
from pipelines.errors import BusyError, RatchetError
from pipelines.safety import shortage

MOST_BYTES = 5_000_000  # of its log, before a new one is begun
PATIENCE = 120  # seconds it may take to be ready: a slow machine needs 20 and more


def here(project: Project, parallel: int | None) -> None:
    """Become the scheduler; does not return. Raises BusyError if there is one, RequestError without git."""
    if "schedule" in locks.held(project):
        raise BusyError(
            f"{locks.describe(project, 'schedule')} is already active.", "Stop it with `ratchet down`, or let it run."
        )
    lifecycle.up(project)
    tree = worktree.ensure(project)
    os.chdir(tree)
    os.execve(sys.executable, _command(parallel), _environment(project))  # noqa: S606 (no shell, our own module)


def start(project: Project, parallel: int | None = None) -> dict[str, Any]:
    """Start it in the background unless it runs; returns what it serves. Raises RatchetError if it does not start."""
    if found := running(project):
        return found
    tree = worktree.ensure(project)
    log = project.state / "logs" / "schedule.log"
    if log.exists() and log.stat().st_size > MOST_BYTES:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as out:
        process = subprocess.Popen(
            _command(parallel),
            cwd=tree,
            env=_environment(project),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        return _ready(project, process, log)
    except BaseException:  # Ctrl-C, too
        process.terminate()
        stop(project)
        raise


def _ready(project: Project, process: "subprocess.Popen[bytes]", log: Path) -> dict[str, Any]:
    """What the scheduler serves, once it does."""
    until = time.monotonic() + PATIENCE
    while not (found := running(project)):
        if process.poll() is not None or time.monotonic() > until:
            said = log.read_text(errors="replace")[-20_000:]
            raise shortage.of_text(said, [log]) or RatchetError(
                f"The scheduler did not start: {databases.last_line(said)}. Its log is {log}.", "Run `ratchet doctor`."
            )
        time.sleep(0.05)
    return found


def stop(project: Project) -> bool:
    """End it and what it has started; returns whether there was one."""
    if "schedule" not in locks.held(project):
        return False
    try:
        holder = psutil.Process(locks.holder(project, "schedule"))
    except (psutil.NoSuchProcess, ValueError):
        return False
    group = [holder, *holder.children(recursive=True)]
    for number in (signal.SIGTERM, signal.SIGKILL):
        for process in group:
            lifecycle.send(process, number)
        group = psutil.wait_procs(group, timeout=10)[1]
    return True


def _command(parallel: int | None) -> list[str]:
    return [sys.executable, "-m", "flows.schedule", str(parallel or max(1, (os.cpu_count() or 2) // 2))]


def _environment(project: Project) -> dict[str, str]:
    return os.environ | {"RATCHET_STATE": str(project.state), "PYTHONUNBUFFERED": "1"}
