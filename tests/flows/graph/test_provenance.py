"""Provenance: the tree of a run is a commit, made without touching the user's branch, index or files."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from flows.cli.commands.run import run_text
from flows.graph import provenance, untracked
from flows.project.environment import Project
from flows.run.first_look import one_tree
from pipelines.errors import RatchetError, RequestError
from tests.support.clone import git


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


DEFINING = (
    "code.py", "models/pets.py", "models/pets.yaml", "models/helpers/words.py", "flows/mine.py", "pipelines/mine.py",
    "dvc.yaml", "requirements.lock", ".dvc/config", "data/pets/pin.json", "data/pets/source.dvc",
)  # fmt: skip
LEFT = (
    "credentials", "id_rsa", "secrets.yaml", ".env", ".env.local", "private.key", "config.yaml", "notes.md", "rows.csv",
    "models/secrets.yaml", "models/secrets.py", "models/credentials", "models/id_rsa", "models/.env",
    "models/alone.yaml",
    "models/api_key.py", "models/id_ed25519.py", "models/Upper.yaml", "models/Upper.toml", "models/words.txt",
    "env/lib/x.py", "data/pets/source/rows.csv", "data/pets/more.json", ".dvc/config.local", "pipelines/key.pem",
    "db-password.py", "ignored/a.py",
)  # fmt: skip


def written(project: Project, names: tuple[str, ...]) -> None:
    for name in names:
        (project.root / name).parent.mkdir(parents=True, exist_ok=True)
        (project.root / name).write_text("x\n")


def test_of_untracked_files_only_what_defines_a_run_goes_in_and_is_said(project):
    written(project, DEFINING + LEFT)
    (project.root / "large.py").write_bytes(b"x" * (untracked.MOST_BYTES + 1))
    (project.root / "linked.py").symlink_to("/etc/passwd")
    tags = kept(project)
    before = {".gitignore", "dvc.lock", "edited.py", "staged.py"}
    assert set(files(project, tags["ratchet.commit"])) == before | set(DEFINING)
    assert tags["ratchet.untracked"].split(", ") == sorted(DEFINING)
    assert provenance.added(project, provenance.tree(project)) == sorted(DEFINING)


def test_what_git_tracks_goes_in_whatever_it_is_called(project):
    written(project, LEFT[:5])
    git(project.root, "add", "--force", *LEFT[:5])
    git(project.root, "commit", "-qm", "a person's own decision")
    (project.root / LEFT[0]).write_text("changed\n")
    tags = kept(project)
    assert set(LEFT[:5]) <= set(files(project, tags["ratchet.commit"]))
    assert "ratchet.untracked" not in tags


@pytest.mark.parametrize(
    ("needed", "named"),
    [
        ("models/words.txt", "models/words.txt"),
        ("assets", "assets/deep/words.txt"),
        ("models/secrets.py", "models/secrets.py"),
        ("models/secret_santa.yaml", "models/secret_santa.yaml"),
    ],
)
def test_a_dependency_that_would_be_left_out_stops_the_run_and_is_named(project, needed, named):
    written(project, (named, "models/secret_santa.py", *DEFINING))
    with pytest.raises(RequestError, match=f"{named} is not tracked by git, .* git add {named}"):
        untracked.check(project, [project.root / needed])
    untracked.check(
        project, [*(project.root / name for name in DEFINING), project.root / "gone.py", Path("/etc/passwd")]
    )
    git(project.root, "add", "--force", named)
    untracked.check(project, [project.root / needed])


def test_a_run_looks_before_its_first_stage(project):
    written(project, ("models/words.txt",))
    opened = SimpleNamespace(model="pets", sources=lambda: [project.root / "models/words.txt"])
    with (
        pytest.raises(RequestError, match=r"models/words\.txt is not tracked"),
        one_tree.held(project, opened, lambda: False),
    ):
        raise AssertionError("a stage was run")


def test_the_end_of_a_run_says_what_was_not_committed():
    found = {"model": "m", "decision": "accepted", "reason": "r", "version": 1, "champion": 1, "metrics": {}}
    found |= {"seconds": 1.0, "next": "n", "untracked": [], "unreached": ""}
    assert "recorded" not in run_text(found)
    names = [f"models/{letter}.py" for letter in "abcdefghij"]
    said = run_text(found | {"untracked": names})
    assert "recorded  not committed, and in the run's own commit: models/a.py, models/b.py" in said
    assert "models/h.py and 2 more" in said


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


GRAPH = "vars:\n  - models: [{}]\n\nstages: {{}}{}\n"


@pytest.fixture
def pets(tmp_path) -> Project:
    """A repository with the models pets and cars, all of it committed but the data of pets."""
    git(tmp_path, "init", "-q", "-b", "main")
    for name in ("models/pets.yaml", "models/pets.py", "models/cars.yaml", "requirements.lock", "pipelines/train.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("one\n")
    (tmp_path / "dvc.yaml").write_text(GRAPH.format("pets, cars", ""))
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    (tmp_path / "data" / "pets").mkdir(parents=True)
    (tmp_path / "data" / "pets" / "pin.json").write_text("{}")
    return Project(tmp_path, tmp_path / ".ratchet", "", "")


def uncommitted(project: Project) -> list[str]:
    read = ["pipelines", "models/pets.py", "data/pets/pin.json"]
    needed = [*(project.root / name for name in read), Path("/elsewhere/words.txt")]
    return provenance.uncommitted(project, "pets", needed)


def test_data_other_models_and_the_list_of_models_are_no_uncommitted_files_of_a_model(pets):
    (pets.root / "models" / "cars.yaml").write_text("two\n")
    (pets.root / "models" / "bikes.yaml").write_text("new\n")
    (pets.root / "dvc.yaml").write_text(GRAPH.format("pets, cars, bikes", ""))
    (pets.root / "dvc.lock").write_text("made\n")
    cached = pets.root / "pipelines" / "__pycache__" / "train.pyc"
    cached.parent.mkdir()
    cached.write_text("byte code")
    assert uncommitted(pets) == []


def test_uncommitted_is_what_the_stages_of_a_model_read_and_the_last_commit_lacks(pets):
    (pets.root / "models" / "pets.yaml").write_text("two\n")
    (pets.root / "models" / "pets.py").unlink()
    (pets.root / "requirements.lock").write_text("two\n")
    git(pets.root, "add", "requirements.lock")  # staged is not committed
    (pets.root / "pipelines" / "new.py").write_text("new\n")
    (pets.root / "dvc.yaml").write_text(GRAPH.format("pets, cars", " # edited"))
    names = ["dvc.yaml", "models/pets.py", "models/pets.yaml", "pipelines/new.py", "requirements.lock"]
    assert uncommitted(pets) == names
    git(pets.root, "add", "-A")
    git(pets.root, "commit", "-qm", "second")
    assert uncommitted(pets) == []
    (pets.root / "models" / "pets.yaml").write_text("one\n")
    git(pets.root, "add", "-A")
    (pets.root / "models" / "pets.yaml").write_text("two\n")
    assert uncommitted(pets) == []  # the file is as committed; what is staged beside it is read by no stage


def test_a_file_that_git_ignores_is_in_no_commit(pets):
    (pets.root / ".gitignore").write_text("secret.py\n")
    (pets.root / "pipelines" / "secret.py").write_text("new\n")
    assert uncommitted(pets) == ["pipelines/secret.py"]


def test_without_git_or_a_commit_nothing_is_uncommitted(pets, tmp_path_factory):
    (pets.root / "models" / "pets.yaml").write_text("two\n")
    git(pets.root, "checkout", "-q", "--orphan", "empty")
    assert uncommitted(pets) == []
    outside = tmp_path_factory.mktemp("outside")
    assert provenance.uncommitted(Project(outside, outside / ".ratchet", "", ""), "pets", []) == []


def test_a_repository_in_which_git_cannot_compare_stops_the_run(pets):
    (pets.root / ".git" / "index").write_bytes(b"no index")
    with pytest.raises(RatchetError, match="could not compare the files of this run with the last commit"):
        uncommitted(pets)
