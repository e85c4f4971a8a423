"""Every DVC hash that this project still names, in its current files and in all that git keeps.

One hash too many keeps an unneeded file; one too few loses data. So any text that looks like a hash counts, and a file
that cannot be read is an error.
"""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from flows.project import git
from flows.project.environment import Project
from flows.records.earlier_runs import hashes
from pipelines.errors import RatchetError

SKIPPED = {".git", ".dvc", ".venv", "__pycache__"}  # folders without DVC files


def named(project: Project, without: Collection[str]) -> set[str]:
    """The hashes in dvc.lock and .dvc files of the working trees and of every git ref except those of `without`, and in
    the entries that runs keep apart for this machine. Raises RatchetError if git fails.
    """
    found: set[str] = set()
    for path in [*project.state.glob("dvc-lock-*.json"), *_here(project)]:  # the first: see flows/graph/lockfile.py
        found |= hashes(_read(path))
    for text in _in_git(project, without):
        found |= hashes(text)
    return found


def _names_hashes(path: str) -> bool:
    name = path.rpartition("/")[2]
    return name == "dvc.lock" or (name.endswith(".dvc") and name != ".dvc")


def _here(project: Project) -> Iterator[Path]:
    """The files of all working trees, without MLflow's store, where every past run names its data."""
    left_out = {project.mlflow_artifacts, project.state}
    for root in {project.root, *(Path(folder) for folder in _worktrees(project)["worktree"])}:
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if name not in SKIPPED and Path(folder, name) not in left_out]
            yield from (Path(folder, name) for name in filter(_names_hashes, files))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:  # deleted after the listing: it names nothing
        return ""
    except OSError as error:
        raise RatchetError(
            f"{path} cannot be read, so nobody knows which data it needs: {error.strerror}.",
            "No data were deleted. Make it readable, and prune again.",
        ) from error


def _in_git(project: Project, without: Collection[str]) -> Iterator[str]:
    listed = _git(project, "for-each-ref", "--format=%(objecttype)%(*objecttype) %(objectname) %(refname)")
    refs = [line.split(" ", 2) for line in listed.splitlines()]
    commits = {commit for kind, commit, ref in refs if ref not in without and "blob" not in kind}
    commits |= {commit for commit in _worktrees(project)["HEAD"] if commit.strip("0")}
    blobs = set()
    for commit in sorted(commits):
        for entry in filter(None, _git(project, "ls-tree", "-r", "-z", "--full-tree", commit).split("\0")):
            about, path = entry.split("\t", 1)
            if _names_hashes(path):
                blobs.add(about.split()[2])
    for blob in sorted(blobs):
        yield _git(project, "cat-file", "blob", blob)


def _worktrees(project: Project) -> dict[str, list[str]]:
    """The folders and the commits of all working trees of this repository."""
    found: dict[str, list[str]] = {"worktree": [], "HEAD": []}
    for line in _git(project, "worktree", "list", "--porcelain").splitlines():
        key, _, value = line.partition(" ")
        found.setdefault(key, []).append(value)
    return found


def _git(project: Project, *arguments: str) -> str:
    """git's answer; "" outside a repository. Raises RatchetError if a repository cannot be read."""
    if not any((folder / ".git").exists() for folder in (project.root, *project.root.parents)):
        return ""
    failed = "git cannot tell which data are still needed"
    advice = "No data were deleted. Check the repository with `git fsck`, and prune again."
    found = git.do(project.root, *arguments, failed=failed, advice=advice)
    return found.encode(errors="surrogateescape").decode(errors="replace")
