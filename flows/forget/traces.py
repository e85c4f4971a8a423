"""Traces of a person in any file: row ids, keys, and values that only they have, as text.

What is packed is unpacked first: gzip, NumPy's and other zip archives, Parquet, and one in the other. A text is cut
into words, and a value is looked for where its first word is: a million values cost no more than one.
"""

import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

WORD = re.compile(rb"[0-9A-Za-z_\x80-\xff]+")
BLOCK, LONGEST = 8 << 20, 4096  # bytes of a text that are looked at at once; and of the longest value
DEPTH = 3  # of packings in each other
PARQUET, GZIP, ZIP, SQLITE = b"PAR1", b"\x1f\x8b", b"PK\x03\x04", b"SQLite format 3\0"


class Traces:
    """Finds any of some values."""

    def __init__(self, values: Iterable[str]):
        self._by_word: dict[bytes, set[tuple[int, bytes]]] = {}
        self.values = frozenset(values)
        for value in self.values:
            for text in {value, json.dumps(value)[1:-1]}:
                self._add(text.encode(errors="surrogatepass")[:LONGEST])

    def _add(self, value: bytes) -> None:
        if (first := WORD.search(value)) is not None:
            self._by_word.setdefault(first[0], set()).add((first.start(), value))

    def in_value(self, value: object) -> bool:
        """Whether a text or a number is one of the values, or has one in it."""
        is_value = isinstance(value, str | int | float) and not isinstance(value, bool)
        return is_value and self.in_text(str(value).removesuffix(".0").encode(errors="surrogatepass"))

    def in_text(self, text: bytes) -> bool:
        """Whether a text has one of the values, as whole words."""
        return bool(self._by_word) and any(True for _ in self._hits(text))

    def _hits(self, text: bytes) -> Iterator[bytes]:
        for word in WORD.finditer(text):
            for before, value in self._by_word.get(word[0], ()):
                start = word.start() - before
                if start >= 0 and text.startswith(value, start) and not _goes_on(text, start + len(value), value):
                    yield value

    def in_file(self, path: Path) -> bool:
        """Whether a file has one of the values, packed or not. Raises OSError if it cannot be read."""
        with path.open("rb") as file:
            return self._in(file, DEPTH)

    def in_bytes(self, content: bytes) -> bool:
        return self._in(io.BytesIO(content), DEPTH)

    def _in(self, file: BinaryIO, depth: int) -> bool:
        head = file.read(16)
        file.seek(0)
        try:
            if depth and head.startswith(GZIP):
                return self._in(io.BytesIO(gzip.decompress(file.read())), depth - 1)
            if depth and head.startswith(ZIP):
                return any(self._in(io.BytesIO(member), depth - 1) for member in _members(file))
            if head.startswith(PARQUET):
                return self._in_parquet(file)
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile, pa.ArrowException):  # damaged: looked at as it is
            file.seek(0)
        return self._in_stream(file)

    def _in_stream(self, file: BinaryIO) -> bool:
        left = b""
        while block := file.read(BLOCK):
            if self.in_text(left + block):
                return True
            left = (left + block)[-LONGEST:]
        return False

    def _in_parquet(self, file: BinaryIO) -> bool:
        parquet = pq.ParquetFile(file)
        about = b" ".join(part for pair in (parquet.metadata.metadata or {}).items() for part in pair)
        return self.in_text(about) or any(
            any(text in self.values for column in batch.columns for text in texts(column))
            for batch in parquet.iter_batches()
        )


def texts(column: pa.Array) -> Iterator[str]:
    """All texts and numbers of a column, those inside of lists and structs too, as text."""
    kind = column.type
    if pa.types.is_struct(kind):
        for part in column.flatten():
            yield from texts(part)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        yield from texts(column.flatten())
    elif pa.types.is_dictionary(kind):
        yield from texts(column.dictionary)
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        yield from (text for text in column.unique().to_pylist() if text is not None)
    elif pa.types.is_floating(kind) or pa.types.is_integer(kind):
        yield from (repr(number).removesuffix(".0") for number in column.unique().to_pylist() if number is not None)


def _goes_on(text: bytes, end: int, value: bytes) -> bool:
    """Whether a word goes on after a value: then it is another one."""
    after = text[end : end + 1]
    return bool(after) and bool(WORD.fullmatch(after)) and bool(WORD.fullmatch(value[-1:]))


def _members(file: BinaryIO) -> Iterator[bytes]:
    """The files of an archive; an array of texts as these texts."""
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            content = archive.read(name)
            yield _array_text(content) if name.endswith(".npy") else content


def _array_text(content: bytes) -> bytes:
    try:
        array = np.load(io.BytesIO(content), allow_pickle=False)
    except ValueError:
        return content
    return "\n".join(map(str, array.ravel().tolist())).encode() if array.dtype.kind == "U" else content
