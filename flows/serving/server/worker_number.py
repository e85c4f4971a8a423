"""The number of a server's process: the lowest that no living process of this state folder has.

The operating system holds it, by a lock on a file, so that a process that is killed leaves its number to the next one.
"""

import fcntl
import os
from pathlib import Path

MOST = 1024


def take(state: Path) -> int:
    """Take a number until this process ends. Raises RuntimeError if all are taken."""
    folder = state / "serving"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in range(MOST):
        file = os.open(folder / f".worker-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
        else:
            return number  # the file stays open, and with it the lock
    raise RuntimeError(f"{MOST} processes of this server run already")
