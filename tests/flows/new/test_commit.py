"""`ratchet new --commit`: one commit of what was written, or nothing written."""

from pathlib import Path
from typing import Any

import pytest

from flows.new.new import new
from flows.new.wanted import Wanted
from flows.project.environment import Project
from pipelines.errors import RatchetError, RequestError
from tests.flows.new.test_new import file, orders
from tests.support.clone import edit, git


@pytest.fixture
def small(tmp_path, monkeypatch) -> Project:
    """A repository of the few files that `ratchet new` needs; git knows who commits."""
    root = tmp_path / "project"
    (root / "models").mkdir(parents=True)
    (root / "data").mkdir()
    (root / "data" / ".gitignore").write_text("*\n")
    (root / "dvc.yaml").write_text("vars:\n  - models: []\n\nstages: {}\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "first")
    monkeypatch.chdir(root)
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_NAME", "test")
        monkeypatch.setenv(f"GIT_{who}_EMAIL", "test@localhost")
    return Project(root, root / ".ratchet", "", "")


def committing(small: Project, path: Path, name: str = "kept", **more: Any) -> dict[str, Any]:
    return new(small, Wanted(name, path, "ordered", [], [], commit=True, **more))


def test_commit_takes_what_was_written_and_nothing_else(small, tmp_path):
    root, path = small.root, file(tmp_path, orders())
    (root / "staged.txt").write_text("staged by somebody\n")
    git(root, "add", "staged.txt")
    found = committing(small, path)
    assert found["commit"] == git(root, "rev-parse", "HEAD")
    assert git(root, "show", "-s", "--format=%s") == "Add the model kept"
    listed = git(root, "show", "--name-only", "--format=").splitlines()
    assert listed == ["dvc.yaml", "models/kept.py", "models/kept.yaml"]
    assert git(root, "status", "--porcelain") == "A  staged.txt"
    new(small, Wanted("later", path, "ordered", [], []))  # not committed by itself,
    assert committing(small, path, "later", force=True)["commit"]  # but all of it afterwards
    assert git(root, "status", "--porcelain") == "A  staged.txt"


@pytest.mark.parametrize(
    ("prepare", "problem"),
    [
        (lambda root: git(root, "config", "user.useConfigOnly", "true"), "git does not know who you are"),
        (lambda root: (root / ".git/MERGE_HEAD").write_text(f"{git(root, 'rev-parse', 'HEAD')}\n"), "while a merge is"),
        (lambda root: edit(root / "dvc.yaml", "stages:", "# mine\nstages:"), "dvc.yaml has other changes"),
        (lambda root: (root / ".git").rename(root / "gone"), "is in no git repository"),
    ],
)
def test_where_git_could_not_commit_nothing_is_written(small, tmp_path, monkeypatch, prepare, problem):
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    if "who" in problem:
        for who in ("AUTHOR", "COMMITTER"):
            monkeypatch.delenv(f"GIT_{who}_NAME")
            monkeypatch.delenv(f"GIT_{who}_EMAIL")
    prepare(small.root)
    with pytest.raises(RequestError, match=problem):
        committing(small, file(tmp_path, orders()))
    assert not (small.root / "models" / "kept.yaml").exists()
    assert not (small.root / "data" / "incoming" / "kept").exists()


def test_a_commit_that_a_hook_refuses_is_told(small, tmp_path):
    hook = small.root / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho not today >&2\nexit 1\n")
    hook.chmod(0o755)
    with pytest.raises(RatchetError, match="kept are written, but not committed: git commit: not today"):
        committing(small, file(tmp_path, orders()))


def test_a_dry_run_has_nothing_to_commit(small, tmp_path):
    with pytest.raises(RequestError, match="nothing to commit"):
        committing(small, file(tmp_path, orders()), dry_run=True)
