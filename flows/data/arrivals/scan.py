"""The current files of a source, each complete, hashed and counted.

A file that is still being written waits for the next look. If any file cannot be read to its end, nothing of this
delivery is used.
"""

import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flows.data.arrivals import checksums, hidden_copies
from flows.project import whole_files
from flows.project.environment import Project
from pipelines.errors import DataError
from pipelines.model_file import Declaration
from pipelines.process import seal
from pipelines.readers import compressed, images, sources
from pipelines.readers.layout import Layout
from pipelines.safety import regular_files

QUIET = 1.0  # seconds for which a file must not have changed
INCOMING = Path("data") / "incoming"


@dataclass(frozen=True)
class Arrival:
    path: Path
    name: str  # below the source's folder, such as rows.csv or cat/1.png
    bytes: int
    sha256: str
    rows: int
    unpacked: int | None = None  # bytes of a packed file once it is unpacked

    def entry(self) -> dict[str, Any]:
        """Its entry in a pin."""
        found = {"name": self.name, "bytes": self.bytes, "sha256": self.sha256, "rows": self.rows}
        return found if self.unpacked is None else found | {"unpacked": self.unpacked}


def only_grows(source: str) -> bool:
    """Whether it is a folder of data/incoming/: pinned rows there must stay, but for a share of them."""
    return Path(source).is_relative_to(INCOMING) and Path(source) != INCOMING and not Path(source).suffix


def place(project: Project, source: str) -> Path:
    """Where a source inside the project lies: in this tree, or in the clone whose worktree this is."""
    here = project.root / source
    return here if here.exists() else project.home / source


def within(project: Project, source: str) -> list[Path]:
    """The folders that may hold the files of a source inside the project, after links are followed.

    Raises DataError if the source itself is a link that leads out of the project.
    """
    path, homes = place(project, source), (project.root, project.home)
    if not any(path.resolve().is_relative_to(home.resolve()) for home in homes):
        raise DataError(
            f"The source {source} is a link that leads out of the project, to {path.resolve()}.",
            "If you want this, write the whole path under `ingest: source:`. Else put the files themselves there.",
        )
    return [path, *(home / "data" for home in homes)]


def look(project: Project, declared: Declaration) -> tuple[list[Arrival], list[str]]:
    """The arrived files, and in words those that are not picked up yet. Raises DataError if none can be read.

    Where columns are private, copies in which these are hidden stand for the files, as far as that can be.
    """
    source = declared.ingest.source
    path = place(project, source)
    inside = within(project, source)
    folder = path if path.is_dir() else path.parent
    found = [one for one in listed(path, inside) if not withdrawn(one)] if path.is_dir() else [path]
    if not found or not os.path.lexists(found[0]):
        wanted = f"holds no file that can be read ({sources.KNOWN})" if path.is_dir() else "does not exist"
        raise DataError(f"The source {source} {wanted}.", "Put the data there, or correct `ingest: source:`.")
    if not path.is_dir():
        regular_files.check(path, inside)
    waiting = _unfinished(found, declared.ingest.quiet if only_grows(source) else None)
    left = [f"{name} is not read: {what}" for name, what in _left_out(path).items()] if path.is_dir() else []
    whole = [path for path in found if path not in waiting]
    if declared.ingest.private and not hidden_copies.plain(declared, [path.name for path in whole]):
        copies = hidden_copies.of(project, declared, folder, whole)
        whole, folder = [copies / path.relative_to(folder) for path in whole], copies
    return read(project, declared, folder, whole), [*waiting.values(), *left]


def read(project: Project, declared: Declaration, folder: Path, paths: list[Path]) -> list[Arrival]:
    """Each file of a folder, hashed and counted. Raises DataError for a file that cannot be read to its end.

    The results are kept in the state folder, so that the next look at a large source costs little.
    """
    memo = project.state / f"seen-{declared.model}.json"
    ingest = declared.ingest
    settings = [ingest.delimiter, ingest.encoding, ingest.names, ingest.resize, declared.data.shape]
    settings += [getattr(ingest, key) for key in Layout.model_fields]
    images.check_places(_name(folder, path) for path in paths if images.is_image(path))
    known = _load(memo)
    now, found = {name: there for name, there in known.items() if Path(name).exists()}, []
    for path in paths:
        check_name(path)
        status = _status(path)
        signed = seal.signature(path)
        mark = [*settings, *(signed or ())]
        there = known.get(str(path))
        if not there or there["mark"] != mark or compressed.is_packed(path) != ("unpacked" in there):
            with _unchanged(path, signed):
                there = {"mark": mark, "sha256": sources.file_hash(path), "rows": _rows(path, declared)}
                there |= {"unpacked": compressed.size(path)} if compressed.is_packed(path) else {}
        now[str(path)] = there
        counted = there["sha256"], there["rows"], there.get("unpacked")
        found.append(Arrival(path, _name(folder, path), status.st_size, *counted))
    if now != known:
        _save(memo, now)
    return found


@contextmanager
def _unchanged(path: Path, signed: seal.Signature | None) -> Iterator[None]:
    """Read a file in the block. Raises DataError if the file changed meanwhile, also in place of a reader's error,
    which the change may have caused."""
    said = DataError(f"{path} changed while it was being read.", "Run again when nothing writes it.")
    try:
        yield
    except DataError as error:
        if seal.signature(path) == signed:
            raise
        raise said from error
    if seal.signature(path) != signed:
        raise said


