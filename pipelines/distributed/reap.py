"""Sweep: when a process ends, in whatever way, end all that it started and remove its folder.

    python -m pipelines.distributed.reap FOLDER OWNER      waits for the end of standard input, then sweeps

For programs whose children outlive a kill (those of Ray, by a minute). The sweep knows them by a variable that they
inherit, or by files that they hold open in the folder: a process that changes its title loses its variables.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

MARK = "RATCHET_SWEEP"
SECONDS = 5.0  # how long it looks for processes that were just starting


@contextmanager
def folder(what: str) -> Iterator[Path]:
    """A folder with a short path. Processes started while the block runs end with it, or with this process.

    what: a word for its purpose.
    """
    # in /tmp: the address of a socket has room for about a hundred letters
    place = tempfile.mkdtemp(prefix=f"ratchet-{what}-{os.getpid()}-", dir="/tmp")
    command = [sys.executable, "-m", "pipelines.distributed.reap", place, str(os.getpid())]
    # in a session of its own: a signal to this process and its group does not reach it
    sweeper = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    os.environ[MARK] = place
    try:
        yield Path(place)
    finally:
        del os.environ[MARK]
        sweeper.communicate()


def sweep(place: str, owner: int) -> None:
    """End every process of this user that belongs to the folder, except its owner, and remove the folder."""
    end = time.monotonic() + SECONDS
    while found := [process for process in psutil.process_iter() if process.pid != owner and _belongs(process, place)]:
        for process in found:
            process.kill()
        psutil.wait_procs(found, 0.2)
        if time.monotonic() > end:
            break
    shutil.rmtree(place, ignore_errors=True)


def _belongs(process: psutil.Process, place: str) -> bool:
    try:
        opened = (file.path for file in process.open_files())
        return process.environ().get(MARK) == place or any(path.startswith(f"{place}/") for path in opened)
    except (psutil.Error, OSError):
        return False  # somebody else's, or gone


if __name__ == "__main__":
    sys.stdin.buffer.read()
    sweep(sys.argv[1], int(sys.argv[2]))
