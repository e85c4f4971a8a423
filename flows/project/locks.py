"""Locks between processes: held by the operating system, so that no death leaves one behind.

Beside each lock is a note of its holder, only to show a person why a command waits.
"""

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from filelock import FileLock, Timeout

from flows.project.environment import Project
from pipelines.errors import BusyError, RequestError

Notice = Callable[[str], None]
PLAIN = re.compile(r"[a-z][a-z0-9_-]*")  # the name of a lock: it becomes that of a file
LOOK = 0.3  # seconds: another process may hold a lock for so long just to test it


@contextmanager
def hold(
    project: Project, name: str, what: str, wait: bool = True, notice: Notice = lambda text: None
) -> Iterator[None]:
    """Hold the lock `name`. what: the work that needs it, for others that wait.

    Raises BusyError if it is taken and `wait` is false, RequestError for a name that is no plain one.
    """
    if not PLAIN.fullmatch(name):
        raise RequestError(f"{name[:80]!r} cannot be the name of a lock.", "Correct the name of the model.")
    path = project.state / "locks" / f"{name}.lock"
    note = path.with_suffix(".json")
    lock = FileLock(path)
    try:
        lock.acquire(timeout=LOOK)
    except Timeout:
        holder = describe(project, name)
        if not wait:
            raise BusyError(f"{holder} is active.", "Wait until it ends, or end it. Then run again.") from None
        notice(f"waiting for {holder}")
        lock.acquire()
    try:
        note.write_text(json.dumps({"format": 1, "pid": os.getpid(), "since": time.time(), "what": what}))
        yield
    finally:
        note.unlink(missing_ok=True)
        lock.release()


def held(project: Project) -> list[str]:
    """The names of the locks that a living process holds now."""
    found = []
    for path in sorted((project.state / "locks").glob("*.lock")):
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
            lock.release()
        except Timeout:
            found.append(path.stem)
    return found


def describe(project: Project, name: str) -> str:
    """Who holds a lock, in words."""
    try:
        note = json.loads((project.state / "locks" / f"{name}.json").read_text())
    except (OSError, ValueError):
        return f"another process ({name})"
    since = datetime.fromtimestamp(note["since"], UTC).strftime("%H:%M:%S UTC")
    return f"{note['what']} (process {note['pid']}, since {since})"


def holder(project: Project, name: str) -> int:
    """The process that holds a lock. Raises ValueError if it has not said so yet."""
    try:
        return int(json.loads((project.state / "locks" / f"{name}.json").read_text())["pid"])
    except OSError as error:
        raise ValueError(f"nobody has signed the lock {name}") from error
