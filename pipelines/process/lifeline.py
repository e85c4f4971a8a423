"""Children that end with their parent, however it ends, and write into its log file.

The parent holds a named pipe open for writing and never writes to it. The kernel closes it when the parent
dies, even by SIGKILL. Then every process that follows the pipe ends.
"""

import os
import select
import threading

CHECK_SECONDS = 5.0


def _held(pipe: int) -> bool:
    """Whether a process holds the other end. `select` alone misses a parent that died before the pipe was opened."""
    try:
        return os.read(pipe, 1) != b""
    except BlockingIOError:
        return True


def follow(path: str | None) -> None:
    """End this process when the other end of the pipe at `path` closes; nothing for an empty path."""
    if not path:
        return
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def wait() -> None:
        while _held(pipe):
            select.select([pipe], [], [], CHECK_SECONDS)  # nothing is ever written: it returns when the pipe closes
        os._exit(1)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def redirect(path: str) -> None:
    """From now on this process and its children append to a file instead of writing to the terminal."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)
