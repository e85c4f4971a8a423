"""Kept: the summaries of a model's days, and the lines of each day of its zone.

<state>/watch/<model>/days/<day>.parquet      a day of UTC, as the log has them
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from flows.monitoring.drift.periods import Lines
from flows.project.environment import Project
from pipelines.table.summary import columns
from pipelines.table.summary.columns import Column

UNREADABLE = "unreadable"  # in the metadata of a day: why its log could not be read


def folder(project: Project, model: str) -> Path:
    return project.state / "watch" / model / "days"


def path_of(place: Path, day: date) -> Path:
    """place: of `folder`. day: of UTC."""
    return place / f"{day}.parquet"


@dataclass
class Kept:
    """Each file is read when one of its days is asked for, and once."""

    place: Path
    _read: dict[date, list[Column]] = field(default_factory=dict)

    def of(self, day: date) -> list[Column]:
        """The lines of a day of the zone, which touches up to three days of UTC. Raises IntegrityError."""
        around = [date.fromordinal(max(1, day.toordinal() + step)) for step in (-1, 0, 1)]
        return [line for one in dict.fromkeys(around) for line in self._file(one) if line.group == str(day)]

    def _file(self, day: date) -> list[Column]:
        if day not in self._read:
            path = path_of(self.place, day)
            self._read[day] = columns.read(path) if path.is_file() else []
        return self._read[day]


@dataclass(frozen=True)
class View:
    """Some of the lines of each day, as periods.py asks for them."""

    kept: Kept
    wanted: Callable[[Column], bool]

    def get(self, day: date, default: Lines = ()) -> Lines:
        return [line for line in self.kept.of(day) if self.wanted(line)] or default


def of_rows(kept: Kept) -> View:
    """The columns of the rows."""
    return View(kept, lambda line: not line.answer)


def of_answers(kept: Kept, version: int) -> View:
    """The answers of one version."""
    return View(kept, lambda line: line.answer and line.version == version)


def unreadable(place: Path, last: date, days: int) -> dict[str, str]:
    """Of so many days up to a day, those of UTC whose log could not be read, and why."""
    found = {}
    for back in range(days):
        day = last - timedelta(days=back)
        if why := columns.about(path_of(place, day)).get(UNREADABLE):
            found[str(day)] = f"its log cannot be read: {why}"
    return found


def rows_since(view: View, day: date, days: int) -> list[Column]:
    """The lines of so many days up to a day."""
    return [line for back in range(days) for line in view.get(day - timedelta(days=back))]
