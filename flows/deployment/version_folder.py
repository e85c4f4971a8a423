"""The folder of a version in the state folder: all that a server needs to answer as this version.

    model/, reading/      as they were registered
    serving/              the serving files, if there are some: the version's own, or those of a smaller form of it
    variant/              the model folder of a smaller form that ONNX does not carry
    explanations/         what the model makes of its columns, if that was kept, and no column became sensitive since
    columns.json          its columns, and a working example
    examples.json         golden rows as somebody would send them
    reference.parquet     how its columns and answers were distributed (flows/registry/reference.py), if that was kept
    files.json            the SHA-256 of each of these

Its name has the version and the beginning of the hash of files.json, so its content never changes. It is filled under
another name and renamed when it is complete. Only its owner can read it.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flows.deployment import examples, explanation_files, freshness
from flows.deployment.explanation_files import Explanations
from flows.deployment.serving_files import FOLDER, Serving
from flows.project.environment import Project
from flows.registry import columns, reference
from pipelines.config.data import Data
from pipelines.config.settings import FORMAT
from pipelines.errors import ShortageError
from pipelines.safety import shortage
from pipelines.table.summary import columns as summaries

VERSIONS = "versions"
VARIANT = "variant"
PARTIAL = ".partial"
SHORT = 12  # letters of a hash in a name
AGAIN = "`ratchet serve`, and the next `ratchet run`, try again."


@dataclass(frozen=True)
class Made:
    """path: relative to the folder of live.json."""

    path: str
    files_hash: str


@dataclass(frozen=True)
class Version:
    """A registered version at hand. fetched: its checked files; data: what its rows are; sensitive: by its YAML or by
    today's."""

    number: int
    fetched: Path
    data: Data
    columns: dict[str, Any]
    golden: pa.Table | None
    sensitive: list[str]
    explanations: Explanations | None = None


def make(place: Path, version: Version, serving: Serving) -> Made:
    """The folder of a version under `place`, made if it is not there. The caller holds the lock of the deployment."""
    base = place / VERSIONS
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = base / f".{version.number}{PARTIAL}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    _fill(partial, version, serving)
    _close(partial)
    content = {"format": FORMAT, "files": freshness.hashes(partial)}
    digest = _write(partial / freshness.FILES, content)
    target = base / f"{version.number}-{digest[:SHORT]}"
    shutil.rmtree(target, ignore_errors=True)  # the same, or one that was changed
    os.replace(partial, target)
    return Made(f"{VERSIONS}/{target.name}", digest)


def _fill(folder: Path, version: Version, serving: Serving) -> None:
    for name in ("model", "reading"):
        if (there := version.fetched / "artifacts" / name).is_dir():
            shutil.copytree(there, folder / name)
    if serving.folder is not None:
        (folder / FOLDER).mkdir()
        for name in serving.names:
            shutil.copyfile(serving.folder / name, folder / FOLDER / name)
    if serving.model is not None:
        shutil.copytree(serving.model, folder / VARIANT)
    if version.explanations is not None and set(version.sensitive) <= set(version.data.sensitive):
        (folder / explanation_files.FOLDER).mkdir()
        for name in version.explanations.names:
            shutil.copyfile(version.explanations.folder / name, folder / explanation_files.FOLDER / name)
    found = [] if version.golden is None else examples.rows(version.data, version.golden, version.sensitive)
    about = columns.without(version.columns, version.sensitive)
    _write(folder / columns.NAME, about | {"example": examples.first(found)})
    _write(folder / "examples.json", {"format": FORMAT, "rows": found})
    kept = version.fetched / "evidence" / reference.NAME
    if kept.is_file():
        public = [one for one in summaries.read(kept) if one.answer or one.name not in version.sensitive]
        summaries.write(folder / reference.NAME, public, {})


def _write(path: Path, content: Any) -> str:
    """JSON that only its owner reads; returns its SHA-256."""
    text = json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False).encode()
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(text)
    return hashlib.sha256(text).hexdigest()


def _close(folder: Path) -> None:
    """Copies have the rights of what was copied: here nobody else needs them."""
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)


@contextmanager
def written(project: Project) -> Iterator[None]:
    """A disk that takes no files is an error that names the state folder, and not the tracking store."""
    try:
        yield
    except OSError as error:
        raise shortage.of(error, [project.state]) or ShortageError(
            f"The files for serving cannot be written in {project.state}: {error.strerror}.", AGAIN
        ) from error


def sweep(place: Path, kept: Collection[str]) -> None:
    """Delete the folders that nobody needs, and what a killed process left. kept: relative to `place`."""
    for path in (place / VERSIONS).glob("*"):
        if f"{VERSIONS}/{path.name}" not in kept:
            shutil.rmtree(path, ignore_errors=True)
    for left in place.glob(".live.json.*.partial"):
        left.unlink(missing_ok=True)


def golden(fetched: Path) -> pa.Table | None:
    """The golden rows of a version; None for one that was published without."""
    path = fetched / "evidence" / "golden.parquet"
    return pq.read_table(path) if path.is_file() else None
