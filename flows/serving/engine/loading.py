"""Loading: a version's files are checked, then it is loaded and warmed, and has answered its examples."""

import hashlib
import json
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from flows.serving.engine.batcher import Batcher, Pace
from flows.serving.engine.engine import Engine
from flows.serving.engine.keras import KerasEngine
from flows.serving.engine.live_file import Told
from flows.serving.engine.loaded import Loaded
from flows.serving.engine.onnx import Sessions
from flows.serving.problem import Problem
from flows.serving.rows.reader import RowReader
from flows.serving.version import Version
from pipelines.errors import IntegrityError, RatchetError

FILES = "files.json"
WARMED = (1, 2, 64)  # rows of a call
TIMES = 5  # each is measured so often
UNKNOWN = Pace(1.0, 0.0)  # of a version without examples: its calls are made in a thread
DO = "Promote the version again, or roll back."


@dataclass(frozen=True)
class Loader:
    """Loads versions. sessions: those of this process."""

    sessions: Sessions

    def load(self, told: Told) -> Loaded:
        """A version that is live. Raises RatchetError if it cannot be served. It takes from 0.1 s to half a minute."""
        version = told.version
        if version is None:
            raise RatchetError(told.problem or "There is no champion.")
        version, reader, engine = self.parts(version, told.files_hash)
        try:
            pace = warmed(engine, reader, _examples(version))
        except Problem as problem:
            engine.close()
            told_again = f"Version {version.number} of {version.model} does not answer its own examples:"
            raise IntegrityError(f"{told_again} {problem.detail}", DO) from problem
        except RatchetError:
            engine.close()
            raise
        return Loaded(version, reader, Batcher(engine, pace))

    def parts(self, version: Version, files_hash: str) -> tuple[Version, RowReader, Engine]:
        """A version with its columns, its reader and its engine, which has answered nothing yet. files_hash: the
        SHA-256 of its files.json. Raises RatchetError."""
        check(version.folder, files_hash)
        version = replace(version, columns=_json(version.folder / "columns.json"))
        reader = RowReader(version.folder, version.sensitive, version.serve.get("kept", []))
        return version, reader, self._engine(version)

    def _engine(self, version: Version) -> Engine:
        if version.runtime == "onnx":
            return self.sessions.engine(version.folder / "serving", version.serving_hash)
        if version.runtime == "keras":
            if version.variant:
                return KerasEngine(version.folder / "variant", version.variant_model)
            return KerasEngine(version.folder / "model", version.model_hash)
        raise RatchetError(f"The runtime {version.runtime!r} is not known.", "Upgrade the server.")


def check(folder: Path, files_hash: str) -> None:
    """Raises IntegrityError, naming the file, if a folder is not exactly what its files.json says.

    files_hash: the SHA-256 of that files.json.
    """
    path = folder / FILES
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != files_hash:
            raise IntegrityError(f"{path} is not the recorded one.", DO)
        named = dict(json.loads(content)["files"])
        present = set(_files(folder)) - {FILES}
        if odd := sorted(present ^ set(named)):
            told = "is not named in" if odd[0] in present else "is missing, but named in"
            raise IntegrityError(f"{folder / odd[0]} {told} {FILES}.", DO)
        for name, digest in named.items():
            if _digest(folder / name) != digest:
                raise IntegrityError(f"{folder / name} is not the recorded one.", DO)
    except OSError as error:
        raise IntegrityError(f"{error.filename} cannot be read: {error.strerror}.", DO) from error


def _files(folder: Path) -> list[str]:
    """The regular files below a folder, by their paths in it. Raises IntegrityError for anything else."""
    found = []
    for place, folders, names in os.walk(folder):
        for name in [*folders, *names]:
            path = Path(place) / name
            if path.is_symlink() or not (path.is_file() or path.is_dir()):
                raise IntegrityError(f"{path} is no regular file.", DO)
        found += [(Path(place) / name).relative_to(folder).as_posix() for name in names]
    return found


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def _examples(version: Version) -> list[Any]:
    """The rows of examples.json; [] where there are none, or none that can be asked.

    Values of sensitive columns are left out, and a forecast without instants cannot be asked.
    """
    if version.columns["time"] in version.sensitive:
        return []
    return list(_json(version.folder / "examples.json")["rows"])


def warmed(engine: Engine, reader: RowReader, examples: Sequence[Any]) -> Pace:
    """Answer the examples, one, two and 64 at a time; returns what a call takes. Raises IntegrityError for an answer
    that is no finite number, and Problem."""
    if not examples:
        return UNKNOWN
    every = engine.answers(reader.read(examples).arrays)
    if not np.isfinite(every).all():
        row = int(np.argwhere(~np.isfinite(every))[0][0])
        raise IntegrityError(f"The answer to row {row + 1} of examples.json is not a finite number.", DO)
    seconds = {rows: _seconds(engine, reader, examples, rows) for rows in WARMED}
    each = max(0.0, (seconds[WARMED[-1]] - seconds[1]) / (WARMED[-1] - 1))
    return Pace(max(0.0, seconds[1] - each), each)


def _seconds(engine: Engine, reader: RowReader, examples: Sequence[Any], rows: int) -> float:
    """The shortest time of a call with so many rows."""
    chosen = [examples[place % len(examples)] for place in range(rows)]
    arrays, found = reader.read(chosen).arrays, []
    for _ in range(TIMES):
        start = time.perf_counter()
        engine.answers(arrays)
        found.append(time.perf_counter() - start)
    return min(found)
