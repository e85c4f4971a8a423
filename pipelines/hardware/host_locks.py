"""Locks of the whole machine: files in a folder that every user may write to.

They are the kernel's (flock): a lock ends with its process, however that ends. Beside the locks there is a gate. One
process passes it at a time, for a moment, so that looking and locking are one step. Each file holds a note of the
owner of its lock. A child that is forked while a lock is held keeps it too.

Any user may put anything into such a folder. So no link is followed, and only a plain file with one name is written.
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
        """Lock a free name and sign it. Returns a descriptor: closing it frees the lock."""
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
        """The note of its owner; {} if it cannot be read."""
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
                f"{place}, the folder of this machine's locks, cannot be used: {error.strerror or error}.",
                "It must be a folder of plain files that every user may write to: remove it, and run again.",
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
    """A file of the folder, made if it is missing. Raises OSError unless it is a plain file with one name."""
    try:
        descriptor = os.open(name, os.O_RDWR | CAREFUL, dir_fd=folder)  # with O_CREAT the kernel refuses others' files
    except FileNotFoundError:
        descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | CAREFUL, 0o600, dir_fd=folder)
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode) or about.st_nlink > 1:
        os.close(descriptor)
        raise OSError(f"{name} is not a plain file with one name")
    _open_to_all(descriptor, 0o666)
    return descriptor


def _open_to_all(descriptor: int, mode: int) -> None:
    """Set the rights, whatever the umask. Also of a file whose maker was killed before it set them."""
    about = os.fstat(descriptor)
    if about.st_uid == os.geteuid() and stat.S_IMODE(about.st_mode) != mode:
        os.fchmod(descriptor, mode)


def _is_current(folder: int, name: str, descriptor: int) -> bool:
    """Whether the file still has its name: a cleaner of temporary files may have removed it."""
    try:
        return os.path.samestat(os.stat(name, dir_fd=folder, follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False
