"""What is wrong with a text that cannot be read as declared: what it is instead, where it goes wrong, what helps.

Only a file that failed, or raised a doubt, is looked at line by line.
"""

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from pipelines.errors import DataError

HEAD_BYTES = 4096  # that are looked at first
LONGEST = 4 << 20  # characters of one line
MOST_COLUMNS = 100_000
DELIMITERS = {";": '";"', "\t": r'"\t"', ",": '","', "|": '"|"'}  # as YAML has them
OTHERS = {  # how a file begins that is no text
    b"PK\x03\x04": ("an Excel workbook or another zip archive", "Save the sheet as CSV (UTF-8), or unpack it."),
    b"\xd0\xcf\x11\xe0": ("an Excel workbook (.xls)", "Save the sheet as CSV (UTF-8)."),
    b"PAR1": ("a Parquet file", "Give it the ending .parquet."),
    b"\x1f\x8b": ("a gzip file", "Give it the ending .gz after its own, as in rows.csv.gz."),
    b"%PDF": ("a PDF document", "Get its table as CSV."),
    b"SQLite format 3": ("an SQLite database", "Export its table as CSV."),
}
PAGE = re.compile(rb"\s*<(!doctype|html|\?xml|table)", re.IGNORECASE)
OTHER_ENCODING = "Save the file in one encoding, or declare its own under `ingest: encoding:`, such as cp1252."
MARKS = {"utf-8": (codecs.BOM_UTF8,), "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)}
REST_OF_A_QUOTE = re.compile(r'[^"]*(?:""[^"]*)*"(?!")')


def codec(encoding: str) -> str:
    """The encoding by its usual name, such as utf-8; one that also takes a byte order mark away."""
    found = codecs.lookup(encoding).name
    return "utf-8-sig" if found == "utf-8" else found


def check_head(path: Path, head: bytes, encoding: str) -> None:
    """Raises DataError if the first bytes of a file say that it is no text, or one in another encoding."""
    if not head.strip(b"\xef\xbb\xbf\r\n\t "):
        raise DataError(f"{path} is empty.", "Send it again, or take it out of the source.")
    for start, (what, do) in OTHERS.items():
        if head.startswith(start):
            raise DataError(f"{path} is {what}, not the text that its name promises.", do)
    if PAGE.match(head.removeprefix(codecs.BOM_UTF8)):
        raise DataError(
            f"{path} is a web page or XML, not the text that its name promises.",
            "Look at it in an editor: often it is a login page or an error. Download the data themselves.",
        )
    declared = codec(encoding).removesuffix("-sig")
    found = encoding_of(head, declared)
    if found and not declared.startswith(found):
        raise DataError(
            f"{path} is not {declared}: it looks like {found.upper()}.",
            f"Write `ingest: encoding: {found}` in the model's YAML, or save the file anew as {declared.upper()}.",
        )


def encoding_of(head: bytes, declared: str) -> str:
    """The encoding that the first bytes tell of, or "" if nothing contradicts the declared one."""
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


def lines(path: Path, file: IO[str]) -> Iterator[tuple[int, str]]:
    """Each line with its number, from 1. Raises DataError for one that is beyond all reason."""
    number = 0
    while text := file.readline(LONGEST + 1):
        number += 1
        if len(text) > LONGEST:
            raise DataError(
                f"{path}: line {number} is longer than {LONGEST:,} characters: that is no row.",
                "Look at how its lines end, or whether it is another kind of file.",
            )
        yield number, text


def check_width(path: Path, columns: int) -> None:
    """Raises DataError for more columns than any table has: each of them costs memory, though it is empty."""
    if columns > MOST_COLUMNS:
        raise DataError(
            f"{path} has more than {MOST_COLUMNS:,} columns.", "Look at its delimiter; or turn rows and columns round."
        )


def check_names(path: Path, names: list[str], first: list[str]) -> None:
    """Raises DataError if the first row of a file that should have no header is one; first: its cells, or none."""
    if first and [cell.strip() for cell in first] == [name.strip() for name in names]:
        raise DataError(
            f"{path}: line 1 holds the names of the columns, which `ingest: names:` lists too.",
            "Take `names:` out of the model's YAML: it is for files without a header.",
        )


def check_quotes(path: Path, file: IO[str], delimiter: str) -> None:
    """Raises DataError naming the line where a quote opens that is not closed."""
    if opened := _stray(lines(path, file), delimiter):
        raise DataError(
            f"{path}: the quote that opens in line {opened} is not closed, and takes the lines after it for one cell.",
            'Close it, or remove it; a quote inside a quoted cell is written twice ("").',
        )


def _stray(found: Iterator[tuple[int, str]], delimiter: str) -> int:
    """The line where a cell opens with a quote that never closes, or closes lines later in the midst of text; or 0."""
    opened = 0
    for number, text in found:
        place = 0
        while place >= 0:
            if not opened and text[place : place + 1] == '"':
                opened, place = number, place + 1
            if opened:
                if not (closes := REST_OF_A_QUOTE.match(text, place)):
                    break
                place = closes.end()
                if opened < number and text[place : place + 80].lstrip(" ")[:1] not in ("", "\n", delimiter):
                    return opened
                opened = 0
            place = text.find(delimiter, place) + 1 or -1
    return opened


def explained(
    path: Path, file: IO[str], delimiter: str, encoding: str, names: Sequence[str], error: Exception
) -> DataError:
    """What a reader's error was about, with the line. file: the text, its faulty bytes as lone surrogates."""
    try:
        return _explained(path, file, delimiter, encoding, names) or _unknown(path, error)
    except UnicodeError as wrong:  # of an encoding that knows no escape
        return DataError(f"{path} is not {encoding} throughout: {wrong}.", OTHER_ENCODING)
    except DataError as known:
        return known
    except csv.Error:
        return _unknown(path, error)


def _unknown(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path} cannot be read: {' '.join(str(error).split())[:300]}.",
        "Correct the file, or `ingest: delimiter:` and `encoding:` in the model's YAML.",
    )


