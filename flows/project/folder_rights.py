"""Rights of folders: only the owner can open a clone's folders, unless RATCHET_SHARED=1 is set.

Each command closes the folders (0700) when it starts. So it does not matter which process (MLflow's server or DVC)
wrote a file in them, and under which umask. In addition, the databases are 0600.
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
    """The folders to close: the state folder, MLflow's store with the ledger, DVC's cache, the files of the stages.

    Folders for arriving files stay as their senders need them.
    """
    data = [path for path in (project.root / "data").glob("*") if path.is_dir() and path.name != "incoming"]
    dvc = [project.home / ".dvc" / name for name in ("cache", "tmp")]
    return [project.state, project.home / "mlflow", *dvc, *data]


def close(project: "Project") -> None:
    """Remove the rights of others from our folders, and make the folders that a first run fills.

    Raises RequestError if RATCHET_STATE names a folder that others can read and that also holds other files.
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
    """The folders that others can still read, for example because of another owner."""
    return [folder for folder in folders(project) if folder.exists() and _mode(folder) & OTHERS]


def _check_state(project: "Project") -> None:
    """A folder with other files is not closed without asking its owner."""
    state = project.state
    known = not state.exists() or state == project.home / ".ratchet" or (state / "locks").is_dir()
    if known or not _mode(state) & OTHERS or not any(state.iterdir()):
        return
    raise RequestError(
        f"RATCHET_STATE is {state}, which other users can open and which holds other files.",
        "Set it to a new folder, or to one that nobody else can read. If others may read it, set RATCHET_SHARED=1.",
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
