"""Where the rows lie that are to be predicted, and where the answers go: refused early, never half there."""

import os
from dataclasses import dataclass
from pathlib import Path

from flows.project.environment import Project
from pipelines.errors import RequestError
from pipelines.safety import regular_files

ELSEWHERE = "Write to another place, or ask for the right to."
SUFFIXES = (".parquet", ".csv")  # of answers


@dataclass(frozen=True)
class Wanted:
    """source, output: whole paths. version: None for the champion. device: auto, cpu or gpu, "" as it is declared.
    keep: the columns of the source that go beside the answers. workers: processes, 0 for as many as fit. exact: the
    version itself answers, whichever form of it is served."""

    model: str
    source: Path
    output: Path
    version: int | None = None
    device: str = ""
    force: bool = False
    keep: tuple[str, ...] = ()
    strict: bool = False  # whether a word that the model has never seen is refused
    workers: int = 0
    exact: bool = False


def check(project: Project, wanted: Wanted) -> None:
    """Raises RequestError for a place that will not do, DataError for rows that are in no file."""
    source, output = wanted.source, wanted.output
    if not source.exists():
        raise RequestError(f"There is no file {source}.", "Give the path of a file, or of a folder of them.")
    if not source.is_dir():
        regular_files.check(source)
    if output.suffix.lower() not in SUFFIXES:
        raise RequestError(
            f"{output.name!r} is not a kind of file that is written.",
            f"Give OUTPUT the ending {' or '.join(SUFFIXES)}.",
        )
    if not output.parent.is_dir():
        raise RequestError(f"There is no folder {output.parent} to write {output.name} to.", "Make it first.")
    real, of = output.resolve(), source.resolve()
    if real == of or (of.is_dir() and real.is_relative_to(of)):
        raise RequestError(f"{output} belongs to the rows that are to be predicted.", "Write to another place.")
    if any(real.is_relative_to((root / "data").resolve()) for root in (project.root, project.home)):
        raise RequestError(
            f"{output} lies in data/, which belongs to the stages and to what arrives.", "Write to another place."
        )
    _check_free(wanted)


def _check_free(wanted: Wanted) -> None:
    if wanted.output.is_dir():
        raise RequestError(f"{wanted.output} is a folder, and is not overwritten.", "Name a file.")
    if wanted.output.exists() and not wanted.force:
        raise RequestError(f"{wanted.output} is there already.", "Name another file, or add --force to replace it.")


def put(partial: Path, wanted: Wanted) -> None:
    """Give the whole file its name. Raises RequestError if another one has got it meanwhile."""
    _check_free(wanted)
    os.replace(partial, wanted.output.resolve())
