"""The worktree of scheduled runs: a real git repository, a person who edits beside it, and interruptions."""

import shutil

import pytest

from flows.graph import worktree
from flows.project import environment
from flows.project.environment import Project
from pipelines.errors import RequestError
from tests.support.clone import git
from tests.support.world import World

PIN = "data/pets/pin.json"


def commit(root, message="work"):
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", message)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def project(tmp_path, begun, monkeypatch):
    """A clone with one commit on main, and its worktree."""
    root = tmp_path / "clone"
    shutil.copytree(begun, root)
    monkeypatch.chdir(root)
    World(root).declare()
    (root / ".gitignore").write_text("/.ratchet/\n")
    (root / "data" / "pets").mkdir(parents=True)
    (root / PIN).write_text("pin 1")
    (root / "dvc.lock").write_text("schema: '2.0'\n")
    commit(root)
    (root / ".ratchet" / "locks").mkdir(parents=True)
    found = Project(root, root / ".ratchet", "", "")
    worktree.ensure(found)
    return found


def inside(project):
    """The project as a run in the worktree has it."""
    return Project(project.worktree, project.state, "", "", clone_root=project.root)


def test_it_is_a_worktree_of_the_clone_and_shares_its_cache_and_its_stores(project, monkeypatch):
    assert environment.clone_of(project.worktree) == project.root
    assert environment.clone_of(project.root) == project.root
    assert f"dir = {project.root / '.dvc' / 'cache'}" in (project.worktree / ".dvc" / "config.local").read_text()
    monkeypatch.chdir(project.worktree)
    monkeypatch.delenv("RATCHET_STATE", raising=False)
    found = environment.find()
    assert (found.root, found.home, found.state) == (project.worktree, project.root, project.state)
    assert found.mlflow_database == project.mlflow_database
    assert found.clone == project.clone


def test_the_folder_that_a_person_edits_and_its_branch_are_never_touched(project):
    before = git(project.root, "rev-parse", "main"), (project.root / PIN).read_text()
    (project.root / "models" / "pets.yaml").write_text("in the middle of an edit")
    (project.worktree / PIN).write_text("pin 2")
    assert worktree.commit(inside(project), "pets", "accepted: version 2")
    worktree.update(project)
    assert (git(project.root, "rev-parse", "main"), (project.root / PIN).read_text()) == before
    assert (project.root / "models" / "pets.yaml").read_text() == "in the middle of an edit"
    assert git(project.root, "status", "--porcelain") == "M models/pets.yaml"
    assert "in the middle" not in (project.worktree / "models" / "pets.yaml").read_text()


def test_each_move_of_the_data_is_a_commit_and_nothing_moved_is_none(project):
    assert worktree.commit(inside(project), "pets", "unchanged: version 1") == ""
    (project.worktree / PIN).write_text("pin 2")
    first = worktree.commit(inside(project), "pets", "accepted: version 2")
    (project.worktree / PIN).write_text("pin 3")
    second = worktree.commit(inside(project), "pets", "rejected: version 3")
    assert git(project.root, "show", f"{first}:{PIN}") == "pin 2"
    assert git(project.root, "show", f"{second}:{PIN}") == "pin 3"
    assert git(project.root, "log", "-2", "--format=%s", worktree.BRANCH).splitlines() == [
        "pets: rejected: version 3",
        "pets: accepted: version 2",
    ]


def test_a_run_in_the_clone_itself_commits_nothing(project):
    (project.root / PIN).write_text("pin 2")
    assert worktree.commit(project, "pets", "accepted: version 2") == ""
    assert git(project.root, "log", "--format=%s") == "work"


def test_an_update_takes_code_and_settings_and_keeps_the_pins(project):
    (project.worktree / PIN).write_text("pin 2")  # by a run that died before it could commit
    (project.root / "models" / "pets.py").write_text('"""Edited."""\n')
    (project.root / PIN).write_text("pin of somebody's own run")
    (project.root / "models" / "other.yaml").write_text("new\n")
    tip = commit(project.root)
    assert worktree.behind(project)
    assert worktree.update(project)
    assert not worktree.behind(project)
    assert not worktree.update(project)
    assert (project.worktree / "models" / "pets.py").read_text() == '"""Edited."""\n'
    assert (project.worktree / "models" / "other.yaml").exists()
    assert (project.worktree / PIN).read_text() == "pin 2"
    assert tip in git(project.root, "log", "-1", "--format=%P", worktree.BRANCH).split()
    assert git(project.worktree, "status", "--porcelain") == ""


def test_merging_the_branch_brings_the_pins_to_whoever_wants_them(project):
    (project.root / "models" / "pets.py").write_text('"""Edited."""\n')
    commit(project.root)
    worktree.update(project)
    (project.worktree / PIN).write_text("pin 2")
    worktree.commit(inside(project), "pets", "accepted: version 2")
    git(project.root, "merge", "-q", "--no-edit", worktree.BRANCH)
    assert (project.root / PIN).read_text() == "pin 2"


def test_an_update_that_was_interrupted_is_done_again(project):
    (project.root / "models" / "pets.py").write_text('"""Edited."""\n')
    commit(project.root)
    worktree.update(project)
    (project.worktree / "models" / "pets.py").write_text("half of it")  # what a killed reset leaves
    worktree.update(project)
    assert (project.worktree / "models" / "pets.py").read_text() == '"""Edited."""\n'


def test_a_worktree_whose_folder_was_deleted_is_made_again_with_its_data(project):
    (project.worktree / PIN).write_text("pin 2")
    worktree.commit(inside(project), "pets", "accepted: version 2")
    shutil.rmtree(project.worktree)
    worktree.ensure(project)
    assert (project.worktree / PIN).read_text() == "pin 2"


def test_another_branch_can_be_declared(project, monkeypatch):
    git(project.root, "branch", "release")
    monkeypatch.setenv("RATCHET_BRANCH", "release")
    assert worktree.declared(project) == "release"
    monkeypatch.setenv("RATCHET_BRANCH", "nowhere")
    with pytest.raises(RequestError, match=r"no branch 'nowhere'.*RATCHET_BRANCH"):
        worktree.declared(project)


def test_without_git_it_is_said_what_is_missing(tmp_path):
    with pytest.raises(RequestError, match="no branch main or master"):
        worktree.ensure(Project(tmp_path, tmp_path / ".ratchet", "", ""))
