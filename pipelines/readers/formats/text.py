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

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pipelines.errors import DataError
from pipelines.readers import compressed, text_errors
from pipelines.readers.layout import Layout, Lines, rows_of
from pipelines.readers.reader import Options, Reader

BATCH_ROWS = 16_384  # of JSON lines
BLOCK_BYTES = 4 << 20  # of a CSV file; characters, to be exact
WIDE = 1000  # columns: tables with more use larger blocks
USUAL = Layout()


def read_csv(
    path: Path, delimiter: str, encoding: str, names: Sequence[str] = (), layout: Layout = USUAL
) -> Iterator[pa.RecordBatch]:
    """The rows of a CSV file. No guess depends on the rows of a block. names: of a file without a header.

    Raises DataError if the file, or a part of it, is not CSV.
    """
    try:
        for batch in _read_csv(path, delimiter, encoding, list(names), layout):
            yield without_blank(batch) if layout.blank_rows == "drop" else batch
    except (pa.ArrowInvalid, UnicodeError) as error:

        def lines() -> Lines:
            return _lines_of(path, delimiter, encoding, layout, "surrogateescape")

        raise text_errors.explained(path, lines, delimiter, encoding, names, layout, error) from error


def _read_csv(path: Path, delimiter: str, encoding: str, names: list[str], layout: Layout) -> Iterator[pa.RecordBatch]:
    _, first = next(_lines_of(path, delimiter, encoding, layout, "surrogateescape"), (1, ""))
    text_errors.check_width(path, first.count(delimiter) + 1)
    quote = layout.quote_char
    parse = pyarrow.csv.ParseOptions(delimiter=delimiter, quote_char=quote or False, newlines_in_values=bool(quote))
    read = pyarrow.csv.ReadOptions(block_size=4 * BLOCK_BYTES, use_threads=False, column_names=names or None)
    if beyond := layout.trailing_delimiters:
        above, header = (0, names) if names else _header(path, delimiter, encoding, layout)
        read.skip_rows, read.column_names = above, [*header, *[""] * beyond]
    file = _Watched(path, delimiter, encoding, layout)
    with file, pyarrow.csv.open_csv(pa.PythonFile(file, mode="r"), read, parse) as reader:
        header = reader.schema.names
    read.block_size *= 1 + len(header) // WIDE  # each column of a block costs a fixed time
    text = pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False)
    rows, last = 0, pa.array([], pa.string())
    with _Watched(path, delimiter, encoding, layout) as file:
        with pyarrow.csv.open_csv(pa.PythonFile(file, mode="r"), read, parse, text) as reader:
            for batch in reader:
                if not rows and batch.num_rows:
                    text_errors.check_names(path, header, [str(cells[0]) for cells in batch.columns] if names else [])
                if batch.num_rows:
                    last = batch.column(batch.num_columns - 1)[-1]
                yield _without_last(path, batch, beyond, rows) if beyond else batch
                rows += batch.num_rows
        if file.doubtful(rows + (not names), str(last)):
            text_errors.check_quotes(path, _lines_of(path, delimiter, encoding, layout), delimiter, quote)


def _header(path: Path, delimiter: str, encoding: str, layout: Layout) -> tuple[int, list[str]]:
    """How many lines the header takes, and its cells without the empty ones after the last delimiters."""
    for lines, cells in text_errors.records(_lines_of(path, delimiter, encoding, layout), delimiter, layout.quote_char):
        if cells:
            return lines, text_errors.named_cells(cells, layout.trailing_delimiters)
    return 0, []


def _without_last(path: Path, batch: pa.RecordBatch, beyond: int, rows: int) -> pa.RecordBatch:
    """The batch without the columns after the last delimiters. Raises DataError if they hold something."""
    width = batch.num_columns - beyond
    for place in range(width, batch.num_columns):
        filled = pc.greater(pc.binary_length(pc.utf8_trim_whitespace(batch.column(place))), 0)
        if pc.any(filled).as_py():
            row = pc.index(filled, True).as_py()
            raise DataError(
                f"{path}: row {rows + row + 1} has a cell after the last column: "
                f"{str(batch.column(place)[row])[:40]!r}.",
                f"Correct the row, or `ingest: trailing_delimiters: {beyond}` in the model's YAML.",
            )
    return batch.select(range(width))


