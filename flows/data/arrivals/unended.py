"""Texts whose last line has no end: each is taken once it has not grown for the time that its model declares."""

import time
from collections.abc import Callable
from pathlib import Path

from flows.data.arrivals import checksums, scan
from flows.project.environment import Project
from pipelines.ingest import Ingest
from pipelines.readers import sources

PATIENCE = 15.0  # seconds that a command waits for such a file, rather than being repeated


def waiting(project: Project, ingest: Ingest) -> dict[Path, float]:
    """The files that wait for nothing else, and how many seconds each still has to rest."""
    source = ingest.source
    path = scan.place(project, source)
    if source.startswith("builtin:") or sources.followed(source) or not scan.only_grows(source) or not path.is_dir():
        return {}
    there = [one for one in scan.listed(path, scan.within(project, source)) if not scan.withdrawn(one)]
    left = {one: scan.rests(one.stat(), ingest.quiet) for one in there if scan.is_unended(one)}
    return {one: seconds for one, seconds in left.items() if seconds > 0 and not checksums.promise(one)}


def told(project: Project, ingest: Ingest) -> list[str]:
    """The same in words, for people."""
    return [scan.unended(path, seconds, ingest.quiet) for path, seconds in waiting(project, ingest).items()]


def wait(project: Project, ingest: Ingest, notice: Callable[[str], None]) -> None:
    """Wait for such files, if that takes no longer than PATIENCE."""
    left = waiting(project, ingest)
    seconds = max(left.values(), default=0.0)
    if 0 < seconds <= PATIENCE:
        names = ", ".join(path.name for path in left)
        notice(f"waiting for {seconds:.0f} s: {names}: the last line has no end, so it may still be written")
        time.sleep(seconds)