def _explained(path: Path, file: IO[str], delimiter: str, encoding: str, names: Sequence[str]) -> DataError | None:
    for number, text in lines(path, file):
        if bad := re.search("[\udc80-\udcff]", text):
            byte = ord(bad.group()) - 0xDC00
            return DataError(
                f"{path}: line {number} is not {encoding}: it holds the byte 0x{byte:02x} after "
                f"{text[: bad.start()][-20:]!r}.",
                OTHER_ENCODING,
            )
    file.seek(0)
    check_quotes(path, file, delimiter)
    file.seek(0)
    return _ragged(path, file, delimiter, names)


def _ragged(path: Path, file: IO[str], delimiter: str, names: Sequence[str]) -> DataError | None:
    """The first row that has not as many cells as the header."""
    csv.field_size_limit(LONGEST)
    rows = csv.reader((text for _, text in lines(path, file)), delimiter=delimiter)
    expected, number, header = len(names), 1, list(names)
    for cells in rows:
        header = header or cells
        expected = expected or len(cells)
        if cells and len(cells) != expected:
            told = "`ingest: names:` lists" if names else "the header has"
            return DataError(
                f"{path}: line {number} has {len(cells)} {_cells(len(cells))}, and {told} {expected}.",
                looks_like(delimiter, header if not names else cells)
                or f"Correct the line. A cell that holds the delimiter {delimiter!r} or a line end stands in quotes.",
            )
        number = rows.line_num + 1
    return None


def _cells(count: int) -> str:
    return "cell" if count == 1 else "cells"


def looks_like(delimiter: str, names: Sequence[str]) -> str:
    """What to write if a whole header stands in one column, with another delimiter in it; else ""."""
    if len(names) != 1:
        return ""
    counts = {other: names[0].count(other) for other in DELIMITERS if other != delimiter}
    best = max(counts, key=lambda other: counts[other])
    if not counts[best]:
        return ""
    return f"It looks as if cells are separated by {best!r}: write `ingest: delimiter: {DELIMITERS[best]}`."
