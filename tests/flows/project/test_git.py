"""git: answers as text whatever bytes they are, none where there is none, and a reason where it must succeed."""

import os

import pytest

from flows.project import git
from pipelines.errors import RatchetError


@pytest.fixture
def repository(tmp_path):
    git.do(tmp_path, "init", "-q", failed="", advice="")
    return tmp_path


def test_names_come_as_they_are_with_spaces_and_bytes_that_are_no_text(repository):
    names = [b" first", b"\xff\xfe", b"last "]
    for name in names:
        open(os.path.join(os.fsencode(repository), name), "wb").close()
    found = git.ask(repository, "ls-files", "--others", "-z").split("\0")
    assert sorted(os.fsencode(name) for name in found if name) == sorted(names)


def test_where_there_is_no_repository_or_no_git_there_is_no_answer(tmp_path, monkeypatch):
    assert git.ask(tmp_path, "rev-parse", "HEAD") == ""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git.ask(tmp_path, "--version") == ""


def test_what_must_succeed_says_why_it_did_not(repository):
    with pytest.raises(RatchetError, match=r"^It is not there: git show: fatal: .*nothing.*\. Look for it\.$"):
        git.do(repository, "show", "nothing", failed="It is not there", advice="Look for it.")


def test_variables_are_for_one_call(repository):
    assert git.do(repository, "var", "GIT_EDITOR", failed="", advice="", variables={"GIT_EDITOR": "mine"}) == "mine"
    assert "GIT_EDITOR" not in os.environ or os.environ["GIT_EDITOR"] != "mine"
