"""Finds the unneeded files in DVC's cache, and removes them.

    files/md5/<2>/<30>        a file by its md5
    files/md5/<2>/<30>.dir    a folder: the JSON list of its files
    runs/<2>/<64>/<64>        an earlier run of a stage, with the hashes of what it made

A file stays if a folder that stays lists it. Remotes are not touched.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from flows.graph import pipeline
from flows.project.environment import Project
from flows.prune.references import hashes

ASIDE = ".pruned"  # ending of a folder of earlier runs that is being removed


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
            _remove_run(path)
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
    return Unneeded(list(_runs(folder, files | lists)), [path for path in objects if path.is_file()])


def _object(folder: Path, digest: str) -> Path:
    return folder / "files" / "md5" / digest[:2] / digest[2:]


def _members(path: Path) -> set[str]:
    """The files in a folder's list; none if the list is missing or incomplete."""
    try:
        return {entry["md5"] for entry in json.loads(path.read_text(encoding="utf-8"))}
    except (OSError, ValueError, TypeError, KeyError):
        return set()


def _runs(folder: Path, gone: set[str]) -> Iterator[Path]:
    """The earlier runs that made any of the removed files."""
    for path in sorted((folder / "runs").glob("??/*/*")):
        if path.parent.name.endswith(ASIDE):
            yield path
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if hashes(text) & gone and made(text) & gone:
            yield path


def made(text: str) -> set[str]:
    """The hashes of the outputs that a text of DVC's names: an earlier run, dvc.lock, or a .dvc file."""
    try:
        content = YAML(typ="safe").load(text) or {}
        stages = content["stages"].values() if "stages" in content else [content]
        return {out["md5"] for stage in stages for out in stage.get("outs", []) if "md5" in out}
    except (YAMLError, AttributeError, TypeError):
        return set()


def _remove_run(path: Path) -> None:
    """Never leaves an empty folder under its name: DVC fails on one."""
    folder = path.parent
    if not folder.name.endswith(ASIDE):
        if len(list(folder.iterdir())) > 1:
            path.unlink(missing_ok=True)
            return
        aside = folder.with_name(folder.name + ASIDE)
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(folder, aside)
        folder = aside
    shutil.rmtree(folder, ignore_errors=True)