def _status(path: Path) -> os.stat_result:
    """The status of a file. Raises DataError if it disappeared after the listing."""
    try:
        return path.stat()
    except OSError:
        regular_files.check(path)
        raise


def _name(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()


def listed(folder: Path, within: list[Path]) -> list[Path]:
    """The readable files of a folder, and the images in class folders below it, always in the same order.

    Hidden files are unfinished copies and left out. within: where links may lead. Raises DataError for a link that
    leads elsewhere, and for anything that is no file.
    """
    tables = [p for p in folder.glob("*") if sources.format_of(p) and not p.name.startswith(".") and not p.is_dir()]
    pictures = images.listed(folder)
    for path in (*tables, *pictures):
        check_name(path)
        if not regular_files.is_one(path):
            regular_files.check(path, within)
    if pictures or any(not images.is_image(path) for path in tables):  # a picture beside tables is not a row
        tables = [path for path in tables if not images.is_image(path)]
    return sorted(tables) + pictures


def check_name(path: Path) -> None:
    """Raises DataError for a name that no pin and no cache can keep: one of bytes that are no UTF-8."""
    try:
        path.name.encode()
    except UnicodeEncodeError as error:
        raise DataError(
            f"The name of the file {path} is no text in UTF-8, so it may come from another system.", "Rename it."
        ) from error


def _left_out(folder: Path) -> dict[str, str]:
    """Files that look like data but cannot be read, and what to do with them."""
    ends = ((path.name, path.suffix.lower()) for path in sorted(folder.glob("*")) if not path.name.startswith("."))
    return {name: sources.OTHERS[end] for name, end in ends if end in sources.OTHERS and end != ".txt"}


def withdrawn(path: Path) -> bool:
    """Whether somebody withdrew a file of a folder that only grows, by a file NAME.withdrawn beside it."""
    return regular_files.is_one(path.with_name(f"{path.name}.withdrawn"))


def _unfinished(paths: list[Path], quiet: float | None) -> dict[Path, str]:
    """The files that are not complete yet, and why.

    quiet: seconds for which a text must not have grown if its last line has no end: a copy that was cut off rarely has
    one. None for files that nobody is writing. Only a checksum beside the file shows it for certain.
    """
    before = {path: _status(path) for path in paths}
    if any(0 <= time.time() - status.st_mtime < QUIET for status in before.values()):
        time.sleep(QUIET)
    found = {}
    for path, status in before.items():
        now = _status(path)
        if (now.st_size, now.st_mtime_ns) != (status.st_size, status.st_mtime_ns):
            found[path] = f"{path.name} is still being written"
        elif (promise := checksums.promise(path)) == "broken":
            what = f"{path.name} does not match {path.name}.sha256"
            found[path] = f"{what}: if the file is whole, correct that sum or delete it"
        elif quiet is not None and not promise and is_unended(path) and (left := rests(now, quiet)) > 0:
            found[path] = unended(path, left, quiet)
    return found


def rests(status: os.stat_result, quiet: float) -> float:
    """The seconds for which a file still has to rest; without end for an empty one."""
    return max(0.0, quiet - abs(time.time() - status.st_mtime)) if status.st_size else math.inf


def unended(path: Path, left: float, quiet: float) -> str:
    """Why a text waits, in words."""
    if left == math.inf:
        return f"{path.name} is empty"
    return (
        f"{path.name} is not picked up yet: its last line has no end, so it may still be written. It is taken once it "
        f"has not grown for {quiet:g} s (`ingest: quiet:`), in {math.ceil(left)} s"
    )


def is_unended(path: Path) -> bool:
    """Whether it is a text whose last line has no end."""
    return _is_plain_text(path) and not _ends(path)


def _is_plain_text(path: Path) -> bool:
    reader = sources.reader_of(path)
    return reader is not None and reader.text and path.suffix.lower() != ".gz"


def _ends(path: Path) -> bool:
    """Whether a text ends with a line end, in any encoding that writes it with zeros or without. (Gzip has its own.)"""
    with regular_files.opened(path) as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-min(4, file.tell()), os.SEEK_END)
        return file.read(4).strip(b"\0")[-1:] in (b"\n", b"\r")


def _rows(path: Path, declared: Declaration) -> int:
    """The number of rows; an image is one row, if it can be decoded.

    Some files store the number, such as Parquet at its end: a file that was cut off has none.
    """
    reader = sources.reader_of(path)
    if reader and reader.rows:
        try:
            return reader.rows(path)
        except DataError:
            raise
        except Exception as error:
            raise DataError(
                f"{path} is not a whole {reader.name.capitalize()} file: {' '.join(str(error).split())[:200]}.",
                "Send it again.",
            ) from error
    ingest = declared.ingest
    if sources.format_of(path) == "image":
        images.pixels(path, declared.data.shape, ingest.resize)
        return 1
    found = sources.read(path, ingest.delimiter, ingest.encoding, ingest.names, layout=ingest)
    return sum(batch.num_rows for batch in found)


def _load(memo: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(memo.read_text(encoding="utf-8"))["files"])
    except (OSError, ValueError, KeyError):
        return {}


def _save(memo: Path, files: dict[str, Any]) -> None:
    whole_files.write(memo, json.dumps({"format": 1, "files": files}))
