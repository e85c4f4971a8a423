"""Finds the unneeded files in DVC's cache, and removes them (flows/records/earlier_runs.py says what lies there).

A file stays if a folder that stays lists it. Remotes are not touched.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path

from flows.graph import pipeline
from flows.project.environment import Project
from flows.records import earlier_runs


@dataclass(frozen=True)
class Unneeded:
    """The files that may go. runs: files of the run cache; objects: files by their hash, the folders' lists last."""

    runs: list[Path] = field(default_factory=list)
    objects: list[Path] = field(default_factory=list)
    elsewhere: Path | None = None  # the cache, if it lies outside the project, where others may use it too

    def bytes(self) -> int:
        return sum(path.stat().st_size for path in [*self.runs, *self.objects] if path.exists())

    def remove(self) -> int:
        """Remove them; returns the freed bytes. After a kill, a second call completes the removal."""
        freed = self.bytes()
        for path in self.runs:
            earlier_runs.remove(path)
        for path in self.objects:
            path.unlink(missing_ok=True)
        return freed


def unneeded(project: Project, unwanted: set[str], kept: set[str]) -> Unneeded:
    """The unwanted hashes that are in the cache and may go.

    kept: hashes that are still named. The caller holds DVC's lock until they are removed.
    """
    folder = pipeline.cache_folder(project)
    if not folder.resolve().is_relative_to(project.home.resolve()):
        return Unneeded(elsewhere=folder)
    unwanted = unwanted - kept
    lists = {digest for digest in unwanted if digest.endswith(".dir")}
    listed = set().union(*(_members(_object(folder, digest)) for digest in lists))
    there = (folder / "files" / "md5").glob("??/*.dir")
    staying = set().union(*(_members(path) for path in there if path.parent.name + path.name not in lists))
    files = ((unwanted - lists) | listed) - kept - staying
    objects = [_object(folder, digest) for digest in [*sorted(files), *sorted(lists)]]
    return Unneeded(list(earlier_runs.of(folder, files | lists)), [path for path in objects if path.is_file()])


def _object(folder: Path, digest: str) -> Path:
    return folder / "files" / "md5" / digest[:2] / digest[2:]


def _members(path: Path) -> set[str]:
    """The files in a folder's list; none if the list is missing or incomplete."""
    try:
        return {entry["md5"] for entry in json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError, KeyError):
        return set()
