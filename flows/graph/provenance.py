"""Where a run comes from: the exact tree as a git commit, and the machine and packages it ran on.

A private index records the tree: the user's branch, index and files are untouched. The ref refs/ratchet/<model>/<n>
keeps it from garbage collection. Data stay out of it, because DVC has them. Untracked files go in only if they define
the run (flows/graph/untracked.py).
"""

import getpass
import json
import os
import platform
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

from flows.graph import model_list, untracked
from flows.project import git, scratch
from flows.project.environment import Project
from pipelines.errors import RatchetError
from pipelines.hardware import fingerprint

DEFINING = ("pipelines", "flows", "models", "dvc.yaml", "requirements.lock", "pyproject.toml")
NAMED = {"GIT_AUTHOR_NAME": "ratchet", "GIT_AUTHOR_EMAIL": "ratchet@localhost"}
IDENTITY = NAMED | {key.replace("AUTHOR", "COMMITTER"): value for key, value in NAMED.items()}


def commit(project: Project) -> dict[str, str]:
    """As MLflow tags; {} outside of git."""
    if not (found := head(project)):
        return {}
    return {
        "mlflow.source.name": "ratchet run",
        "mlflow.source.git.commit": found,
        "mlflow.source.git.branch": git.ask(project.root, "rev-parse", "--abbrev-ref", "HEAD"),
        "mlflow.user": getpass.getuser(),
        "ratchet.dirty": "true" if git.ask(project.root, "status", "--porcelain", "--", *DEFINING) else "false",
    }


def head(project: Project) -> str:
    """The commit of the user's branch, or "" if there is none."""
    return git.ask(project.root, "rev-parse", "-q", "--verify", "HEAD")


def tree(project: Project) -> str:
    """Write the current files to git's store; returns the tree's hash, or "" outside git."""
    index = git.ask(project.root, "rev-parse", "--git-path", "index")
    if not index:
        return ""
    with _index() as variables:
        if (project.root / index).exists():  # with what git knows of each file: only what changed is read. The time of
            # the index comes along: by it git tells which files may have changed in the very moment they were added
            shutil.copy2(project.root / index, variables["GIT_INDEX_FILE"])
        _write(project, variables, "add", "--update", "--", ".")
        if new := untracked.defining(project):
            _write(project, variables, "--literal-pathspecs", "add", "--", *new)
        return _write(project, variables, "write-tree")


def added(project: Project, tree: str) -> list[str]:
    """The files of a tree that the user's last commit does not have."""
    parent = head(project)
    if not tree or not parent:
        return []
    listed = git.ask(project.root, "diff-tree", "-r", "-z", "--name-only", "--diff-filter=A", parent, tree)
    return sorted(filter(None, listed.split("\0")))


def uncommitted(project: Project, model: str, needed: Sequence[Path]) -> list[str]:
    """The files that decide about a model and differ from the user's last commit; [] without git or a commit.

    needed: whole paths that the model's stages read. Its data do not count, because each run pins them anew; nor do the
    names of models in dvc.yaml. A file that git ignores is in no commit, so it counts. Raises RatchetError.
    """
    if not head(project):
        return []
    root, data = project.root, project.data(model)
    read = [path for path in needed if path.is_relative_to(root) and not path.is_relative_to(data)]
    named = {"requirements.lock", f"models/{model}.yaml", f"models/{model}.py"}
    paths = sorted(named | {path.relative_to(root).as_posix() for path in read} - {"dvc.yaml"})
    changed = _listed(project, "diff", "--name-only", "--relative", "--no-renames", "-z", "HEAD", "--", *paths)
    new = _listed(project, "ls-files", "--others", "-z", "--", *paths)
    graph = (root / "dvc.yaml").read_text(encoding="utf-8").rstrip("\n")
    committed = git.ask(root, "show", "HEAD:./dvc.yaml")
    same = model_list.without_names(graph) == model_list.without_names(committed)
    found = {*changed, *new, *([] if same else ["dvc.yaml"])}
    return sorted(name for name in found if "__pycache__" not in name.split("/"))


def _listed(project: Project, *arguments: str) -> list[str]:
    """The names that git lists. It must answer: else a candidate could become champion because nobody looked."""
    failed = "git could not compare the files of this run with the last commit"
    advice = "Check the repository with `git status`, and run again."
    listed = git.do(project.root, *arguments, failed=failed, advice=advice, variables=git.LITERAL)
    return list(filter(None, listed.split("\0")))


