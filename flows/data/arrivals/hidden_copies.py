"""Copies of arrived files in which private columns are hidden already: what is pinned in their place.

Tables of text and Parquet can be copied so. Whatever cannot be is pinned as it is, and that is said (`plain`). Each
copy lies in the state folder until its file is gone; it is made again only when the file or the rules change.
"""

import csv
import gzip
import hashlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from flows.project import whole_files
from flows.project.environment import Project
from pipelines import ingest
from pipelines.errors import DataError
from pipelines.ingest import Ingest
from pipelines.model_file import Declaration
from pipelines.process import seal
from pipelines.readers import sources
from pipelines.readers.layout import Layout

FORMATS = ("csv", "lines", "parquet")
LINES = ("skip", "skip_end", "comment", "trailing_delimiters", "merge_delimiters")  # keys of `ingest:`


def plain(declared: Declaration, names: list[str]) -> str:
    """Why these files are pinned as they are though columns are private; "" if they are not, or no column is."""
    config, usual = declared.ingest, Layout()
    if not config.private:
        return ""
    if sources.followed(config.source) or config.source.startswith("builtin:"):
        return "it is no file inside the project"
    if odd := [name for name in names if sources.format_of(Path(name)) not in FORMATS]:
        return f"{odd[0]} is no table of text or Parquet"
    if odd := [key for key in LINES if getattr(config, key) != getattr(usual, key)]:
        return f"`ingest: {odd[0]}:` says that its lines are more than rows"
    if not config.quote_char:
        return "its cells have no quotes (`ingest: quote: none`)"
    if joined := sorted(set(config.hidden) & set(config.instants)):
        return f"{joined[0]!r} is made of several columns"
    return "" if config.missing else "`ingest: missing:` has no mark for a missing value"


def place(project: Project) -> Path:
    """Where the copies lie."""
    return project.state / "hidden"


def of(project: Project, declared: Declaration, folder: Path, paths: list[Path]) -> Path:
    """The folder of the copies of these files, by the same names below it. Raises DataError for a value that does not
    fit, or a file that changes meanwhile."""
    target = place(project) / declared.model
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    memo, rules = target / ".made.json", digest(declared)
    known, now = _load(memo), {}
    for path in paths:
        name, signed = path.relative_to(folder).as_posix(), seal.signature(path)
        now[name] = [rules, *(signed or ())]
        if known.get(name) != now[name] or not (target / name).is_file():
            _copy(path, target / name, declared)
            if seal.signature(path) != signed:
                raise DataError(f"{path} changed while it was being read.", "Run again when nothing writes it.")
    for name in known.keys() - now.keys():
        (target / name).unlink(missing_ok=True)
    if now != known:
        whole_files.write(memo, json.dumps({"format": 1, "files": now}))
    return target


def digest(declared: Declaration) -> str:
    """The hash of all that decides what the copies hold."""
    about = [declared.ingest.model_dump(), declared.data.columns]
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def _load(memo: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(memo.read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError):
        return {}


def _copy(path: Path, target: Path, declared: Declaration) -> None:
    """Write one copy, under its name once it is whole."""
    partial = target.with_name(f".{target.name}.partial")
    kind, config = sources.format_of(path), declared.ingest
    read = sources.read(path, config.delimiter, config.encoding, config.names, layout=config)
    hidden = ingest.hidden(read, declared.data, config, path.name)
    if kind == "parquet":
        _write_parquet(partial, hidden)
    else:
        with _opened(partial, path, config) as file:
            (_write_csv if kind == "csv" else _write_lines)(file, hidden, path, config)
    os.replace(partial, target)


@contextmanager
def _opened(partial: Path, path: Path, config: Ingest) -> Iterator[IO[str]]:
    """A text in the declared encoding; packed, if the file is, without time and name."""
    with ExitStack() as stack:
        content: Any = stack.enter_context(partial.open("wb"))
        if path.suffix.lower() == ".gz":
            content = stack.enter_context(gzip.GzipFile("", "wb", fileobj=content, mtime=0))
        yield stack.enter_context(io.TextIOWrapper(content, config.encoding, newline=""))


def _write_csv(file: IO[str], batches: Iterator[pa.RecordBatch], path: Path, config: Ingest) -> None:
    """Cells that are not private are written as they were read."""
    tab, missing = ".tsv" in path.name.lower(), "" if "" in config.missing else config.missing[0]
    delimiter = "\t" if tab else config.delimiter
    writer = csv.writer(file, delimiter=delimiter, quotechar=config.quote_char, lineterminator="\n")
    for number, batch in enumerate(batches):
        if not number and not config.names:
            writer.writerow(batch.schema.names)
        cells = {name: _texts(batch[name], config.decimal, missing) for name in batch.schema.names}
        gone = [""] * batch.num_rows  # a column that is dropped keeps its place where no header names the others
        writer.writerows(zip(*(cells.get(name, gone) for name in config.names or cells), strict=True))


def _write_lines(file: IO[str], batches: Iterator[pa.RecordBatch], path: Path, config: Ingest) -> None:
    for batch in batches:
        columns = [_texts(column, config.decimal, None) for column in batch.columns]
        for cells in zip(*columns, strict=True):
            file.write(json.dumps(dict(zip(batch.schema.names, cells, strict=True)), ensure_ascii=False) + "\n")


def _texts(column: pa.Array, decimal: str, missing: str | None) -> list[str | None]:
    """The cells as a file has them."""
    if pa.types.is_floating(column.type):
        return [missing if cell is None else _written(cell, decimal) for cell in column.to_pylist()]
    return [missing if cell is None else cell for cell in column.to_pylist()]


def _written(number: float, decimal: str) -> str:
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else repr(number).replace(".", decimal)


def _write_parquet(partial: Path, batches: Iterator[pa.RecordBatch]) -> None:
    first = next(batches, None)
    if first is None:
        raise DataError(f"{partial.name} holds no rows.", "Send it again, or remove it from the source.")
    with closing(pq.ParquetWriter(partial, first.schema, compression="zstd")) as out:
        out.write_batch(first)
        for batch in batches:
            out.write_batch(batch)
