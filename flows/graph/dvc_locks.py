"""DVC's own locks: taken by us, and usable again after a kill."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from flows.project.environment import Project


@contextmanager
def locked(project: Project) -> Iterator[None]:
    """Hold DVC's locks: meanwhile nothing enters the cache. A stage does not hold one while its command runs."""
    from dvc.repo import Repo, lock_repo

    trees = [project.home, project.worktree] if (project.worktree / ".dvc").is_dir() else [project.home]
    with ExitStack() as stack:
        for tree in trees:
            mend_rwlock(tree / ".dvc" / "tmp")
            stack.enter_context(lock_repo(stack.enter_context(Repo(str(tree), _wait_for_lock=True))))
        yield


def mend_rwlock(folder: Path) -> None:
    """Make DVC's table of readers and writers usable again.

    DVC does not write it by rename: a kill leaves it empty or cut short, and then every command fails until it is
    removed. It names processes only by their number, which another process may have by now.
    """
    from dvc.lock import make_lock

    path = folder / "rwlock"
    if not path.exists():
        return
    with make_lock(str(folder / "rwlock.lock"), tmp_dir=str(folder), wait=True):
        with suppress(ValueError):
            if not _held_by_strangers(json.loads(path.read_text(encoding="utf-8")), path.stat().st_mtime):
                return
        path.unlink()


def _held_by_strangers(table: dict[str, Any], written: float) -> bool:
    """Whether an entry's process began after the table was last written: then it was never DVC."""
    import psutil

    holders = [*table.get("write", {}).values(), *(one for many in table.get("read", {}).values() for one in many)]
    for holder in holders:
        with suppress(psutil.Error):
            if psutil.Process(int(holder["pid"])).create_time() > written + 1:
                return True
    return False
