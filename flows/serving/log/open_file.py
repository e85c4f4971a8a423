"""The file of lines that one worker appends to. It is locked while it is written, so that nobody closes it."""

import errno
import fcntl
import os
from datetime import datetime, timedelta
from pathlib import Path

from flows.serving.log.layout import TURN, Part

NAMES = 1_000  # microseconds to try for a name that is free
FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


class OpenFile:
    """Lines of the day of `at`. Only its user may read them. Raises OSError."""

    def __init__(self, folder: Path, worker: int, at: datetime):
        """folder: of the model. worker: its number, for the name. at: the instant of the first row, in UTC."""
        self.day, self.size = at.date(), 0
        self.path, self._descriptor = _made(folder, worker, at)
        self._made = os.fstat(self._descriptor).st_mtime_ns

    def append(self, lines: bytes) -> None:
        """All of these lines or none, by one call of the system if it takes them all. Raises OSError if none."""
        try:
            written = os.write(self._descriptor, lines)
            while written < len(lines):  # the disk filled up: the next call says so
                written += os.write(self._descriptor, lines[written:])
        except OSError as error:
            os.ftruncate(self._descriptor, self.size)
            raise OSError(error.errno, error.strerror, str(self.path)) from error
        self.size += written

    @property
    def is_sound(self) -> bool:
        """Whether it still has its name and holds whole lines alone. Lines of a file that was deleted are lost."""
        found = os.fstat(self._descriptor)
        return found.st_nlink > 0 and found.st_size == self.size

    @property
    def is_asked_to_end(self) -> bool:
        """Whether somebody waits for these lines since they were begun: `ratchet forget` takes rows out of them."""
        try:
            return (self.path.parent / TURN).stat().st_mtime_ns >= self._made
        except FileNotFoundError:
            return False

    def close(self) -> None:
        os.close(self._descriptor)


def _made(folder: Path, worker: int, at: datetime) -> tuple[Path, int]:
    """A new file under a free name, locked: its path and descriptor."""
    for step in range(NAMES):
        start = (at + timedelta(microseconds=step)).strftime("%H%M%S%f")
        part = Part(folder, at.date(), f"{worker}-{start}")
        if part.closed.exists():  # closed already, by a clock that was put back
            continue
        part.lines.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            descriptor = os.open(part.lines, FLAGS, 0o600)
        except FileExistsError:
            continue
        if _locked(descriptor):
            return part.lines, descriptor
        os.close(descriptor)
    raise FileExistsError(errno.EEXIST, "no name is free", str(folder))


def _locked(descriptor: int) -> bool:
    """Whether the lock was taken before somebody closed the file, which had no lines yet."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return os.fstat(descriptor).st_nlink > 0