def without_blank(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch without the rows whose cells are all empty."""
    filled = pa.array(np.zeros(batch.num_rows, bool))
    for column in batch.columns:
        filled = pc.or_(filled, pc.greater(pc.binary_length(pc.utf8_trim_whitespace(column)), 0))
    return batch.filter(filled)


class _Watched:
    """A text as UTF-8 bytes for pyarrow. It counts quotes and line ends, to find a stray quote."""

    closed = False

    def __init__(self, path: Path, delimiter: str, encoding: str, layout: Layout):
        self._file = _decoded(path, encoding, newline="")
        self._whole = not layout.leaves_out
        self._lines = rows_of(text_errors.lines(path, self._file), layout, delimiter)
        self._quote = layout.quote_char
        self._quotes = self._feeds = self._returns = 0
        self._end, self._left = "\n", ""

    def __enter__(self) -> "_Watched":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def close(self) -> None:
        """pyarrow closes what it has read, and the block closes it again."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; a character has up to four."""
        text = self._file.read(max(1, size // 4)) if self._whole else self._chosen(size // 4)
        self._quotes += text.count(self._quote) if self._quote else 0
        self._feeds += text.count("\n")
        self._returns += text.count("\r")
        self._end = text[-1:] or self._end
        return text.encode()

    def _chosen(self, length: int) -> str:
        """Lines that are rows, at least one of them if there are more. Long ones wait for the next call."""
        while len(self._left) < max(1, length) and (line := next(self._lines, None)):
            self._left += line[1]
        found, self._left = self._left[: max(1, length)], self._left[max(1, length) :]
        return found

    def doubtful(self, rows: int, last: str) -> bool:
        """Whether a quote may be unclosed. Then every line is checked, which takes time.

        rows: read from the text, with its header; last: the last cell.
        """
        lines = self._feeds or self._returns
        swallowed = "\n" in last or "\r" in last or self._end not in "\r\n"
        return self._quotes > 0 and (self._quotes % 2 == 1 or swallowed or lines != rows)


def read_lines(path: Path, encoding: str, decimal: str = ".") -> Iterator[pa.RecordBatch]:
    """JSON lines, every value as the text that is written there, so that a row equals the same row in a CSV.

    decimal: the sign that stands before the decimals in such a CSV. A key that a line lacks is a missing value. Two
    passes: the columns are all keys of all lines.
    """
    known: dict[str, None] = {}
    for line in _lines(path, encoding, decimal):
        known |= dict.fromkeys(line)
        text_errors.check_width(path, len(known))
    names, lines = list(known), _lines(path, encoding, decimal)
    while batch := list(islice(lines, max(1, BATCH_ROWS // (1 + len(names) // WIDE)))):
        columns = {name: pa.array([line.get(name) for line in batch], pa.string()) for name in names}
        yield pa.RecordBatch.from_pydict(columns)


def _lines(path: Path, encoding: str, decimal: str) -> Iterator[dict[str, str | None]]:
    read: dict[str, Any] = {"parse_int": str, "parse_float": str, "parse_constant": str, "object_pairs_hook": _once}
    if decimal != ".":
        read["parse_float"] = lambda number: number.replace(".", decimal)
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
            if "\\u" in text and not _is_text(found):
                what = f"{path}: line {number} holds half of a character, such as \\ud800, which is no text."
                raise DataError(what, "Correct the line.")
            yield {name: _cell(path, number, name, value) for name, value in found.items()}


def _is_text(found: dict[str, Any]) -> bool:
    """Whether all keys and values can be written in UTF-8."""
    try:
        json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


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


def _lines_of(path: Path, delimiter: str, encoding: str, layout: Layout, errors: str = "strict") -> Lines:
    """The lines of a table, with their numbers in the file."""
    with _decoded(path, encoding, newline=None, errors=errors) as file:
        yield from rows_of(text_errors.lines(path, file), layout, delimiter)


def _decoded(path: Path, encoding: str, newline: str | None, errors: str = "strict") -> IO[str]:
    """The text of a file, without a byte order mark. Raises DataError if its first bytes show that it is no text."""
    with compressed.opened(path) as file:
        text_errors.check_head(path, file.read(text_errors.HEAD_BYTES), encoding)
    return io.TextIOWrapper(compressed.opened(path), text_errors.codec(encoding), errors, newline)


def _csv(path: Path, options: Options) -> Iterator[pa.RecordBatch]:
    tab = ".tsv" in [suffix.lower() for suffix in path.suffixes[-2:]]
    delimiter = "\t" if tab else options.delimiter
    return read_csv(path, delimiter, options.encoding, options.names, options.layout)


CSV = Reader("csv", _csv, (".csv", ".tsv"), text=True, named=True)
LINES = Reader(
    "lines",
    lambda path, options: read_lines(path, options.encoding, options.layout.decimal),
    (".jsonl", ".ndjson"),
    text=True,
)
