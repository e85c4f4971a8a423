"""IDX, the format of MNIST and its relatives: images in one file, their labels in another.

    train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz

Such files become rows with the columns `image`, `label` and `split`. The split is test for a file with test or t10k in
its name, else train. The format: http://yann.lecun.com/exdb/mnist/ (two zero bytes, the type, the number of
dimensions, each dimension as a big-endian 32 bit number, then the values).
"""

import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from pipelines.config.data import MOST_PIXELS
from pipelines.errors import DataError
from pipelines.readers import compressed
from pipelines.readers.reader import Reader

NAME = re.compile(r"images-idx\d-ubyte(\.gz)?$|labels-idx1-ubyte(\.gz)?$")
BATCH_BYTES = 8 << 20
UNSIGNED_BYTES = 8  # the only type that is read


def is_idx(path: Path) -> bool:
    return NAME.search(path.name) is not None


def read(path: Path, labelled: bool = True) -> Iterator[pa.RecordBatch]:
    """The rows of a file of images, a few at a time; none for a file of labels, which is read with its images.

    labelled: whether it needs labels; if not, a file without them gives the images alone. Raises DataError if it cannot
    be read to its end, or has not as many images as labels.
    """
    if "labels-idx1" in path.name:
        if not list(path.parent.glob(path.name.replace("labels-idx1", "images-idx?"))):
            raise DataError(f"{path} has no images beside it.", "Put them there, or remove the labels.")
        return
    labels_path = path.with_name(re.sub(r"images-idx\d", "labels-idx1", path.name))
    if labelled and not labels_path.exists():
        raise DataError(f"{path} has no labels: {labels_path.name} is missing.", "Put it beside the images.")
    labels = _labels(labels_path).astype(np.int64) if labels_path.exists() else None
    split = "test" if re.search("test|t10k", path.name) else "train"
    with compressed.opened(path) as file:
        rows, *shape = _shape(file, path, int(path.name.partition("images-idx")[2][0]))
        if labels is not None and rows != len(labels):
            known = f"{labels_path.name} {len(labels):,} labels"
            raise DataError(f"{path} has {rows:,} images, and {known}.", "Get both anew.")
        size = int(np.prod(shape))
        step = max(1, BATCH_BYTES // size)
        for start in range(0, rows, step):
            here = min(step, rows - start)
            pixels = _values(file, here * size, path)
            # as pyarrow makes none without importing pandas, which takes a third of a second
            columns = [pa.Array.from_buffers(pa.binary(size), here, [None, pa.py_buffer(pixels)])]
            if labels is not None:
                known = pa.py_buffer(labels[start : start + here])
                columns += [pa.Array.from_buffers(pa.int64(), here, [None, known]), pa.repeat(split, here)]
            yield pa.RecordBatch.from_arrays(columns, ["image", "label", "split"][: len(columns)])
        _check_end(file, path)


def _labels(path: Path) -> np.ndarray:
    """All of them. Raises DataError."""
    try:
        with compressed.opened(path) as file:
            labels = _values(file, _shape(file, path, 1)[0], path)
            _check_end(file, path)
            return labels
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}.", "Get it anew.") from error


def _check_end(file: IO[bytes], path: Path) -> None:
    """Raises DataError if there are more bytes. Reading to the end also makes gzip compare its checksum."""
    if file.read(1):
        raise DataError(f"{path} is longer than its header says.", "Get it anew.")


def _shape(file: IO[bytes], path: Path, dimensions: int) -> list[int]:
    """The size of each dimension. Raises DataError for another number of them, or a size that is 0 or too large."""
    head = file.read(4 + 4 * dimensions)
    sizes = np.frombuffer(head[4 : len(head) // 4 * 4], ">u4").astype(int).tolist()
    if head[:4] != bytes([0, 0, UNSIGNED_BYTES, dimensions]) or len(sizes) < dimensions:
        raise DataError(f"{path} is not an IDX file of bytes in {dimensions} dimensions.", "Get it anew.")
    if not all(sizes) or math.prod(sizes[1:]) > MOST_PIXELS:
        raise DataError(f"{path} has the shape {sizes}, which is not that of images.", "Get it anew.")
    return sizes


def _values(file: IO[bytes], count: int, path: Path) -> np.ndarray:
    content = bytearray()  # grows with the bytes that are there: a false header may claim more than the memory
    while len(content) < count and (block := file.read(min(BATCH_BYTES, count - len(content)))):
        content += block
    if len(content) < count:
        raise DataError(f"{path} is cut off: {count - len(content):,} bytes are missing.", "Get it anew.")
    return np.frombuffer(content, np.uint8)


def shape(path: Path) -> list[int]:
    """[height, width, channels] of the images in a file. Raises DataError."""
    with compressed.opened(path) as file:
        found = _shape(file, path, int(path.name.partition("images-idx")[2][0]))[1:]
    return [*found, 1] if len(found) == 2 else found


READER = Reader("idx", lambda path, options: read(path, options.labelled), claims=is_idx, shape=shape)
