"""A file of rows without some of them: every other row stays as it is written, byte for byte in a text.

The result is read again before it takes the place of the file: it has to hold the same rows but those.
"""

import gzip
import hashlib
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.forget.source_rows import Held, rows_of
from flows.forget.wanted import Wanted
from pipelines.errors import IntegrityError
from pipelines.model_file import Declaration
from pipelines.readers import images, sources
from pipelines.readers.layout import rows_of as table_lines

Look = Callable[[Path], tuple[np.ndarray, str]]
TEXTS = ("csv", "lines")
PARTIAL = ".forget.partial"  # ending of a file that is being made


def is_table(path: Path) -> bool:
    """Whether it is a table, with rows that can be taken out."""
    return sources.format_of(path) in (*TEXTS, "parquet")


def can(path: Path) -> bool:
    """Whether rows can be taken out of such a file; a picture is one row."""
    return is_table(path) or images.is_image(path)


def take_out(path: Path, declared: Declaration, look: Look) -> None:
    """Rewrite a file without some rows; a picture is deleted, and a table without any other row stays as its header.

    look: says of a file which rows go, and the hash of the others. Raises IntegrityError, and leaves the file as it is,
    if its lines cannot be told apart as the reader does it.
    """
    if images.is_image(path):
        _delete(path)
        return
    partial = path.with_name(f".{path.stem}{PARTIAL}{''.join(path.suffixes[-2:])}")
    try:
        mask, rest = look(path)
        if not mask.any():
            return
        {"parquet": _parquet}.get(sources.format_of(path), _text)(path, partial, declared, mask)
        if not mask.all() and not _is_rest(look(partial), mask, rest):
            raise _unlike(path)
        shutil.copymode(path, partial)
        _promise(path, partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def in_source(folder: Path, declared: Declaration, wanted: Wanted, held: Held) -> Look:
    """Looks at a file of the source in `folder`."""

    def look(path: Path) -> tuple[np.ndarray, str]:
        masks, rest = [np.zeros(0, bool)], hashlib.sha256()
        for raw, typed in rows_of(path, folder, declared):
            mask = held.mask(wanted, raw, typed)
            masks.append(mask)
            rest.update("".join(typed["row_id"].filter(pa.array(~mask)).to_pylist()).encode())
        return np.concatenate(masks), rest.hexdigest()

    return look


def in_any(declared: Declaration, wanted: Wanted, held: Held) -> Look:
    """Looks at a table of the user's own: input or output of `ratchet predict`, for example. Its rows are known by the
    key, or by `row_id`."""
    config = declared.ingest

    def look(path: Path) -> tuple[np.ndarray, str]:
        masks, rest = [np.zeros(0, bool)], hashlib.sha256()
        for raw in sources.read(path, config.delimiter, config.encoding, config.names, layout=config):
            mask = wanted.mask(raw)
            if "row_id" in raw.schema.names:
                mask |= np.array([str(one) in held.row_ids for one in raw["row_id"].to_pylist()], bool)
            masks.append(mask)
            rest.update(repr(raw.filter(pa.array(~mask)).to_pydict()).encode())
        return np.concatenate(masks), rest.hexdigest()

    return look


def _is_rest(found: tuple[np.ndarray, str], mask: np.ndarray, rest: str) -> bool:
    """Whether what was made holds the other rows, and none of those that go."""
    return found[1] == rest and not found[0].any() and len(found[0]) == int((~mask).sum())


def _parquet(path: Path, target: Path, declared: Declaration, mask: np.ndarray) -> None:
    parquet, first = pq.ParquetFile(path), 0
    codec = parquet.metadata.row_group(0).column(0).compression.lower() if parquet.metadata.num_row_groups else "snappy"
    codec = "none" if codec == "uncompressed" else codec
    with pq.ParquetWriter(target, parquet.schema_arrow, compression=codec) as out:
        for batch in parquet.iter_batches():
            out.write_batch(batch.filter(pa.array(~mask[first : first + batch.num_rows])))
            first += batch.num_rows


def _text(path: Path, target: Path, declared: Declaration, mask: np.ndarray) -> None:
    """Copy all lines but those of the wanted rows."""
    lines = _rows(path, declared)
    if len(lines) != len(mask):
        raise _unlike(path)
    gone = {number for place in np.flatnonzero(mask).tolist() for number in lines[place]}
    with _opened(path, declared) as file, _made(target, declared) as out:
        for number, text in enumerate(file, 1):
            if number not in gone:
                out.write(text)


def _rows(path: Path, declared: Declaration) -> list[range]:
    """The numbers of the lines of each row."""
    config, found, start, open_ = declared.ingest, list[range](), 0, False
    if sources.format_of(path) == "lines":
        with _opened(path, declared) as file:
            return [range(number, number + 1) for number, text in enumerate(file, 1) if text.strip("\ufeff \t\r\n")]
    with _opened(path, declared) as file:
        for number, text in table_lines(enumerate(file, 1), config, config.delimiter):
            start = start if open_ else number
            open_ ^= bool(config.quote_char) and text.count(config.quote_char) % 2 == 1
            blank = not text.strip("\ufeff\r\n") or (config.blank_rows == "drop" and not _cells(text, declared))
            if not open_ and not (blank and start == number):
                found.append(range(start, number + 1))
    return found if config.names else found[1:]


def _cells(text: str, declared: Declaration) -> str:
    """What a line has beside delimiters, quotes and blanks."""
    return text.replace(declared.ingest.delimiter, "").replace('"', "").strip()


def _opened(path: Path, declared: Declaration) -> IO[str]:
    raw: Any = gzip.GzipFile(path, "rb") if path.suffix.lower() == ".gz" else path.open("rb")
    return io.TextIOWrapper(raw, declared.ingest.encoding, "surrogateescape", newline="")


def _made(path: Path, declared: Declaration) -> IO[str]:
    raw: Any = gzip.GzipFile(path, "wb", mtime=0) if path.suffix.lower() == ".gz" else path.open("wb")
    return io.TextIOWrapper(raw, declared.ingest.encoding, "surrogateescape", newline="")


def _promise(path: Path, made: Path) -> None:
    """A checksum beside the file speaks of the new content, before that is there: a file that waits is found again."""
    if (sums := path.with_name(f"{path.name}.sha256")).is_file():
        sums.write_text(f"{sources.file_hash(made)}  {path.name}\n", encoding="utf-8")


def _delete(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}.sha256").unlink(missing_ok=True)


def _unlike(path: Path) -> IntegrityError:
    return IntegrityError(
        f"The rows of {path} cannot be told apart line by line, so none was taken out of it.",
        "Take them out by hand, and forget again: it removes the rest.",
    )
