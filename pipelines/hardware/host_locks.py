"""Locks of the whole machine: files in a folder that every user may write to.

They are the kernel's (flock): with its process a lock is gone, however that ended. Beside the locks there is a gate,
which one process passes at a time and for a moment only, so that to look and to lock are one step. In each file stands
a note of who has locked it. A child that was forked while a lock is held keeps it too.

Anybody may put anything into such a folder: no link is followed, and what is no plain file, or has a second name, is
not written to.
"""

import fcntl
import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from pipelines.errors import RatchetError

GATE = "gate"
SHORT = 0.02  # seconds between two attempts: a folder or file that another user is just making is not open to all yet
ATTEMPTS = 50
MOST_BYTES = 4096  # of a note
CAREFUL = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # no link, no waiting for a pipe's other end, no heirs


class Locks:
    """The folder, for a process that is inside the gate."""

    def __init__(self, folder: int):
        self._folder = folder  # its descriptor

    def names(self) -> list[str]:
        return os.listdir(self._folder)

    def held(self, name: str) -> bool:
        """Whether a living process has locked it."""
        try:
            descriptor = os.open(name, os.O_RDONLY | CAREFUL, dir_fd=self._folder)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)  # and with it the lock
        return False

    def take(self, name: str, note: dict[str, Any]) -> int:
        """Lock what is not held, and sign it. Returns a descriptor: to close it frees the lock."""
        descriptor = _opened(self._folder, name)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
        with suppress(OSError):  # such as a full disk: then nobody can tell who it is
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(note).encode()[:MOST_BYTES], 0)
        return descriptor

    def note(self, name: str) -> dict[str, Any]:
        """Of the one who has locked it; {} if it cannot be read."""
        try:
            descriptor = os.open(name, os.O_RDONLY | CAREFUL, dir_fd=self._folder)
            with open(descriptor, "rb") as file:
                found = json.loads(file.read(MOST_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def remove(self, name: str) -> None:
        """If it can be: the folder is sticky, so another user's file stays."""
        with suppress(OSError):
            os.unlink(name, dir_fd=self._folder)


@contextmanager
def gate(place: Path) -> Iterator[Locks]:
    """Pass the gate of a folder, which is made if it is not there. Raises RatchetError if it cannot be used."""
    with ExitStack() as stack:
        try:
            yield Locks(_through(place, stack))
        except OSError as error:
            raise RatchetError(
                f"{place}, where locks of the whole machine lie, cannot be used: {error.strerror or error}.",
                "It has to be a folder of plain files that every user may write to: remove it, and run again.",
            ) from error


def _through(place: Path, stack: ExitStack) -> int:
    """The folder's descriptor. The stack holds that and the gate."""
    for attempt in range(ATTEMPTS):
        try:
            stack.callback(os.close, folder := _entered(place))
            stack.callback(os.close, descriptor := _opened(folder, GATE))
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_current(folder, GATE, descriptor):
                return folder
        except (PermissionError, FileNotFoundError, FileExistsError):
            if attempt == ATTEMPTS - 1:
                raise
        stack.close()
        time.sleep(SHORT)
    raise FileNotFoundError("its files are removed again and again")


def _entered(place: Path) -> int:
    with suppress(FileExistsError):
        os.mkdir(place)
    folder = os.open(place, os.O_RDONLY | os.O_DIRECTORY | CAREFUL)
    _open_to_all(folder, 0o1777)  # sticky: nobody removes another user's files
    return folder


def _opened(folder: int, name: str) -> int:
    """A file of the folder, made if it is not there. Raises OSError if it is not a plain one of one name."""
    try:
        descriptor = os.open(name, os.O_RDWR | CAREFUL, dir_fd=folder)  # with O_CREAT the kernel refuses others' files
    except FileNotFoundError:
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | CAREFUL, 0o600, dir_fd=folder)
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode) or about.st_nlink > 1:
        os.close(descriptor)
        raise OSError(f"{name} is not a plain file of one name")
    _open_to_all(descriptor, 0o666)
    return descriptor


def _open_to_all(descriptor: int, mode: int) -> None:
    """Whatever the umask; also what a process that was killed has made and not opened yet."""
    about = os.fstat(descriptor)
    if about.st_uid == os.geteuid() and stat.S_IMODE(about.st_mode) != mode:
        os.fchmod(descriptor, mode)


def _is_current(folder: int, name: str, descriptor: int) -> bool:
    """Whether the file still has its name: something that clears temporary files may have taken it away."""
    try:
        return os.path.samestat(os.stat(name, dir_fd=folder, follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False
