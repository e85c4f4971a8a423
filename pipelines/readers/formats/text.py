"""CSV and JSON lines, gzipped or not: every cell as the text that is written there.

A file is read a block at a time. If a reader fails, `text_errors` explains it with the line. This module looks for an
error that readers do not see: a quote that never closes swallows the rows after it.
"""

import io
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.csv

from pipelines.errors import DataError
from pipelines.readers import compressed, text_errors
from pipelines.readers.reader import Options, Reader

BATCH_ROWS = 16_384  # of JSON lines
BLOCK_BYTES = 4 << 20  # of a CSV file; characters, to be exact
WIDE = 1000  # columns: tables with more use larger blocks


def read_csv(path: Path, delimiter: str, encoding: str, names: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
    """The rows of a CSV file. No guess depends on the rows of a block. names: of a file without a header.

    Raises DataError if the file, or a part of it, is not CSV.
    """
    try:
        yield from _read_csv(path, delimiter, encoding, list(names))
    except (pa.ArrowInvalid, UnicodeError) as error:
        with _decoded(path, encoding, newline=None, errors="surrogateescape") as file:
            raise text_errors.explained(path, file, delimiter, encoding, names, error) from error


def _read_csv(path: Path, delimiter: str, encoding: str, names: list[str]) -> Iterator[pa.RecordBatch]:
    with _decoded(path, encoding, newline=None, errors="surrogateescape") as start:
        _, first = next(text_errors.lines(path, start), (1, ""))
        text_errors.check_width(path, first.count(delimiter) + 1)
    parse = pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    read = pyarrow.csv.ReadOptions(block_size=4 * BLOCK_BYTES, use_threads=False, column_names=names or None)
    with _Watched(path, encoding) as file, pyarrow.csv.open_csv(pa.PythonFile(file, mode="r"), read, parse) as reader:
        header = reader.schema.names
    read.block_size *= 1 + len(header) // WIDE  # each column of a block costs a fixed time
    text = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False)
    rows, last = 0, pa.array([], pa.string())
    with _Watched(path, encoding) as file:
        with pyarrow.csv.open_csv(pa.PythonFile(file, mode="r"), read, parse, text) as reader:
            for batch in reader:
                if not rows and batch.num_rows:
                    text_errors.check_names(path, header, [str(cells[0]) for cells in batch.columns] if names else [])
                if batch.num_rows:
                    last = batch.column(batch.num_columns - 1)[-1]
                rows += batch.num_rows
                yield batch
        if file.doubtful(rows + (not names), str(last)):
            with _decoded(path, encoding, newline=None) as lines:
                text_errors.check_quotes(path, lines, delimiter)


class _Watched:
    """A text as UTF-8 bytes for pyarrow. It counts quotes and line ends, to find a stray quote."""

    closed = False

    def __init__(self, path: Path, encoding: str):
        self._file = _decoded(path, encoding, newline="")
        self._quotes = self._feeds = self._returns = 0
        self._end = "\n"

    def __enter__(self) -> "_Watched":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def close(self) -> None:
        """pyarrow closes what it has read, and the block closes it again."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; a character has up to four."""
        text = self._file.read(max(1, size // 4))
        self._quotes += text.count('"')
        self._feeds += text.count("\n")
        self._returns += text.count("\r")
        self._end = text[-1:] or self._end
        return text.encode()

    def doubtful(self, rows: int, last: str) -> bool:
        """Whether a quote may be unclosed. Then every line is checked, which takes time.

        rows: read from the text, with its header; last: the last cell.
        """
        lines = self._feeds or self._returns
        swallowed = "\n" in last or "\r" in last or self._end not in "\r\n"
        return self._quotes > 0 and (self._quotes % 2 == 1 or swallowed or lines != rows)


def read_lines(path: Path, encoding: str) -> Iterator[pa.RecordBatch]:
    """JSON lines, every value as the text that is written there, so that a row equals the same row in a CSV.

    A key that a line lacks is a missing value. Two passes: the columns are all keys of all lines.
    """
    known: dict[str, None] = {}
    for line in _lines(path, encoding):
        known |= dict.fromkeys(line)
        text_errors.check_width(path, len(known))
    names, lines = list(known), _lines(path, encoding)
    while batch := list(islice(lines, max(1, BATCH_ROWS // (1 + len(names) // WIDE)))):
        columns = {name: pa.array([line.get(name) for line in batch], pa.string()) for name in names}
        yield pa.RecordBatch.from_pydict(columns)


def _lines(path: Path, encoding: str) -> Iterator[dict[str, str | None]]:
    read: dict[str, Any] = {"parse_int": str, "parse_float": str, "parse_constant": str, "object_pairs_hook": _once}
    with _decoded(path, encoding, newline="\n") as file:
        for number, text in text_errors.lines(path, file):
            if not text or text.isspace():
                continue
            try:
                found = json.loads(text, **read)
            except _Twice as error:
                raise DataError(f"{path}: line {number} has the key {error} twice.", "Keep one of them.") from error
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path}: line {number} is not JSON: {error}.", "Correct the file.") from error
            if not isinstance(found, dict):
                raise DataError(f"{path}: line {number} is not a JSON object.", "Write one object in each line.")
            yield {name: _cell(path, number, name, value) for name, value in found.items()}


class _Twice(Exception):
    """A key that an object has more than once. Python would silently keep its last value."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(repr(next(name for name in names if names.count(name) > 1)))
    return found


def _cell(path: Path, number: int, name: str, value: Any) -> str | None:
    """A value as text. Raises DataError for a list or an object."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    raise DataError(
        f"{path}: line {number}, key {name!r} holds a {type(value).__name__}, but a cell must be one value.",
        "Flatten it before you send the file.",
    )


def _decoded(path: Path, encoding: str, newline: str | None, errors: str = "strict") -> IO[str]:
    """The text of a file, without a byte order mark. Raises DataError if its first bytes show that it is no text."""
    with compressed.opened(path) as file:
        text_errors.check_head(path, file.read(text_errors.HEAD_BYTES), encoding)
    return io.TextIOWrapper(compressed.opened(path), text_errors.codec(encoding), errors, newline)


def _csv(path: Path, options: Options) -> Iterator[pa.RecordBatch]:
    tab = ".tsv" in [suffix.lower() for suffix in path.suffixes[-2:]]
    return read_csv(path, "\t" if tab else options.delimiter, options.encoding, options.names)


CSV = Reader("csv", _csv, (".csv", ".tsv"), text=True, named=True)
LINES = Reader("lines", lambda path, options: read_lines(path, options.encoding), (".jsonl", ".ndjson"), text=True)
