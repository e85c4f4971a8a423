"""A live version of pets with a reference of 5,000 training rows."""

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flows.monitoring.drift import look
from flows.monitoring.drift.look import Drift, Moved
from flows.registry import reference
from tests.support.served import versions, watched

FIRST = date(2026, 11, 2)


@dataclass
class Watched:
    """The state folder of a project with a live version."""

    state: Path
    folder: Path

    def log(self, step: int, rows: list[dict[str, Any]], **more: Any) -> None:
        """step: days after FIRST."""
        watched.log(self.state, FIRST + timedelta(step), rows, **more)

    def update(self, step: int, **monitor: Any) -> None:
        """On the morning of a day."""
        now = datetime.combine(FIRST + timedelta(step), datetime.min.time(), UTC) + timedelta(hours=6)
        look.update(watched.project(self.state), watched.declared(**monitor), now)

    def look(self, step: int, **monitor: Any) -> Drift:
        """At a day, on the morning after it."""
        self.update(step + 1, **monitor)
        return look.look(watched.project(self.state), watched.declared(**monitor), FIRST + timedelta(step))


def column(found: Drift, name: str) -> Moved:
    return next(one for one in found.columns if one.name == name)


@pytest.fixture(scope="session")
def known(tmp_path_factory) -> Path:
    """reference.parquet of pets."""
    place = tmp_path_factory.mktemp("reference")
    made = watched.stages(place, watched.pets(5_000, seed=100), watched.pets(1_000, seed=101))
    about = {"categories": ["colour"]}
    reference.write(made, watched.PETS, about, place / reference.NAME)
    return place / reference.NAME


@pytest.fixture
def pets(tmp_path, known) -> Watched:
    folder = versions.promote(tmp_path)
    (folder / reference.NAME).write_bytes(known.read_bytes())
    return Watched(tmp_path, folder)


def hide(pets: Watched, *names: str) -> None:
    """Mark columns as sensitive, as a YAML of today does."""
    path = pets.state / "serving" / "pets" / "live.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"sensitive": [*names]}))
