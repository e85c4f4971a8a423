"""Finds planted values in whatever a folder holds: packed, columnar, in databases, in git's objects.

    found({"maria.k@example.org", "48213.75", "1987-03-14"}, folder) -> {path: {values}}

A value is looked for as text (also in UTF-16 and UTF-32, in base64 and as part of names), and by its SHA-256, SHA-1 and
MD5; a number also as a double, a date also as the times that formats keep it by. Not seen: what is drawn in
a picture. What it decodes is listed in `_inside`.
"""

import base64
import hashlib
import io
import re
import shutil
import sqlite3
import struct
import subprocess
import tempfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

DEEP = 4  # containers in containers
BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}")
HEX = re.compile(rb"[0-9a-f]{32,}")
SQLITE = b"SQLite format 3\0"


def found(values: Iterable[str], folder: Path, skip: Iterable[Path] = ()) -> dict[Path, set[str]]:
    """Where each of the values is, by file; objects of a git repository by `<git folder>/objects/<hash>`.

    skip: files and folders that are not looked at.
    """
    search, left = Search(values), {path.resolve() for path in skip}
    result: dict[Path, set[str]] = defaultdict(set)
    for path in sorted(folder.rglob("*")):
        if left & {path.resolve(), *path.resolve().parents}:
            continue
        if hits := search.of_bytes(path.name.encode(errors="surrogateescape")):
            result[path] |= hits
        if path.is_file() and not path.is_symlink() and (hits := search.of_file(path)):
            result[path] |= hits
        if path.is_dir() and (path / "objects").is_dir() and (path / "HEAD").is_file():
            for name, content in objects(path):
                if hits := search.inside(content):
                    result[path / "objects" / name] |= hits
    return dict(result)


