"""How a text file is to be read: its encoding, its delimiter, whether its first line names the columns.

Decided from the beginning of the file, by what its lines have in common. Each answer comes with its reason, for the
YAML that `ratchet new` writes; where nothing fits the file is refused rather than guessed at.
"""

import codecs
import csv
import re
import zlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.errors import DataError, RequestError
from pipelines.readers import compressed, text_errors

HEAD_BYTES = 1 << 20  # that are looked at for the delimiter and the names
LINES = 500
DELIMITERS = (",", ";", "\t", "|")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass(frozen=True)
class Reading:
    """The keys of `ingest:` that say how a file is read, without those that have their default, and why."""

    keys: dict[str, object] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)


def sniff(path: Path, names: list[str], target: str = "") -> Reading:
    """Of a CSV file; names: of its columns, where a person has given them; target: a column that a person has named.

    Raises DataError if it is none, RequestError for names that it cannot have.
    """
    try:
        encoding = _encoding(path)
        with compressed.opened(path) as file:
            head = file.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read to its end: {error}.", "Send it again.") from error
    text_errors.check_head(path, head[: text_errors.HEAD_BYTES], encoding)
    text = head.decode(text_errors.codec(encoding), errors="ignore")
    if "\x00" in text:
        raise DataError(f"{path} holds zero bytes: it is no text.", "Save it as CSV, in UTF-8.")
    rows, delimiter = _rows(text, path)
    named = bool(target and target in rows[0]) or _named(rows)
    if named and len(rows) == 1 and len(head) < HEAD_BYTES:
        raise DataError(f"{path} holds no row.", "Put rows into it.")
    if names:
        _check_names(path, names, rows[0])
    keys: dict[str, object] = {}
    why: dict[str, str] = {}
    if delimiter != "," and ".tsv" not in path.suffixes:
        keys["delimiter"], why["delimiter"] = delimiter, f"{len(rows[0])} columns in each line"
    if encoding != "utf-8":
        keys["encoding"] = encoding
        begins = encoding.startswith("utf-")
        why["encoding"] = "it begins so" if begins else "it is not UTF-8: look whether accents are right"
    if names or not named:
        keys["names"] = names or [f"column_{index}" for index in range(1, len(rows[0]) + 1)]
        why["names"] = "" if names else "the first line is a row, not names: write the right ones here"
    return Reading(keys, why)


def _check_names(path: Path, names: list[str], first: list[str]) -> None:
    if len(names) != len(first):
        raise RequestError(f"{path} has {len(first)} columns, and {len(names)} names were given.", "Name each one.")
    if twice := [name for name in names if names.count(name) > 1]:
        raise RequestError(f"--names has {twice[0]!r} twice.", "Give each column a name of its own.")
    if names == [cell.strip() for cell in first]:
        raise RequestError(f"The first line of {path} holds these names already.", "Leave --names out.")


def _encoding(path: Path) -> str:
    """What its first bytes say, else UTF-8 if all of the file is, else the one that every byte fits."""
    with compressed.opened(path) as file:
        head = file.read(text_errors.HEAD_BYTES)
        if told := text_errors.encoding_of(head, "utf-8"):
            return told
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            decoder.decode(head)
            while block := file.read(HEAD_BYTES):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


def _rows(text: str, path: Path) -> tuple[list[list[str]], str]:
    """The first lines, by the delimiter that gives most of them the same number of cells, and the most cells."""
    if not text.strip():
        raise DataError(f"{path} is empty.", "Put rows into it.")
    found = {delimiter: _split(text, delimiter) for delimiter in DELIMITERS}

    def fitness(delimiter: str) -> tuple[float, int]:
        widths = Counter(map(len, found[delimiter]))
        width, lines = widths.most_common(1)[0] if widths else (0, 0)
        return (round(lines / len(found[delimiter]), 2), width) if width > 1 else (0.0, width)

    delimiter = max(DELIMITERS, key=fitness)
    rows = found[delimiter]
    if not rows:
        raise DataError(f"{path} holds no line that could be read.", "Save it as CSV, in UTF-8.")
    return rows, delimiter if fitness(delimiter)[0] else ","


def _split(text: str, delimiter: str) -> list[list[str]]:
    """The last of the lines may be cut, and is left out if there are others."""
    csv.field_size_limit(text_errors.LONGEST)
    try:
        found = list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter))
    except csv.Error:
        return []
    whole = [row for row in found if row]
    return whole[:-1][:LINES] if len(whole) > LINES else whole


def _named(rows: list[list[str]]) -> bool:
    """Whether the first line names the columns: a name is no number, not empty, and does not come again below."""
    first = [cell.strip() for cell in rows[0]]
    if any(NUMBER.fullmatch(cell) for cell in first if cell) or len(set(first)) < len(first) - 1:
        return False
    if len(rows) < 2:
        return True
    below = [{row[index].strip() for row in rows[1:] if index < len(row)} for index in range(len(first))]
    return not any(cell and cell in seen for cell, seen in zip(first, below, strict=True))
