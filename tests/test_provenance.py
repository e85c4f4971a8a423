"""Provenance: the tree of a run is a commit, made without touching the user's branch, index or files."""

import os
from pathlib import Path

import pytest

from flows import provenance
from flows.environment import Project
from tests.clone import git


@pytest.fixture
def project(tmp_path) -> Project:
    """A repository with one commit, a staged change and an unstaged one."""
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / ".gitignore").write_text("ignored/\n")
    for name in ("dvc.lock", "staged.py", "edited.py"):
        (tmp_path / name).write_text("one\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return Project(tmp_path, tmp_path / ".ratchet", "", "")


def files(project: Project, commit: str) -> list[str]:
    return git(project.root, "ls-tree", "-r", "--name-only", commit).splitlines()


def kept(project: Project, model: str = "pets") -> dict[str, str]:
    return provenance.keep(project, model, provenance.tree(project))


def test_a_clean_tree_is_head_itself(project):
    assert kept(project) == {
        "ratchet.commit": git(project.root, "rev-parse", "HEAD"),
        "ratchet.ref": "refs/ratchet/pets/1",
    }


def test_what_was_edited_staged_removed_or_added_is_in_the_commit_and_the_user_sees_no_difference(project):
    (project.root / "staged.py").write_text("two\n")
    git(project.root, "add", "staged.py")
    (project.root / "staged.py").write_text("three\n")
    (project.root / "edited.py").unlink()
    (project.root / "new.py").write_text("new\n")
    before = [
        git(project.root, *command.split()) for command in ("status --porcelain", "diff --cached", "log --oneline")
    ]
    commit = kept(project)["ratchet.commit"]
    assert files(project, commit) == [".gitignore", "dvc.lock", "new.py", "staged.py"]
    assert git(project.root, "show", f"{commit}:staged.py") == "three"
    assert git(project.root, "rev-parse", f"{commit}^") == git(project.root, "rev-parse", "HEAD")
    after = [
        git(project.root, *command.split()) for command in ("status --porcelain", "diff --cached", "log --oneline")
    ]
    assert after == before


def test_data_secrets_large_and_ignored_files_stay_out(project):
    (project.root / "ignored").mkdir()
    for name in ("rows.csv", ".env.local", "private.key", "ignored/a.py", "code.py"):
        (project.root / name).write_text("x\n")
    (project.root / "large.txt").write_bytes(b"x" * (provenance.MOST_BYTES + 1))
    assert set(files(project, kept(project)["ratchet.commit"])) == {
        ".gitignore", "code.py", "dvc.lock", "edited.py", "staged.py",
    }  # fmt: skip


def test_the_lock_is_that_at_the_end_of_the_run_and_the_rest_that_of_its_beginning(project):
    tree = provenance.tree(project)
    (project.root / "dvc.lock").write_text("two\n")
    (project.root / "edited.py").write_text("too late\n")
    commit = provenance.keep(project, "pets", tree)["ratchet.commit"]
    assert git(project.root, "show", f"{commit}:dvc.lock") == "two"
    assert git(project.root, "show", f"{commit}:edited.py") == "one"


def test_the_same_tree_is_kept_once_and_another_one_gets_the_next_number(project):
    (project.root / "edited.py").write_text("two\n")
    first = kept(project)
    assert kept(project) == first
    (project.root / "edited.py").write_text("three\n")
    assert kept(project)["ratchet.ref"] == "refs/ratchet/pets/2"
    assert kept(project, "other")["ratchet.ref"] == "refs/ratchet/other/1"


def test_a_change_in_the_very_moment_of_the_commit_is_seen(project):
    """Of the same size and with the same time: git looks at such a file again because the index is no younger."""
    git(project.root, "config", "core.trustctime", "false")  # the time of the inode cannot be set
    edited = project.root / "edited.py"
    at = 1_700_000_000_000_000_000
    os.utime(edited, ns=(at, at))
    git(project.root, "add", "edited.py")
    edited.write_text("two\n")
    for path in (edited, project.root / ".git" / "index"):
        os.utime(path, ns=(at, at))
    commit = kept(project)["ratchet.commit"]
    assert git(project.root, "show", f"{commit}:edited.py") == "two"


def test_a_repository_without_a_commit_and_a_folder_without_a_repository(tmp_path, project):
    git(project.root, "update-ref", "-d", "HEAD")
    assert files(project, kept(project)["ratchet.commit"])
    bare = tmp_path / "ignored" / "bare"
    bare.mkdir(parents=True)
    outside = Project(Path("/"), bare, "", "")
    assert provenance.tree(outside) == ""
    assert provenance.keep(outside, "pets", "") == {}
    assert provenance.commit(outside) == {}
