"""What outlives a pin that `ratchet forget` removes: the order in which its files arrived, and the edges of its split.

A pin has hashes and a profile of rows that are gone, so it goes too. The next pin goes on from here.
"""

import json
from pathlib import Path
from typing import Any

from flows.project import whole_files
from flows.project.environment import Project
from pipelines.config.settings import FORMAT


def keep(project: Project, model: str, pin: Path) -> None:
    """Note what outlives the pin in this file, if there is one."""
    if not pin.is_file():
        return
    found = json.loads(pin.read_text(encoding="utf-8"))
    names = [entry["name"] for entry in found.get("files", [])]
    content = {"format": FORMAT, "files": names, "edges": found.get("edges")}
    whole_files.write(_path(project, model), json.dumps(content) + "\n")


def files(project: Project, model: str) -> list[str]:
    """The names of the files, in the order of their arrival."""
    return list(_read(project, model).get("files", []))


def edges(project: Project, model: str) -> dict[str, Any] | None:
    """The edges of its split by time, if they move."""
    return _read(project, model).get("edges")


def _read(project: Project, model: str) -> dict[str, Any]:
    try:
        found = json.loads(_path(project, model).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(found) if found.get("format") == FORMAT else {}


def _path(project: Project, model: str) -> Path:
    return project.state / f"unpinned-{model}.json"
