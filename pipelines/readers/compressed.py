"""Packed files: their unpacked size, and a refusal of files made to fill memory or disk (zip bombs).

A few kilobytes can unpack to gigabytes. Real texts and images shrink to a third or a thirtieth; gzip can reach a
thousandth.
"""

import gzip
import io
import zipfile
from pathlib import Path
from typing import IO

from pipelines.errors import DataError
from pipelines.safety import regular_files

SMALL = 1 << 30  # bytes: up to this unpacked size no file is refused
MOST = 300  # times the packed size: the limit for larger files


def is_packed(path: Path) -> bool:
    return path.suffix.lower() in (".gz", ".npz")


def opened(path: Path) -> IO[bytes]:
    """The bytes of a file, unpacked if its name ends in .gz. Reading raises DataError if they become too many."""
    return io.BufferedReader(_Unpacked(path)) if path.suffix.lower() == ".gz" else regular_files.opened(path)


def size(path: Path) -> int:
    """The unpacked size of a packed file in bytes. Raises DataError if it is too large."""
    if path.suffix.lower() == ".npz":
        with regular_files.opened(path) as file, zipfile.ZipFile(file) as archive:
            return check_archive(path, archive)
    total = 0
    with opened(path) as unpacked:
        while block := unpacked.read(1 << 20):
            total += len(block)
    return total


def check_archive(path: Path, archive: zipfile.ZipFile) -> int:
    """The bytes of all its members; zipfile never reads more than it declares here. Raises DataError."""
    total = sum(member.file_size for member in archive.infolist())
    check(path, total, path.stat().st_size)
    return total


class _Unpacked(io.RawIOBase):
    """A gzipped file that compares its unpacked size with its packed size while it is read."""

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
    """Raises DataError if the unpacked size is too large for the packed size. Both in bytes."""
    if unpacked > SMALL and unpacked > MOST * packed:
        raise DataError(
            f"{path} unpacks from {packed / 1e6:.1f} MB to more than {SMALL / 1e9:.1f} GB, over {MOST} times as much. "
            "Real data do not, and this could fill memory or disk.",
            "If the file is right, unpack it and send the unpacked file.",
        )
