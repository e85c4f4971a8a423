"""Where the log of a model lies, and what its files are called.

    <state>/answers/<model>/open/<day>.<worker>-<start>.jsonl    lines, while the day lasts
    <state>/answers/<model>/<day>/<worker>-<start>.parquet       the same rows, closed

A day is one of UTC. Start is the time of day of the first row: hours, minutes, seconds and six digits.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

OPEN = "open"  # the folder of lines
TURN = "turn"  # a file in it: whoever changes it asks for another file of lines
LINES = re.compile(r"(\d{4}-\d{2}-\d{2})\.(\d+-\d{12})\.jsonl", re.ASCII)
CLOSED = re.compile(r"(\d+-\d{12})\.parquet", re.ASCII)
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
MODEL = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)


@dataclass(frozen=True, order=True)
class Part:
    """The rows that one worker answered on one day, or some of them: a file of lines, or of Parquet once closed."""

    folder: Path
    """That of the model."""
    day: date
    name: str
    """<worker>-<start>."""

    @property
    def lines(self) -> Path:
        return self.folder / OPEN / f"{self.day}.{self.name}.jsonl"

    @property
    def closed(self) -> Path:
        return self.folder / str(self.day) / f"{self.name}.parquet"


def models(answers: Path) -> list[Path]:
    """The folder of each model that has a log."""
    return sorted(path for path in _content(answers) if MODEL.fullmatch(path.name) and path.is_dir())


def open_parts(folder: Path) -> list[Part]:
    """The parts of a model that are lines."""
    found = (LINES.fullmatch(path.name) for path in _content(folder / OPEN))
    return sorted(Part(folder, day, name[2]) for name in found if name and (day := _day(name[1])))


def closed_parts(folder: Path) -> list[Part]:
    """The parts of a model that are Parquet."""
    return sorted(Part(folder, day, name) for day in closed_days(folder) for name in _closed(folder / str(day)))


def closed_days(folder: Path) -> list[date]:
    """The days of a model that have a folder, the oldest first."""
    return sorted(day for path in _content(folder) if (day := _day(path.name)))


def finished(part: Part) -> bool:
    """Whether nobody writes these lines any more: who writes holds a lock, which dies with the process."""
    try:
        descriptor = os.open(part.lines, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def bytes_of(folder: Path, day: date | None = None) -> int:
    """The size of a model's log, or of one day of it."""
    days = [day] if day else closed_days(folder)
    lines = [part.lines for part in open_parts(folder) if day in (None, part.day)]
    closed = [path for one in days for path in _content(folder / str(one))]
    return sum(map(_size, [*lines, *closed]))


def _day(text: str) -> date | None:
    """The day of a name; None for another name."""
    try:
        return date.fromisoformat(text) if DAY.fullmatch(text) else None
    except ValueError:
        return None


def _closed(folder: Path) -> Iterator[str]:
    yield from (found[1] for path in _content(folder) if (found := CLOSED.fullmatch(path.name)))


def _content(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
