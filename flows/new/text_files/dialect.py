"""How a text file is to be read: its encoding, its delimiter, and which of its lines are rows.

Decided from the beginning of the file, by what its lines have in common (text_files/ has the parts), and by what a
person has said. Each answer comes with its reason, for the YAML that `ratchet new` writes; where nothing fits the file
is refused rather than guessed at.
"""

import codecs
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flows.new.text_files import below, cells, lines, table
from flows.new.text_files.lines import HEAD_BYTES
from flows.new.text_files.table import Table
from pipelines.errors import DataError, RequestError
from pipelines.readers import compressed, text_errors
from pipelines.readers.layout import NO_QUOTES

SHOWN = 60  # letters of a line in a reason


@dataclass(frozen=True)
class Reading:
    """The keys of `ingest:` that say how a file is read, without those that have their default, and why."""

    keys: dict[str, Any] = field(default_factory=dict)
    why: dict[str, str] = field(default_factory=dict)
    forms: dict[str, str] = field(default_factory=dict)  # of dates that are made of two columns
    lost: dict[str, str] = field(default_factory=dict)  # columns that cannot be read so, and why

    def with_key(self, key: str, value: Any, why: str) -> "Reading":
        return replace(self, keys=self.keys | {key: value}, why=self.why | {key: why})


def sniff(path: Path, names: list[str], target: str = "", given: dict[str, Any] | None = None) -> Reading:
    """Of a CSV file; names: of its columns, where a person has given them; target: a column that a person has named.

    given: keys of `ingest:` that a person has set. Raises DataError if the file is none, RequestError for names that it
    cannot have.
    """
    given = given or {}
    encoding, text, whole = _beginning(path, given.get("encoding", ""))
    tab = "\t" if ".tsv" in path.suffixes else ""
    quote = {None: None, NO_QUOTES: ""}.get(given.get("quote"), given.get("quote"))
    wanted = tab or given.get("delimiter", ""), quote, given.get("skip"), given.get("comment", "")
    found = table.found(lines.of_text(text, not whole), *wanted, target)
    if not found.rows:
        raise DataError(f"{path} holds no line that could be read.", "Save it as CSV, in UTF-8.")
    if names:
        _check_names(path, names, found)
    first_is_named = (not found.names and (target in found.rows[0] if target else False)) or table.named(found.rows)
    if first_is_named and not found.names and len(found.rows) == 1 and whole:
        raise DataError(f"{path} holds no row.", "Put rows into it.")
    keys, why = _of_encoding(encoding, given)
    _of_table(found, keys, why, tab)
    _of_names(found, names, first_is_named, keys, why)
    if "skip_end" not in given and (notes := below.notes(lines.last(path, encoding), found)):
        keys["skip_end"], why["skip_end"] = len(notes), f"no row: {notes[0].strip()[:SHOWN]!r}"
    return Reading(keys | given, {key: reason for key, reason in why.items() if key not in given})


def has_quotes(path: Path, encoding: str) -> bool:
    """Whether several of the first lines have quotes in them, and none of their cells stands in some."""
    _, text, _ = _beginning(path, encoding)
    marked = [line for line in text.splitlines() if '"' in line]
    return len(marked) >= cells.FEW


def _beginning(path: Path, encoding: str) -> tuple[str, str, bool]:
    """The encoding, the beginning of the file, and whether it is all of it. Raises DataError for what is no text."""
    try:
        encoding = encoding or _encoding(path)
        with compressed.opened(path) as file:
            head = file.read(HEAD_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read to its end: {error}.", "Send it again.") from error
    text_errors.check_head(path, head[: text_errors.HEAD_BYTES], encoding)
    text = head.decode(text_errors.codec(encoding), errors="ignore")
    if "\x00" in text:
        raise DataError(f"{path} holds zero bytes: it is no text.", "Save it as CSV, in UTF-8.")
    if not text.strip():
        raise DataError(f"{path} is empty.", "Put rows into it.")
    return encoding, text, len(head) < HEAD_BYTES


def _of_encoding(encoding: str, given: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    if encoding == "utf-8" or "encoding" in given:
        return {}, {}
    begins = encoding.startswith("utf-")
    why = "it begins so" if begins else "it is not UTF-8: look whether accents are right"
    return {"encoding": encoding}, {"encoding": why}


def _of_table(found: Table, keys: dict[str, Any], why: dict[str, str], tab: str) -> None:
    """Adds the keys of the table, and why they are so."""
    if found.delimiter not in ("", ",", tab):
        keys["delimiter"], why["delimiter"] = found.delimiter, f"{found.width} columns in each line"
    if found.quote != '"':
        keys["quote"] = found.quote or NO_QUOTES
        why["quote"] = f"cells stand in {found.quote}" if found.quote else "quotes are not closed: letters like others"
    if found.skip:
        keys["skip"], why["skip"] = found.skip, found.why.get("skip", "lines above the header")
    if found.comment:
        keys["comment"], why["comment"] = found.comment, "lines that begin so are no rows"
    if found.merged:
        keys["merge_delimiters"], why["merge_delimiters"] = True, "cells are parted by several blanks"
    if found.trailing:
        keys["trailing_delimiters"] = found.trailing
        why["trailing_delimiters"] = "at the end of each line, with no cell after them"


def _of_names(found: Table, names: list[str], first_is_named: bool, keys: dict[str, Any], why: dict[str, str]) -> None:
    """Adds the names of the columns, where the file does not have them as they are needed."""
    if names or not (first_is_named or found.names):
        keys["names"] = names or [f"column_{index}" for index in range(1, found.width + 1)]
        why["names"] = "" if names else "the first line is a row, not names: write the right ones here"
    elif found.names:
        keys["names"], why["names"] = found.names, found.why["names"]
    elif nameless := _nameless(found.rows):
        keys["names"] = [cell.strip(" \t") or f"column_{place}" for place, cell in enumerate(found.rows[0], 1)]
        why["names"] = f"the header has no name for column {nameless}, which is no index"
        keys["skip"], why["skip"] = found.header, "the header, whose names are below"


def _nameless(rows: list[list[str]]) -> int:
    """The first column, from 1, that has values but no name, and that does not just count the rows; 0 if there is
    none."""
    for place, name in enumerate(rows[0]):
        values = [row[place].strip() for row in rows[1:] if place < len(row)]
        if not name.strip(" \t") and any(values) and not all(value.isdecimal() for value in values):
            return place + 1
    return 0


def _check_names(path: Path, names: list[str], found: Table) -> None:
    if len(names) != found.width:
        raise RequestError(f"{path} has {found.width} columns, and {len(names)} names were given.", "Name each one.")
    if twice := [name for name in names if names.count(name) > 1]:
        raise RequestError(f"--names has {twice[0]!r} twice.", "Give each column a name of its own.")
    if names == [cell.strip() for cell in found.rows[0]]:
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
