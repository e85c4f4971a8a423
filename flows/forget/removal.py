"""One thing that goes, at one place."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from flows.project.environment import Project


@dataclass(frozen=True)
class Removal:
    """place: the kind, for people. what: a file or what else is changed. rows: that go there; 0 if it has no rows. do:
    takes them out; done again, it changes nothing."""

    place: str
    what: str
    rows: int
    do: Callable[[], object]


def shown(project: Project, path: Path) -> str:
    """A path as people read it: below the project, if it lies there."""
    for root in (project.root, project.home):
        if path.is_relative_to(root):
            return path.relative_to(root).as_posix()
    return str(path)
