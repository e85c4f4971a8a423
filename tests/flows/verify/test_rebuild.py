"""Rebuild: the recorded commit is taken as it was recorded, or not at all."""

import zlib
from pathlib import Path

import pytest

from flows.graph import provenance
from flows.project.environment import Project
from flows.report.progress import Progress
from flows.verify import rebuild, verify
from pipelines.errors import IntegrityError, RequestError
from tests.support.clone import git


@pytest.fixture
def project(tmp_path) -> Project:
    """A repository with two commits."""
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "-q")
    for text in ("first\n", "second\n"):
        (root / "code.py").write_text(text)
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", text)
    return Project(root=root, state=root / ".ratchet", tracking="", prefect="")


def loose(project: Project, name: str) -> Path:
    return project.root / ".git" / "objects" / name[:2] / name[2:]


def test_a_commit_is_brought_whole_and_alone(project, tmp_path):
    first = git(project.root, "rev-parse", "HEAD~1")
    rebuild.clone(project, first, tmp_path / "tree")
    assert (tmp_path / "tree" / "code.py").read_text() == "first\n"
    assert git(tmp_path / "tree", "rev-parse", "HEAD") == first
    assert git(tmp_path / "tree", "status", "--porcelain") == ""


def test_a_commit_that_is_not_there_is_asked_for(project, tmp_path):
    with pytest.raises(RequestError, match=r"The recorded commit 0{12} is not in this clone\. Fetch it"):
        rebuild.clone(project, "0" * 40, tmp_path / "tree")


@pytest.mark.parametrize("what", ["HEAD:code.py", "HEAD^{tree}"])
def test_an_object_with_another_content_is_refused(project, tmp_path, what):
    """A whole object, which git itself prints without a word."""
    name, commit = git(project.root, "rev-parse", what), git(project.root, "rev-parse", "HEAD")
    path = loose(project, name)
    content = zlib.decompress(path.read_bytes())
    path.chmod(0o644)
    path.write_bytes(zlib.compress(content.replace(b"second", b"sEcond") if "code" in what else content[:-1] + b"?"))
    with pytest.raises(IntegrityError, match=f"The recorded commit {commit[:12]} cannot be read from git"):
        rebuild.clone(project, commit, tmp_path / "tree")


def test_a_ref_that_was_moved_is_told(project):
    first, second = git(project.root, "rev-parse", "HEAD~1"), git(project.root, "rev-parse", "HEAD")
    git(project.root, "update-ref", "refs/ratchet/pets/1", second)
    assert provenance.trees(project, "pets") == {"refs/ratchet/pets/1": second}

    class Shown(Progress):
        lines: list[str] = []

        def notice(self, text: str) -> None:
            self.lines.append(text)

    shown = Shown()
    verify._tell_moved(project, "pets", {"ratchet.ref": "refs/ratchet/pets/1", "ratchet.commit": second}, shown)
    assert shown.lines == []
    verify._tell_moved(project, "pets", {"ratchet.ref": "refs/ratchet/pets/1", "ratchet.commit": first}, shown)
    assert f"refs/ratchet/pets/1 was moved: it names {second[:12]}, the run recorded {first[:12]}" in shown.lines[0]
