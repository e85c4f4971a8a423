"""Taking: label files become labels of the store, and it is said what came of each row."""

from datetime import datetime
from pathlib import Path
from typing import Any

from flows.labels import counts, files, store
from flows.labels.store import Taken
from flows.project.environment import Project
from pipelines.model_file import Declaration


def take(project: Project, declared: Declaration, path: Path, now: datetime, zone: str, dry: bool) -> dict[str, Any]:
    """Take the labels of a file, or of each file of a folder: what `ratchet label --json` prints.

    Each file is taken whole or not at all. Raises RequestError, and DataError for the first file that cannot be taken;
    those before it are taken.
    """
    zone = files.zone_of(zone)
    found = [_one(project, declared, one, now, zone, dry) for one in files.found(path)]
    sums = {name: sum(one[name] for one in found) for name in ("rows", "new", "answered", "never_served")}
    return {
        "format": 1,
        "model": declared.model,
        "files": found,
        **sums,
        "selective": counts.SELECTIVE if declared.labels.depend_on_answer else "",
        "dry_run": dry,
    }


def _one(project: Project, declared: Declaration, path: Path, now: datetime, zone: str, dry: bool) -> dict[str, Any]:
    read = files.read(path, declared, zone)
    taken = store.add(project.state, declared, read.rows, taken=now, where=str(path), dry=dry)
    served = counts.served(project.state, declared, taken.events)
    return {
        "file": str(path),
        "rows": taken.rows,
        "new": taken.new,
        "answered": served,
        "never_served": len(taken.events.unique()) - served,
        "aside": taken.aside,
        "examples": taken.examples,
        "ignored": read.ignored,
        **_when(taken),
    }


def _when(taken: Taken) -> dict[str, str]:
    """taken: when the labels were taken, "" if none is new; again: when the same rows were taken before, or ""."""
    instants = {"taken": taken.at, "again": taken.again}
    return {name: at.isoformat() if at else "" for name, at in instants.items()}
