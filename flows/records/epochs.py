"""Follow the epochs of a training through the file that it writes."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

from flows.processes.watch import polled

Epoch = dict[str, float]  # epoch, train/loss, validation/loss, ...


def read(path: Path) -> list[Epoch]:
    """The epochs that are completely written; [] if there is no file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    lines = text[: text.rfind("\n") + 1].splitlines()
    return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(lines)]


def kept(folder: Path) -> int:
    """The epochs in the checkpoint of a training that was interrupted, in data/<model>/; 0 if there is none."""
    import numpy as np

    from pipelines.training.checkpoints import ABOUT

    try:
        with np.load(folder / "checkpoint.npz", allow_pickle=False) as file:
            return int(json.loads(file[ABOUT].tobytes())["epoch"])
    except (OSError, ValueError, KeyError, BadZipFile):  # none, or one that training will not take either
        return 0


@contextmanager
def followed(path: Path, report: Callable[[list[Epoch]], None], only: bool = True) -> Iterator[None]:
    """While the block runs, call `report` from a thread with the epochs that are new since its last call.

    only: False for a block that trains nothing, so that nothing is followed.

    A file of an earlier training, already there at the start, is not reported.
    """
    if not only:
        yield
        return
    stale, seen = _identity(path), 0

    def look(last: bool) -> None:
        nonlocal seen
        found = read(path) if _identity(path) != stale else []
        if len(found) > seen:
            report(found[seen:])
            seen = len(found)

    with polled(look, "epochs"):
        yield


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is, and when it was last written."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
