"""The working tree of scheduled runs: a git worktree of its own, never the folder that a person edits.

It has code and settings of the declared branch (RATCHET_BRANCH, else main or master), and its own pins and dvc.lock.
These change with runs, and each change is a commit on the branch `ratchet/schedule`: the history of the data. A new
commit of the declared branch becomes the second parent there, so `git merge ratchet/schedule` brings the pins to a
person's branch.
"""

import re
from pathlib import Path

from flows.graph import pipeline
from flows.graph.provenance import IDENTITY
from flows.project import environment, git, locks, scratch
from flows.project.environment import Project
from pipelines.errors import RequestError

BRANCH = "ratchet/schedule"
OWN = ("dvc.lock", "data/*/pin.json", "data/*/source.dvc", "data/*/fingerprint.json")  # what runs write
NAMED = re.compile(r"\w[\w./+@#-]*")  # of a branch: it becomes an argument of git's, and must not read as an option
USUAL = ("main", "master")


def ensure(project: Project) -> Path:
    """The worktree, made if it is missing, at the head of the declared branch. Raises RequestError without git."""
    tree, tip = project.worktree, head(project)
    if not (tree / ".git").exists():
        _git(project.home, "worktree", "prune")
        if not git.ask(project.home, "rev-parse", "-q", "--verify", f"refs/heads/{BRANCH}"):
            _git(project.home, "branch", "--no-track", BRANCH, tip)
        _git(project.home, "worktree", "add", "--quiet", "--force", str(tree), BRANCH)
    pipeline.share(project, tree)
    update(project)
    return tree


def declared(project: Project) -> str:
    """The name of the branch that scheduled runs follow."""
    wanted = environment.branch()
    if wanted and not NAMED.fullmatch(wanted):
        raise RequestError(
            f"RATCHET_BRANCH is {wanted[:80]!r}, which is not a branch name.", "Use a name that `git branch` lists."
        )
    for name in (wanted,) if wanted else USUAL:
        if git.ask(project.home, "rev-parse", "-q", "--verify", f"{name}^{{commit}}"):
            return name
    found = f"no branch {wanted!r}" if wanted else "no branch main or master"
    raise RequestError(
        f"Scheduled runs follow a git branch, but there is {found} in {project.home}.",
        "Commit your work there, or name the branch in RATCHET_BRANCH.",
    )


def head(project: Project) -> str:
    """The commit of the declared branch."""
    return _git(project.home, "rev-parse", f"{declared(project)}^{{commit}}")


def behind(project: Project) -> bool:
    """Whether the declared branch has commits that the worktree lacks."""
    return bool(git.ask(project.worktree, "rev-list", "-1", head(project), f"^{BRANCH}"))


def update(project: Project) -> bool:
    """Take over code and settings of the declared branch; returns whether there was anything to take.

    No run may be active in the worktree. After an interruption the next call does it again.
    """
    tree = project.worktree
    with locks.hold(project, "worktree", "updating the worktree of scheduled runs"):
        news = behind(project)
        if news or _edited(tree):
            _advance(project, head(project), f"Take over {declared(project)}")
            _git(tree, "reset", "--quiet", "--hard", BRANCH)
    return news


def commit(project: Project, model: str, what: str) -> str:
    """Commit the pins and dvc.lock after a run; returns the commit, "" elsewhere or if nothing changed."""
    if project.root != project.worktree:
        return ""
    with locks.hold(project, "worktree", "committing the data of a scheduled run"):
        paths = _own(project.root)
        _git(project.root, "add", "--force", "--", *paths)
        if not git.ask(project.root, "status", "--porcelain", "--untracked-files=no", "--", *paths):
            return ""
        unsigned = ("-c", "commit.gpgsign=false")
        _git(project.root, *unsigned, "commit", "--quiet", "--no-verify", "-m", f"{model}: {what}", "--", *paths)
        return _git(project.root, "rev-parse", "HEAD")


def _advance(project: Project, tip: str, message: str) -> None:
    """Move the branch to a new commit: the files of `tip`, with the worktree's own pins and dvc.lock."""
    tree = project.worktree
    with scratch.folder("index") as folder:
        variables = {"GIT_INDEX_FILE": str(folder / "index")}
        _git(tree, "read-tree", tip, variables=variables)
        _git(tree, "add", "--force", "--", *_own(tree), variables=variables)
        made = _git(tree, "write-tree", variables=variables)
    parents = ["-p", _git(tree, "rev-parse", BRANCH), "-p", tip]
    new = _git(tree, "commit-tree", made, *parents, "-m", message, variables=IDENTITY)
    _git(tree, "update-ref", f"refs/heads/{BRANCH}", new)


def _edited(tree: Path) -> bool:
    """Whether code or settings differ from the commit, because a reset was interrupted or somebody edited here."""
    others = [f":(exclude,glob){pattern}" for pattern in OWN]
    return bool(_git(tree, "status", "--porcelain", "--untracked-files=no", "--", ".", *others))


def _own(tree: Path) -> list[str]:
    return sorted(str(path.relative_to(tree)) for pattern in OWN for path in tree.glob(pattern))


def _git(folder: Path, *arguments: str, variables: dict[str, str] | None = None) -> str:
    """A command that must succeed. Raises RatchetError."""
    failed, advice = f"git failed in {folder}", "Check it with `git status` and `git worktree list`, and try again."
    return git.do(folder, *arguments, failed=failed, advice=advice, variables=IDENTITY | (variables or {}))
