"""Regular files: a path from outside is opened only if it is a regular file, and without waiting.

A pipe would make the run wait for ever, a device has no end, and a link may lead to a file that its sender may not read
but the run may. A second name of the same file (a hard link) cannot be told from its first.
"""

import hashlib
import io
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from pipelines.errors import DataError

CAREFUL = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # no link, no waiting for a pipe's other end
BLOCK = 1 << 20  # bytes that are copied at once
KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


def is_one(path: Path) -> bool:
    """Whether this path is a regular file, and not a link."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def check(path: Path, within: Sequence[Path] = ()) -> None:
    """Raises DataError unless the path is a regular file that can be opened. within: see `opened`."""
    if within or not is_one(path):
        opened(path, within).close()


def opened(path: Path, within: Sequence[Path] = ()) -> io.BufferedReader:
    """The bytes of a regular file.

    within: folders; if there are any, the file must lie in one of them after links are followed. Raises DataError for
    anything else, for a missing file, and for one that cannot be opened.
    """
    try:
        real = _real(path, within)
        _check_kind(path, os.lstat(real))
        file = os.open(real, CAREFUL)
    except FileNotFoundError as error:
        if path.is_symlink():
            raise DataError(f"{path} is a link that leads nowhere.", "Put the file itself there.") from error
        raise DataError(f"{path} is gone.", "Run again when nobody removes or renames files there.") from error
    except (OSError, ValueError) as error:  # a loop of links, a part that is no folder, a name with a zero byte
        told = getattr(error, "strerror", None) or str(error)
        raise DataError(f"{path} cannot be opened: {told}.", "Put a readable file there.") from error
    try:
        _check_kind(path, os.fstat(file))
    except DataError:  # another file took its place between the two looks
        os.close(file)
        raise
    return open(file, "rb")


def _real(path: Path, within: Sequence[Path]) -> str:
    """Where it lies, without links. Raises DataError if that is in none of the folders."""
    if not within and not path.is_symlink():
        return str(path)
    real = Path(os.path.realpath(path, strict=True))
    if within and not any(real.is_relative_to(os.path.realpath(folder)) for folder in within):
        raise DataError(f"{path} is a link to a file outside its folder.", "Put the file itself there.")
    return str(real)


def _check_kind(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        kind = KINDS.get(stat.S_IFMT(status.st_mode), "no file")
        raise DataError(f"{path} is {kind}, but must be a file.", "Put a file there, or remove it.")


def copy(path: Path, target: Path, within: Sequence[Path] = ()) -> str:
    """Copy the bytes; returns the SHA-256 of the copy, even if the file changes meanwhile."""
    digest = hashlib.sha256()
    with opened(path, within) as file, target.open("wb") as out:
        while block := file.read(BLOCK):
            digest.update(block)
            out.write(block)
    return digest.hexdigest()


def check_tree(path: Path) -> None:
    """Raises DataError if a file, or anything below a folder, is no regular file or is a link that leaves the folder.

    The path itself may be a link, since the user declared it.
    """
    if not path.is_dir():
        check(path)
        return
    real = Path(os.path.realpath(path))
    for place, folders, names in os.walk(real):
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        if links:
            raise DataError(f"{Path(place) / links[0]} is a link to a folder.", "Put the folder itself there.")
        for name in names:
            if not is_one(file := Path(place) / name):
                check(file, [real])
