"""Packed files: how large they are once they are unpacked, and a refusal of those made to fill memory or disk.

A few kilobytes can be packed so that gigabytes come out of them (a zip bomb). Texts and images as people send them
shrink to a third or a thirtieth; the most that gzip can do is a thousandth.
"""

import gzip
import io
import zipfile
from pathlib import Path
from typing import IO

from pipelines.errors import DataError
from pipelines.safety import regular_files

SMALL = 1 << 30  # bytes: what unpacks to no more is never refused
MOST = 300  # times its packed size, beyond that


def is_packed(path: Path) -> bool:
    return path.suffix.lower() in (".gz", ".npz")


def opened(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked if its name ends in .gz. Reading raises DataError where that grows too large."""
    return io.BufferedReader(_Unpacked(path)) if path.suffix.lower() == ".gz" else regular_files.opened(path)


def size(path: Path) -> int:
    """The bytes of a packed file once it is unpacked. Raises DataError if they are too many."""
    if path.suffix.lower() == ".npz":
        with regular_files.opened(path) as file, zipfile.ZipFile(file) as archive:
            return check_archive(path, archive)
    total = 0
    with opened(path) as unpacked:
        while block := unpacked.read(1 << 20):
            total += len(block)
    return total


def check_archive(path: Path, archive: zipfile.ZipFile) -> int:
    """The bytes of all its members, of which zipfile reads no more than it says here. Raises DataError."""
    total = sum(member.file_size for member in archive.infolist())
    check(path, total, path.stat().st_size)
    return total


class _Unpacked(io.RawIOBase):
    """A gzipped file that looks at how much it has become of how little."""

    def __init__(self, path: Path):
        self._path, self._count = path, 0
        self._packed = regular_files.opened(path)
        self._file = gzip.GzipFile(fileobj=self._packed)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = self._file.readinto(buffer)
        self._count += count
        check(self._path, self._count, self._packed.tell())
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
            self._packed.close()
        super().close()


def check(path: Path, unpacked: int, packed: int) -> None:
    """Raises DataError if so many bytes are too many to come out of a file of so few."""
    if unpacked > SMALL and unpacked > MOST * packed:
        raise DataError(
            f"{path} is packed so that more than {SMALL / 1e9:.1f} GB come out of {packed / 1e6:.1f} MB, over {MOST} "
            "times as much: data do not look like this, and it could fill memory or disk.",
            "If they are meant, unpack them and send what comes out.",
        )
