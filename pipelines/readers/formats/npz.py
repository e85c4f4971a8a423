"""Arrays: a NumPy archive of images and their labels becomes rows.

    x_train, y_train, x_test, y_test  (and x_val, y_val; as Keras has them)  ->  image, label, split
    x, y, or images, labels                                                  ->  image, label
    images alone, by any names, to be predicted                              ->  image

Images are bytes, [rows, height, width] or [rows, height, width, channels]; labels whole numbers or text, [rows] or
[rows, 1]. The members are read a part at a time; nothing is unpickled.
"""

import math
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa

from pipelines.config.data import MOST_PIXELS
from pipelines.errors import DataError
from pipelines.readers import compressed
from pipelines.readers.reader import Reader
from pipelines.safety import regular_files

BATCH_BYTES = 8 << 20
SPLITS = {"train": "train", "val": "validation", "validation": "validation", "valid": "validation", "test": "test"}
PAIRS = {"x": "y", "images": "labels"}
LABELS = ("y.", "y_", "labels.")  # the beginnings of the names of members with labels
LAYOUT = "Save x_train, y_train, x_test and y_test, or x and y: numpy.savez(path, x=images, y=labels)."


@dataclass
class Member:
    """One array of an archive, at its first value."""

    name: str
    file: IO[bytes]
    shape: tuple[int, ...]
    kind: np.dtype[Any]

    def take(self, rows: int) -> np.ndarray:
        """The next rows, [rows, ...]. Raises EOFError if there are not so many."""
        size = rows * math.prod(self.shape[1:]) * self.kind.itemsize
        content = self.file.read(size)
        if len(content) < size:
            raise EOFError(f"{size - len(content):,} bytes of {self.name} are missing")
        return np.frombuffer(content, self.kind).reshape(rows, *self.shape[1:])


def read(path: Path, labelled: bool = True) -> Iterator[pa.RecordBatch]:
    """The rows of an archive, a few at a time. Raises DataError if it is no archive of images and labels.

    labelled: whether it needs labels; if not, an archive without labels may hold images alone.
    """
    with _archive(path) as archive:
        if not labelled and not any(member.startswith(LABELS) for member in archive.namelist()):
            for member in archive.namelist():
                yield from _rows(path, archive, member.removesuffix(".npy"), "", "")
            return
        for images, labels, split in _pairs(path, archive.namelist()):
            yield from _rows(path, archive, images, labels, split)


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """The open archive. Raises DataError for any error of zipfile and NumPy in a damaged or foreign file."""
    try:
        with regular_files.opened(path) as file, zipfile.ZipFile(file) as archive:
            compressed.check_archive(path, archive)
            yield archive
    except (zipfile.BadZipFile, EOFError, ValueError, RuntimeError, KeyError) as error:
        raise DataError(f"{path} is not a complete NumPy archive: {error}.", f"Write it again. {LAYOUT}") from error


def _pairs(path: Path, members: list[str]) -> list[tuple[str, str, str]]:
    """(images, labels, split) for each pair of arrays; the split is "" where there are none."""
    names = [member.removesuffix(".npy") for member in members]
    splits = [(f"x_{key}", f"y_{key}", split) for key, split in SPLITS.items()]
    whole = [(images, labels, "") for images, labels in PAIRS.items()]
    for known in (splits, whole):
        found = [pair for pair in known if pair[0] in names and pair[1] in names]
        if found and sorted(names) == sorted(name for pair in found for name in pair[:2]):
            return found
    shown = ", ".join(names[:10]) or "nothing"
    raise DataError(f"{path} holds {shown}, which are not pairs of images and labels.", LAYOUT)


def _rows(path: Path, archive: zipfile.ZipFile, x: str, y: str, split: str) -> Iterator[pa.RecordBatch]:
    """y: "" for images without labels."""
    with ExitStack() as stack:
        names = [x, y] if y else [x]
        images, *labels = (_opened(path, stack.enter_context(archive.open(f"{name}.npy")), name) for name in names)
        _check(path, images, *labels)
        rows, size = images.shape[0], math.prod(images.shape[1:])
        step = max(1, BATCH_BYTES // size)
        for start in range(0, rows, step):
            here = min(step, rows - start)
            pixels = pa.py_buffer(np.ascontiguousarray(images.take(here)))
            columns = [pa.Array.from_buffers(pa.binary(size), here, [None, pixels])]
            columns += [_texts(member.take(here)) for member in labels]
            columns += [pa.repeat(split, here)] if split else []
            yield pa.RecordBatch.from_arrays(columns, ["image", "label", "split"][: len(columns)])
        for member in (images, *labels):
            if member.file.read(1):  # at the end the archive's checksum is compared too
                raise DataError(f"{path}: {member.name} is longer than its header says.", "Write it again.")


def _texts(labels: np.ndarray) -> pa.Array:
    """Labels as whole numbers or text, [rows] or [rows, 1]."""
    return pa.array(labels.reshape(-1).astype(np.int64 if labels.dtype.kind in "iu" else str).tolist())


def _opened(path: Path, file: IO[bytes], name: str) -> Member:
    """The header of an array. Raises DataError for Python objects, or columns before rows."""
    version = np.lib.format.read_magic(file)
    head = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
    if head is None:
        raise ValueError(f"{name} has version {version} of the format, which is not known")
    shape, by_columns, kind = head(file)
    if kind.hasobject:
        raise DataError(
            f"{path}: {name} holds Python objects.", "Save numbers or text: numpy.array(labels, dtype=str)."
        )
    if by_columns and len(shape) > 1:
        raise DataError(f"{path}: {name} is stored by columns.", "Save numpy.ascontiguousarray(array).")
    return Member(name, file, shape, kind)


def _check(path: Path, images: Member, labels: Member | None = None) -> None:
    """Raises DataError unless the images are bytes, with one label for each if there are labels."""
    what = f"{path}: {images.name} is {images.kind} of the shape {list(images.shape)}"
    if images.kind != np.uint8:
        raise DataError(f"{what}; images must be bytes.", "Save values from 0 to 255 with astype('uint8').")
    if len(images.shape) not in (3, 4) or not 0 < math.prod(images.shape[1:]) <= MOST_PIXELS:
        raise DataError(f"{what}; images must be [rows, height, width] or [rows, height, width, channels].", LAYOUT)
    if labels is None:
        return
    told = f"{path}: {labels.name} is {labels.kind} of the shape {list(labels.shape)}"
    if labels.kind.kind not in "iuU":
        raise DataError(f"{told}; labels must be whole numbers or text.", "Save them with astype(int) or astype(str).")
    if labels.shape not in ((images.shape[0],), (images.shape[0], 1)):
        raise DataError(f"{told}, but {images.name} has {images.shape[0]:,} images.", "Save one label for each image.")


def shape(path: Path) -> list[int]:
    """[height, width, channels] of the images in an archive. Raises DataError."""
    with _archive(path) as archive:
        x, y, _ = _pairs(path, archive.namelist())[0]
        with archive.open(f"{x}.npy") as images, archive.open(f"{y}.npy") as labels:
            found = _opened(path, images, x)
            _check(path, found, _opened(path, labels, y))
    return [*found.shape[1:], *([1] if len(found.shape) == 3 else [])]


READER = Reader("arrays", lambda path, options: read(path, options.labelled), (".npz",), shape=shape)