def keep(project: Project, model: str, recorded: str) -> dict[str, str]:
    """Keep a tree, with dvc.lock and fingerprint as the run left them; returns tags: the commit, its ref, and the files
    that were not committed.

    The commit has the date of its parent, so that the same tree gives the same commit and is not kept twice.
    """
    if not recorded:
        return {}
    with _index() as variables:
        _write(project, variables, "read-tree", recorded)
        made = [path for path in ("dvc.lock", str(fingerprint.path(model))) if (project.root / path).exists()]
        _write(project, variables, "add", "--force", "--", *made)
        final = _write(project, variables, "write-tree")
    parent = head(project)
    if parent and git.ask(project.root, "rev-parse", f"{parent}^{{tree}}") == final:
        made_by = parent
    else:
        date = git.ask(project.root, "show", "-s", "--format=%cI", parent) if parent else "1970-01-01T00:00:00+00:00"
        dated = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        parents = ["-p", parent] if parent else []
        message = f"The tree of a run of {model}"
        made_by = _write(project, IDENTITY | dated, "commit-tree", final, *parents, "-m", message)
    refs = _refs(project, model)
    if made_by not in refs:
        number = 1 + max(map(_number, refs.values()), default=0)
        refs[made_by] = f"refs/ratchet/{model}/{number}"
        _write(project, {}, "update-ref", refs[made_by], made_by, "0" * 40)  # fails if the name is taken meanwhile
    tags = {"ratchet.commit": made_by, "ratchet.ref": refs[made_by]}
    new = added(project, final)
    return tags | ({"ratchet.untracked": ", ".join(new)} if new else {})


def trees(project: Project, model: str) -> dict[str, str]:
    """The refs of the trees that are kept for a model, and the commit of each."""
    listed = git.ask(project.root, "for-each-ref", "--format=%(refname) %(objectname)", f"refs/ratchet/{model}/")
    return dict(line.split() for line in listed.splitlines())


def forget(project: Project, ref: str, commit: str) -> None:
    """Delete a ref, if it still names this commit; git may then remove the tree. Raises RatchetError."""
    if trees(project, ref.split("/")[2]).get(ref) != commit:
        return
    git.ask(project.root, "update-ref", "-d", ref, commit)
    if git.ask(project.root, "rev-parse", "-q", "--verify", ref) == commit:
        raise RatchetError(f"git could not delete {ref}.", "Check the repository with `git status`, and prune again.")


def machine(model_folder: Path, packages: dict[str, str]) -> dict[str, Any]:
    """What a model folder was made on and with: for definition/environment.json."""
    about = json.loads((model_folder / "model.json").read_text(encoding="utf-8"))
    return {
        "format": 1,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": fingerprint.processor(),
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "instructions": fingerprint.present()["instructions"],
        "device": about["hardware"]["device"],
        "hardware": about["hardware"],
        "packages": packages,
    }


def packages() -> dict[str, str]:
    """name -> version of what is installed here."""
    return dict(sorted((found.name.lower(), found.version) for found in distributions()))


def _number(ref: str) -> int:
    """The number of a kept tree; 0 for a ref that is not ours."""
    last = ref.rpartition("/")[2]
    return int(last) if re.fullmatch(r"[0-9]{1,18}", last) else 0


def _refs(project: Project, model: str) -> dict[str, str]:
    """Commits kept for a model, and the ref of each."""
    listed = git.ask(project.root, "for-each-ref", "--format=%(objectname) %(refname)", f"refs/ratchet/{model}/")
    return dict(reversed([line.split() for line in listed.splitlines()]))  # of two refs to one commit, the first


@contextmanager
def _index() -> Iterator[dict[str, str]]:
    with scratch.folder("index") as folder:
        yield {"GIT_INDEX_FILE": str(folder / "index")}


def _write(project: Project, variables: dict[str, str], *arguments: str) -> str:
    """A command that must succeed. Raises RatchetError."""
    failed = "git could not record the tree of this run"
    advice = "Check the repository with `git status`, and run again."
    return git.do(project.root, *arguments, failed=failed, advice=advice, variables=variables)
