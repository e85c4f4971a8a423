"""Children that end with their parent, however it ends.

The parent holds a named pipe open for writing and never writes to it. The kernel closes it when the parent
dies, even by SIGKILL, and whoever follows the pipe then leaves.
"""

import os
import select
import threading


def follow(path: str | None) -> None:
    """End this process when the other end of the pipe at `path` closes; nothing for an empty path."""
    if not path:
        return
    pipe = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def wait() -> None:
        select.select([pipe], [], [])  # nothing is ever written: it returns when the other end closes
        os._exit(1)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
