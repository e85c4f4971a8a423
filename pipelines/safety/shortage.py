"""Shortage: a full disk, a missing right, too little memory. Recognises it in any error, and says it in one paragraph.

A full disk has many error texts: errno 28 of the system, "database or disk is full" of SQLite, the same inside an
error of SQLAlchemy, DVC, Arrow or HDF5, or the last line of a process that died.
"""

import errno
import getpass
import os
import re
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import ShortageError


@dataclass(frozen=True)
class Kind:
    """numbers: errno of the system. words: the text of errors that lost the number."""

    numbers: tuple[int, ...]
    words: str


FULL = Kind(
    (errno.ENOSPC, errno.EDQUOT),
    r"No space left on device|Disk quota exceeded|database or disk is full|errno ?[=:]? ?28\b",
)
READ_ONLY = Kind((errno.EROFS,), r"Read-only file system|attempt to write a readonly database")
FORBIDDEN = Kind((errno.EACCES, errno.EPERM), r"\[Errno 13\]")
TOO_LARGE = Kind((errno.EFBIG,), r"\[Errno 27\]|File too large")
DAMAGED = Kind((errno.EIO,), r"\[Errno 5\]|Input/output error|disk I/O error")
MEMORY = Kind((errno.ENOMEM,), r"Cannot allocate memory|std::bad_alloc|\bMemoryError\b")
KINDS = (FULL, READ_ONLY, TOO_LARGE, DAMAGED, MEMORY, FORBIDDEN)

NOTHING = 64 << 10  # bytes: a disk with less than this left is as good as full
UNOPENED = "unable to open database file"  # of SQLite, for one of several reasons
IN_WORDS = re.compile(r"'(/[^'\n]+)'|\"(/[^\"\n]+)\"")  # a path in a message
NO_MEMORY = "Out of memory: this needs more than is free here, or more than this process may use (`ulimit -v`)."
LESS = "Use fewer rows, or a machine with more memory."
GO_ON = "and run again: finished work is kept."


def of(error: BaseException, places: Sequence[Path] = (), words: bool = True) -> ShortageError | None:
    """The shortage that caused an error, directly or not; None if there is none.

    places: where the failed work writes, the likeliest first; used if the error names no file. words: False if messages
    may quote other texts, such as a command: then only numbers of the system and SQLite's own words count.
    """
    for one in _behind(error):
        if isinstance(one, ShortageError):
            return one
        if isinstance(one, MemoryError):
            return _told(MEMORY, "", places)
        text = " ".join(str(one).split())
        if UNOPENED in text and places:
            return unwritable(places[0])
        number = one.errno if isinstance(one, OSError) else None
        read = number is None and (words or isinstance(one, sqlite3.Error))
        for kind in KINDS:
            if number in kind.numbers or (read and re.search(kind.words, text)):
                if kind in (DAMAGED, READ_ONLY) and read and (short := full(places, NOTHING)):
                    return short  # SQLite says this too if a full disk has no room for a file beside the database
                return _told(kind, _named(one, text), places)
    return None


def of_text(text: str, places: Sequence[Path]) -> ShortageError | None:
    """The shortage that a process reported before it died."""
    for kind in KINDS:
        if re.search(kind.words, text):
            return _told(kind, _named(None, text), places)
    return None


def full(places: Sequence[Path], least: int) -> ShortageError | None:
    """The shortage of the first of these places whose disk has fewer free bytes than `least`."""
    for place in places:
        if shutil.disk_usage(existing(place)).free < least:
            return _told(FULL, str(place), [])
    return None


def unwritable(path: Path) -> ShortageError | None:
    """Why a file, or a file in a folder, cannot be written, as far as the system knows; None if it can."""
    there = existing(path)
    if there != path.absolute() and there != path.absolute().parent:
        return None
    if short := full([path], NOTHING):
        return short
    if os.access(there, os.W_OK | (os.X_OK if there.is_dir() else 0)):
        return None
    read_only = os.statvfs(there).f_flag & os.ST_RDONLY
    return _told(READ_ONLY if read_only else FORBIDDEN, str(path), [])


def existing(path: Path) -> Path:
    """The path itself, or the nearest existing folder above it."""
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if os.path.lexists(folder))


def mount(path: Path) -> Path:
    """Where the disk that holds a path is mounted."""
    path = existing(path).resolve()
    return next(folder for folder in (path, *path.parents) if os.path.ismount(folder))


def _behind(error: BaseException) -> Iterator[BaseException]:
    """The error, and all errors that led to it."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop(0)
        if not isinstance(one, BaseException) or id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        context = None if one.__suppress_context__ else one.__context__
        waiting += [getattr(one, "orig", None), one.__cause__, context, *getattr(one, "exceptions", ())]


def _named(error: BaseException | None, text: str) -> str:
    """The file that an error names, "" for none."""
    name = getattr(error, "filename", None)
    if isinstance(name, (str, bytes, os.PathLike)) and name:
        return os.fsdecode(name)
    found = IN_WORDS.search(text)
    return next(filter(None, found.groups())) if found else ""


def _told(kind: Kind, name: str, places: Sequence[Path]) -> ShortageError:
    if kind is MEMORY:
        return ShortageError(NO_MEMORY, LESS)
    if not name and kind is FULL and places:
        name = str(min(places, key=lambda place: shutil.disk_usage(existing(place)).free))
    name = name or (str(places[0]) if places else "")
    place = Path(name) if name else Path.cwd()
    name, folder = name or "A file", existing(place if place.is_dir() else place.parent)
    return ShortageError(*_words(kind, name, folder))


def _words(kind: Kind, name: str, folder: Path) -> tuple[str, str]:
    """What happened, and what to do. folder: the existing folder of the file."""
    disk = mount(folder)
    if kind is FULL:
        usage = shutil.disk_usage(folder)
        free = f"{_size(usage.free)} of {_size(usage.total)} free"
        what = f"The disk at {disk} is full, or a quota on it is used up ({free}): {name} could not be written."
        return what, f"Make room there (`ratchet prune` deletes versions that nothing needs), {GO_ON}"
    if kind is READ_ONLY:
        mounted = f"{name} cannot be written: it or its disk (mounted at {disk}) is read-only."
        return mounted, f"Make it writable, {GO_ON}"
    if kind is FORBIDDEN:
        refused = f"The user {getpass.getuser()} may not read or write {name}."
        return refused, f"Give this user the right to it and to its folder {folder} (chown, chmod), {GO_ON}"
    if kind is TOO_LARGE:
        most = f"{name} would exceed the largest size of a file here (`ulimit -f`, or the disk at {disk})."
        return most, f"Raise that limit, {GO_ON}"
    broken = f"The disk at {disk} failed to read or to write {name}: an input/output error."
    return broken, "Check the system's log (`dmesg`) and the disk before you write anything else to it."


def _size(number: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number} bytes"
