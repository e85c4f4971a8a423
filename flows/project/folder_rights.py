"""Rights of folders: what a clone keeps is open to its owner alone, unless RATCHET_SHARED=1 says otherwise.

The folders that hold it are closed (0700) at the beginning of each command; so it does not matter by which process,
MLflow's server or DVC, and under which umask a file in them was written. The databases are 0600 besides.
"""

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import RequestError

if TYPE_CHECKING:  # which calls this
    from flows.project.environment import Project

OTHERS = 0o077  # the rights that are taken away


def folders(project: "Project") -> list[Path]:
    """Those that are closed: the state folder, MLflow's store with the ledger, DVC's cache, what stages read and make.

    What arrives is left as its senders need it.
    """
    data = [path for path in (project.root / "data").glob("*") if path.is_dir() and path.name != "incoming"]
    dvc = [project.home / ".dvc" / name for name in ("cache", "tmp")]
    return [project.state, project.home / "mlflow", *dvc, *data]


def close(project: "Project") -> None:
    """Take the rights of others from the folders that are ours; those that a first run fills are made.

    Raises RequestError if RATCHET_STATE names a folder that others can read and that is not ours alone to close.
    """
    _check_state(project)
    for folder in folders(project):
        if folder.parent == project.home / ".dvc" and folder.parent.is_dir():
            folder.mkdir(mode=0o700, exist_ok=True)
        _close(folder)
    for database in (project.mlflow_database.parent, project.prefect_home):
        for path in database.glob("*.db*"):
            _close(path)


def opened(project: "Project") -> list[Path]:
    """The folders that others can read all the same: of another owner, say."""
    return [folder for folder in folders(project) if folder.exists() and _mode(folder) & OTHERS]


def _check_state(project: "Project") -> None:
    """A folder that somebody has made for other things is not closed behind his back."""
    state = project.state
    known = not state.exists() or state == project.home / ".ratchet" or (state / "locks").is_dir()
    if known or not _mode(state) & OTHERS or not any(state.iterdir()):
        return
    raise RequestError(
        f"RATCHET_STATE is {state}, which other users can open and which holds other things.",
        "Name a folder of its own, or one that nobody else can read; RATCHET_SHARED=1 if others may read all.",
    )


def _close(path: Path) -> None:
    try:
        status = path.lstat()
        if stat.S_IMODE(status.st_mode) & OTHERS and status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode):
            path.chmod(stat.S_IMODE(status.st_mode) & ~OTHERS)
    except OSError:  # gone, or on a disk that knows no rights: `ratchet doctor` says what is open
        return


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
