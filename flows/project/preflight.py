"""Preflight: before any work, checks that a run can write to each of its folders, and that their disks have room."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

from flows.project import databases
from flows.project.environment import Project
from pipelines.errors import ShortageError
from pipelines.safety import shortage

LEAST = 4 << 20  # bytes that the disk of each place must have free: the smallest run writes as much


def check(project: Project, model: str) -> None:
    """Raises ShortageError that names the first place that cannot be written, or whose disk is full, IntegrityError
    for a store of another project's artifacts."""
    places = [*_folders(project, model), *_files(project)]
    for folder in _folders(project, model):
        there = shortage.existing(folder)
        if not there.is_dir():
            raise ShortageError(f"{there} is a file where a folder is needed.", "Move it away, and run again.")
    for place in places:
        if short := shortage.unwritable(place if place.exists() else shortage.existing(place)):
            raise short
    if short := shortage.full(places, LEAST):
        raise short
    databases.check_place(project)


def cache(folder: Path) -> None:
    """The same for DVC's cache, once DVC has been asked where it is."""
    there = shortage.existing(folder)
    if short := shortage.unwritable(there) or shortage.full([there], LEAST):
        raise short


def places(project: Project) -> list[Path]:
    """The folders that commands write to: their disks may be full."""
    return [*_folders(project, ""), *_files(project)]


def _folders(project: Project, model: str) -> Iterator[Path]:
    yield from (project.root, project.data(model), project.root / ".dvc" / "tmp", project.root / ".dvc" / "cache")
    yield from (project.state, project.state / "logs", project.state / "locks", project.state / "dvc")
    yield from (project.state / "ticks", project.prefect_home)
    if not project.tracking:
        yield from (project.mlflow_database.parent, project.mlflow_artifacts)
    yield _temporary()


def _files(project: Project) -> Iterator[Path]:
    yield from (project.root / "dvc.lock", project.prefect_home / "prefect.db")
    if not project.tracking:
        yield project.mlflow_database
    if not project.ledger:
        yield project.mlflow_database.with_name("ledger.db")


def _temporary() -> Path:
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise ShortageError(
            f"No folder for temporary files can be written: {error.strerror}.",
            "Make room in one of them, or set the variable TMPDIR to another folder. Then run again.",
        ) from error
