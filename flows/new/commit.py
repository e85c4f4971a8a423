"""Commit: what `ratchet new` wrote becomes one commit, with nothing else in it."""

from collections.abc import Sequence
from pathlib import Path

from flows.graph import model_list
from flows.project import git
from flows.project.environment import Project
from pipelines.errors import RequestError

UNDER_WAY = {"MERGE_HEAD": "a merge", "CHERRY_PICK_HEAD": "a cherry-pick", "REVERT_HEAD": "a revert"}
WITHOUT = "Or leave out --commit, and commit by yourself."


def check(project: Project, model: str) -> None:
    """Raises RequestError if git could not commit, or if dvc.yaml has other changes: they would go along."""
    if not git.ask(project.root, "rev-parse", "--git-dir"):
        raise RequestError(f"{project.root} is in no git repository, so --commit cannot commit.", WITHOUT)
    for name, what in UNDER_WAY.items():
        if git.ask(project.root, "rev-parse", "-q", "--verify", name):
            raise RequestError(f"--commit cannot commit while {what} is under way.", f"End it first. {WITHOUT}")
    for name in ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT"):
        done = git.run(project.root, "var", name)
        if done.returncode:
            raise RequestError(
                "--commit cannot commit, because git does not know who you are.",
                f"Tell it with `git config user.name NAME` and `git config user.email ADDRESS`. {WITHOUT}",
            )
    now = (project.root / "dvc.yaml").read_text(encoding="utf-8").rstrip("\n")
    committed = git.ask(project.root, "show", "HEAD:./dvc.yaml")
    if committed and model_list.with_name(now, model) != model_list.with_name(committed, model):
        raise RequestError(
            "dvc.yaml has other changes that are not committed: --commit would commit them too.",
            f"Commit them first. {WITHOUT}",
        )


def commit(project: Project, model: str, paths: Sequence[Path]) -> str:
    """Commit these files, and nothing else that is staged; returns the commit, "" if they are committed already."""
    names = [str(path) for path in paths]
    failed = f"The files of {model} are written, but not committed"
    advice = f"Commit {', '.join(names)} by yourself."

    def do(*arguments: str) -> str:
        return git.do(project.root, *arguments, failed=failed, advice=advice, variables=git.LITERAL)

    do("add", "--", *names)
    if not do("status", "--porcelain", "--", *names):
        return ""
    do("commit", "--quiet", "--only", "-m", f"Add the model {model}", "--", *names)
    return do("rev-parse", "HEAD")
