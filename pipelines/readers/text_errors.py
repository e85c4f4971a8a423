"""Explains why a text file cannot be read as declared: what it is instead, the line of the error, and the repair.

It reads line by line, but only a file that failed or looks doubtful.
"""

import codecs
import csv
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from pipelines.errors import DataError
from pipelines.readers.layout import Layout, Lines

HEAD_BYTES = 4096  # the bytes that are checked first
LONGEST = 4 << 20  # characters of one line
MOST_COLUMNS = 100_000
DELIMITERS = {";": '";"', "\t": r'"\t"', ",": '","', "|": '"|"'}  # as YAML has them
OTHERS = {  # the first bytes of files that are no text
    b"PK\x03\x04": ("an Excel workbook or another zip archive", "Save the sheet as CSV (UTF-8), or unpack it."),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook (.xls)", "Save the sheet as CSV (UTF-8)."),
    b"PAR1": ("a Parquet file", "Rename it to .parquet."),
    b"\x1f\x8b": ("a gzip file", "Add .gz to its name, as in rows.csv.gz."),
    b"%PDF": ("a PDF document", "Get its table as CSV."),
    b"SQLite format 3": ("an SQLite database", "Export its table as CSV."),
}
PAGE = re.compile(rb"\s*<(!doctype|html|\?xml|table)", re.IGNORECASE)
OTHER_ENCODING = "Save the file in one encoding, or declare its encoding under `ingest: encoding:`, such as cp1252."
MARKS = {"utf-8": (codecs.BOM_UTF8,), "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)}
REST_OF_A_QUOTE = r'[^"]*(?:""[^"]*)*"(?!")'


def codec(encoding: str) -> str:
    """The encoding by its usual name, such as utf-8; in the variant that removes a byte order mark."""
    found = codecs.lookup(encoding).name
    return "utf-8-sig" if found == "utf-8" else found


def check_head(path: Path, head: bytes, encoding: str) -> None:
    """Raises DataError if the first bytes of a file show that it is no text, or has another encoding."""
    if not head.strip(b"\xef\xbb\xbf\r\n\t "):
        raise DataError(f"{path} is empty.", "Send it again, or remove it from the source.")
    for start, (what, do) in OTHERS.items():
        if head.startswith(start):
            raise DataError(f"{path} is {what}, but its name says that it is a text file.", do)
    if PAGE.match(head.removeprefix(codecs.BOM_UTF8)):
        raise DataError(
            f"{path} is a web page or XML, but its name says that it is a table.",
            "Open it in an editor: often it is a login page or an error page. Then download the data themselves.",
        )
    declared = codec(encoding).removesuffix("-sig")
    found = encoding_of(head, declared)
    if found and not declared.startswith(found):
        raise DataError(
            f"{path} is not {declared}: it looks like {found.upper()}.",
            f"Write `ingest: encoding: {found}` in the model's YAML, or save the file anew as {declared.upper()}.",
        )


def encoding_of(head: bytes, declared: str) -> str:
    """The encoding that the first bytes show, or "" if nothing contradicts the declared one."""
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        return "utf-32"
    for encoding, marks in MARKS.items():
        if head.startswith(marks):
            return encoding
    zeros = head.count(0)
    if not zeros:
        return "utf-8" if declared.startswith(("utf-16", "utf-32")) else ""
    if declared.startswith(("utf-16", "utf-32")) or zeros < len(head) / 5:
        return ""
    return "utf-16-be" if head[::2].count(0) > head[1::2].count(0) else "utf-16-le"


def lines(path: Path, file: IO[str]) -> Lines:
    """Each line with its number, from 1. Raises DataError for a line that is too long to be a row."""
    number = 0
    while text := file.readline(LONGEST + 1):
        number += 1
        if len(text) > LONGEST:
            raise DataError(
                f"{path}: line {number} is longer than {LONGEST:,} characters, so it is not a row.",
                "Check how its lines end, and whether it is another kind of file.",
            )
        yield number, text


def check_width(path: Path, columns: int) -> None:
    """Raises DataError for more columns than real tables have: even an empty column costs memory."""
    if columns > MOST_COLUMNS:
        raise DataError(
            f"{path} has more than {MOST_COLUMNS:,} columns.", "Check its delimiter, or swap its rows and columns."
        )


def check_names(path: Path, names: list[str], first: list[str]) -> None:
    """Raises DataError if a file declared without a header has one. first: the cells of its first row, or none."""
    if first and [cell.strip() for cell in first] == [name.strip() for name in names]:
        raise DataError(
            f"{path}: line 1 holds the names of the columns, but `ingest: names:` lists them too.",
            "Remove `names:` from the model's YAML: it is for files without a header.",
        )


def check_quotes(path: Path, found: Lines, delimiter: str, quote: str = '"') -> None:
    """Raises DataError naming the line of an opening quote that is never closed."""
    if opened := _stray(found, delimiter, quote) if quote else 0:
        raise DataError(
            f"{path}: the quote that opens in line {opened} is not closed, so the lines after it become one cell.",
            f"Close or remove it. Inside a quoted cell, write a quote twice ({2 * quote}). If quotes are letters like "
            "others in this file, write `ingest: quote: none` in the model's YAML.",
        )


def _stray(found: Lines, delimiter: str, quote: str) -> int:
    """The line of a cell's opening quote that never closes, or closes lines later in the middle of text; or 0."""
    opened, rest = 0, re.compile(REST_OF_A_QUOTE.replace('"', quote))
    for number, text in found:
        place = 0
        while place >= 0:
            if not opened and text[place : place + 1] == quote:
                opened, place = number, place + 1
            if opened:
                if not (closes := rest.match(text, place)):
                    break
                place = closes.end()
                if opened < number and text[place : place + 80].lstrip(" ")[:1] not in ("", "\n", delimiter):
                    return opened
                opened = 0
            place = text.find(delimiter, place) + 1 or -1
    return opened


def explained(
    path: Path,
    again: Callable[[], Lines],
    delimiter: str,
    encoding: str,
    names: Sequence[str],
    layout: Layout,
    error: Exception,
) -> DataError:
    """The cause of a reader's error, with the line. again: gives the lines, faulty bytes as lone surrogates."""
    try:
        return _explained(path, again, delimiter, encoding, names, layout) or _unknown(path, error)
    except UnicodeError as wrong:  # of an encoding without surrogate escapes
        return DataError(f"{path} is not {encoding} throughout: {wrong}.", OTHER_ENCODING)
    except DataError as known:
        return known
    except csv.Error:
        return _unknown(path, error)


def _unknown(path: Path, error: Exception) -> DataError:
    if "Empty CSV file" in str(error):
        return DataError(f"{path} holds no row.", "Send it again, or remove it from the source.")
    told = re.sub(r"(Expected \d+ columns, got \d+): .*", r"\1", " ".join(str(error).split()))  # the row itself follows
    return DataError(
        f"{path} cannot be read: {told[:300]}.",
        "Correct the file, or `ingest: delimiter:` and `ingest: encoding:` in the model's YAML.",
    )


def _explained(
    path: Path, again: Callable[[], Lines], delimiter: str, encoding: str, names: Sequence[str], layout: Layout
) -> DataError | None:
    for number, text in again():
        if bad := re.search("[\udc80-\udcff]", text):
            byte = ord(bad.group()) - 0xDC00
            return DataError(
                f"{path}: line {number} is not {encoding}: it holds the byte 0x{byte:02x} after "
                f"{text[: bad.start()][-20:]!r}.",
                OTHER_ENCODING,
            )
    check_quotes(path, again(), delimiter, layout.quote_char)
    return _ragged(path, again(), delimiter, names, layout)


def records(found: Lines, delimiter: str, quote: str) -> Iterator[tuple[int, list[str]]]:
    """Each row of a CSV file: the lines that were read up to its end, and its cells ([] for an empty line)."""
    csv.field_size_limit(LONGEST)
    taken = 0

    def texts() -> Iterator[str]:
        nonlocal taken
        for _, text in found:
            taken += 1
            yield text

    reader = (
        csv.reader(texts(), delimiter=delimiter, quotechar=quote)
        if quote
        else csv.reader(texts(), delimiter=delimiter, quoting=csv.QUOTE_NONE)
    )
    for cells in reader:
        yield taken, cells


def named_cells(header: list[str], trailing_delimiters: int) -> list[str]:
    """The cells of a header without the empty ones after its last delimiters."""
    for _ in range(trailing_delimiters):
        if header and not header[-1].strip():
            header = header[:-1]
    return header


def _ragged(path: Path, found: Lines, delimiter: str, names: Sequence[str], layout: Layout) -> DataError | None:
    """The first row whose number of cells differs from the header."""
    numbers: list[int] = []

    def lines() -> Lines:
        for number, text in found:
            numbers.append(number)
            yield number, text

    header, before = list(names), 0
    for taken, cells in records(lines(), delimiter, layout.quote_char):
        expected = len(header) + layout.trailing_delimiters
        if cells and not header:
            header = named_cells(cells, layout.trailing_delimiters)
        elif cells and len(cells) != expected:
            told = "`ingest: names:` lists" if names else "the header has"
            return DataError(
                f"{path}: line {numbers[before]} has {len(cells)} {_cells(len(cells))}, and {told} {expected}.",
                looks_like(delimiter, header if not names else cells)
                or f"Correct the line. Put a cell with the delimiter {delimiter!r} or a line end in quotes.",
            )
        before = taken
    return None


def _cells(count: int) -> str:
    return "cell" if count == 1 else "cells"


def looks_like(delimiter: str, names: Sequence[str]) -> str:
    """The repair if the whole header became one column because of another delimiter; else ""."""
    if len(names) != 1:
        return ""
    counts = {other: names[0].count(other) for other in DELIMITERS if other != delimiter}
    best = max(counts, key=lambda other: counts[other])
    if not counts[best]:
        return ""
    return f"The delimiter seems to be {best!r}: write `ingest: delimiter: {DELIMITERS[best]}`."