def objects(repository: Path) -> Iterator[tuple[str, bytes]]:
    """Every object of a git repository, reached or not: its hash and its content."""
    command = ["git", "--git-dir", str(repository), "cat-file", "--batch-all-objects", "--unordered", "--batch"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while head := process.stdout.readline().split():
            content = process.stdout.read(int(head[2]))
            process.stdout.read(1)
            yield head[0].decode(), content
        assert process.wait() == 0, f"git cannot read the objects of {repository}"


class Search:
    """Looks for values in bytes of any kind."""

    def __init__(self, values: Iterable[str]):
        self._texts: dict[bytes, str] = {}
        self._hashes: dict[bytes, str] = {}
        self._words: dict[int, str] = {}
        for value in values:
            self._texts |= dict.fromkeys(texts(value), value)
            for algorithm in ("sha256", "sha1", "md5"):
                digest = hashlib.new(algorithm, value.encode(), usedforsecurity=False)
                self._hashes[digest.hexdigest()[:32].encode()] = value
                self._words[int.from_bytes(digest.digest()[:8], "little")] = value
            self._words |= {int.from_bytes(word, "little"): value for word in words(value)}
        self._keys = np.array(sorted(self._words), np.uint64)
        self._pattern = re.compile(b"|".join(_tree(sorted(self._texts))), re.DOTALL)

    def of_file(self, path: Path) -> set[str]:
        content = path.read_bytes()
        hits = self.inside(content)
        if content.startswith(SQLITE):
            hits |= self._inside_database(path)
        return hits

    def inside(self, content: bytes, depth: int = 0) -> set[str]:
        """In the bytes themselves, and in what they hold."""
        hits = self.of_bytes(content)
        if depth < DEEP:
            for part in _inside(content):
                hits |= self.inside(part, depth + 1)
        return hits

    def of_bytes(self, content: bytes) -> set[str]:
        """In the bytes as they are, without zeros between letters, and in base64 in them."""
        hits = self._matches(content)
        if b"\0" in content:
            hits |= self._matches(content.replace(b"\0", b""))
        decoded = b"\n".join(map(_decoded, BASE64.findall(content)))
        return hits | (self._matches(decoded) if decoded else set())

    def _matches(self, content: bytes) -> set[str]:
        hits = {self._texts[match] for match in self._pattern.findall(content)}
        hits |= {self._hashes[run[:32]] for run in HEX.findall(content) if run[:32] in self._hashes}
        for start in range(min(8, len(content) - 7)):
            eight = np.frombuffer(content, "<u8", (len(content) - start) // 8, start)
            place = np.minimum(np.searchsorted(self._keys, eight), len(self._keys) - 1)
            hits |= {self._words[int(word)] for word in eight[self._keys[place] == eight]}
        return hits

    def _inside_database(self, path: Path) -> set[str]:
        """What SQL says of the rows; free pages and the log of writes are seen as the bytes of their files."""
        hits = set()
        with tempfile.TemporaryDirectory() as name:
            for file in path.parent.glob(f"{path.name}*"):
                if file.name in (path.name, f"{path.name}-wal"):
                    shutil.copyfile(file, Path(name) / file.name)
            with closing(sqlite3.connect(Path(name) / path.name)) as database:
                database.text_factory = bytes
                tables = [table for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
                for table in tables:
                    with suppress(sqlite3.OperationalError):  # a virtual table of an extension that is not there
                        for row in database.execute(f'SELECT * FROM "{table.decode()}"'):
                            for cell in row:
                                content = cell if isinstance(cell, bytes) else _packed(cell)
                                hits |= self.inside(content, 1) if content else set()
        return hits


def texts(value: str) -> Iterator[bytes]:
    """The texts by which a value may be written."""
    yield value.encode()
    with suppress(ValueError):
        yield repr(float(value)).encode()
    with suppress(ValueError):
        yield str(_seconds(value)).encode()


def words(value: str) -> Iterator[bytes]:
    """The eight bytes by which a number or a date may be kept."""
    with suppress(ValueError):
        yield from (struct.pack(form, float(value)) for form in ("<d", ">d"))
    with suppress(ValueError):
        yield from (struct.pack("<q", _seconds(value) * scale) for scale in (1_000, 1_000_000, 1_000_000_000))
        yield from (struct.pack(form, float(_seconds(value))) for form in ("<d", ">d"))


def _seconds(value: str) -> int:
    """Since 1970, of a date. Raises ValueError."""
    at = datetime.fromisoformat(value)
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp())


def _tree(words: list[bytes], start: int = 0) -> list[bytes]:
    """Regular expressions, one for each first byte, that together match the words, which are sorted and differ."""
    branches: dict[int, list[bytes]] = defaultdict(list)
    for word in words:
        branches[word[start]].append(word)
    found = []
    for group in branches.values():
        end = start + 1
        while all(len(word) > end for word in group) and len({word[end] for word in group}) == 1:
            end += 1
        whole = [word for word in group if len(word) == end]
        rest = [word for word in group if len(word) > end]
        inner = b"" if not rest else b"(?:" + b"|".join(_tree(rest, end)) + (b"|" if whole else b"") + b")"
        found.append(re.escape(group[0][start:end]) + inner)
    return found


def _decoded(text: bytes) -> bytes:
    """Base64 of either alphabet; b"" for what is none."""
    plain = text.rstrip(b"=").replace(b"-", b"+").replace(b"_", b"/")
    with suppress(ValueError):
        return base64.b64decode(plain + b"=" * (-len(plain) % 4))
    return b""


def _inside(content: bytes) -> Iterator[bytes]:
    """What a file of a known kind holds, decoded: gzip, zlib, zstd, zip and npz, npy, Parquet, Arrow, PNG."""
    for head, opened in KINDS.items():
        if content.startswith(head):
            with suppress(Exception):  # it only begins like that kind
                yield from opened(content)


def _unzipped(content: bytes) -> Iterator[bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for entry in archive.infolist():
            yield entry.filename.encode() + entry.comment + archive.read(entry)


def _inflated(content: bytes) -> Iterator[bytes]:
    yield zlib.decompressobj(wbits=47).decompress(content)  # gzip or zlib


def _of_zstd(content: bytes) -> Iterator[bytes]:
    with pa.input_stream(pa.BufferReader(content), compression="zstd") as stream:
        yield stream.read()


def _array(content: bytes) -> Iterator[bytes]:
    array = np.load(io.BytesIO(content), allow_pickle=False)
    yield array.tobytes()
    yield "\n".join(map(str, array.reshape(-1).tolist())).encode()


def _of_parquet(content: bytes) -> Iterator[bytes]:
    """Footer with its statistics, and each column with the whole dictionary of each row group."""
    file = pq.ParquetFile(pa.BufferReader(content))
    yield repr((file.metadata.to_dict(), file.metadata.metadata, file.schema_arrow)).encode()
    texts = [field.name for field in file.schema_arrow if pa.types.is_string(field.type)]
    coded = pq.ParquetFile(pa.BufferReader(content), read_dictionary=texts)
    for group in range(file.num_row_groups):
        yield from _of_table(coded.read_row_group(group))


def _of_arrow(content: bytes) -> Iterator[bytes]:
    yield from _of_table(pa.ipc.open_file(pa.BufferReader(content)).read_all())


def _of_table(table: pa.Table) -> Iterator[bytes]:
    for column in table.columns:
        for chunk in column.chunks:
            yield from _of_column(chunk)


def _of_column(column: pa.Array) -> Iterator[bytes]:
    if pa.types.is_dictionary(column.type):
        yield from _of_column(column.dictionary)
    elif pa.types.is_struct(column.type):
        for part in column.flatten():
            yield from _of_column(part)
    elif pa.types.is_nested(column.type):
        yield from _of_column(column.flatten())
    elif pa.types.is_binary(column.type) or pa.types.is_fixed_size_binary(column.type):
        yield b"\n".join(value for value in column.to_pylist() if value is not None)
    else:
        values = pc.unique(column).to_pylist()
        yield "\n".join(map(str, values)).encode(errors="surrogateescape")
        yield b"".join(_packed(value) for value in values)


def _packed(value: object) -> bytes:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return b""
    return str(value).encode() + b"\n" + struct.pack("<d", float(value))


def _of_png(content: bytes) -> Iterator[bytes]:
    """The texts of a picture."""
    at = 8
    while at + 8 <= len(content):
        (size,), kind = struct.unpack(">I", content[at : at + 4]), content[at + 4 : at + 8]
        part = content[at + 8 : at + 8 + size]
        if kind in (b"tEXt", b"iTXt", b"zTXt", b"eXIf"):
            packed = part.find(b"\0\0") + 2
            yield part + (zlib.decompress(part[packed:]) if kind == b"zTXt" else b"")
        at += 12 + size


KINDS = {
    b"\x1f\x8b": _inflated,
    b"\x78\x01": _inflated,
    b"\x78\x5e": _inflated,
    b"\x78\x9c": _inflated,
    b"\x78\xda": _inflated,
    b"\x28\xb5\x2f\xfd": _of_zstd,
    b"PK\x03\x04": _unzipped,
    b"\x93NUMPY": _array,
    b"PAR1": _of_parquet,
    b"ARROW1": _of_arrow,
    b"\x89PNG": _of_png,
}
