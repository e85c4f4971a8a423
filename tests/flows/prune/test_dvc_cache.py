"""What may be removed from DVC's cache, in a real DVC project with two versions of one folder."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from flows.project.environment import Project
from flows.prune.dvc_cache import Unneeded, unneeded
from flows.prune.references import named
from flows.records.earlier_runs import hashes, made
from pipelines.errors import RatchetError
from tests.support.clone import command, git

STAGES = """
stages:
  make:
    cmd: mkdir -p out && (cat in.txt; echo own) > out/own.txt && cp common.txt out/common.txt && cp in.txt copy.txt
    deps: [in.txt, common.txt]
    outs: [out, copy.txt]
"""


OWN = {name: hashlib.md5(f"{name}own\n".encode()).hexdigest() for name in ("one", "two")}  # of out/own.txt


def repro(root: Path, content: str) -> str:
    """Make the outputs of another input; returns dvc.lock."""
    (root / "in.txt").write_text(content)
    done = command(root, "dvc", "repro", "-q")
    assert done.returncode == 0, done.stderr
    return (root / "dvc.lock").read_text()


@pytest.fixture(scope="module")
def template(tmp_path_factory) -> tuple[Path, str]:
    """A project that has made two versions, and dvc.lock of the first. Git has neither."""
    root = tmp_path_factory.mktemp("cache")
    git(root, "init", "-q", "-b", "main")
    assert command(root, "dvc", "init", "-q").returncode == 0
    (root / "dvc.yaml").write_text(STAGES)
    (root / "common.txt").write_text("the same in both")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "the stages")
    first = repro(root, "one")
    repro(root, "two")
    return root, first


@pytest.fixture
def project(template, tmp_path) -> Project:
    root = tmp_path / "project"
    shutil.copytree(template[0], root)
    return Project(root=root, state=root / ".ratchet", tracking="", prefect="")


@pytest.fixture
def first(template) -> str:
    """dvc.lock of the first version."""
    return template[1]


def objects(project: Project) -> set[str]:
    """The hashes that are in the cache."""
    found = (project.root / ".dvc" / "cache" / "files" / "md5").glob("??/*")
    return {path.parent.name + path.name for path in found}


def runs(project: Project) -> list[Path]:
    return [path for path in (project.root / ".dvc" / "cache" / "runs").rglob("*") if path.is_file()]


def would_go(project: Project, lock: str, without: tuple[str, ...] = ()) -> Unneeded:
    return unneeded(project, made(lock), named(project, without))


def of(found: Unneeded) -> set[str]:
    return {path.parent.name + path.name for path in found.objects}


def test_what_only_the_first_version_needs_goes_and_all_else_stays(project, first):
    before = objects(project)
    second = made((project.root / "dvc.lock").read_text())
    assert len(before) == 7  # of each version a folder's list and two files, and what both folders hold
    found = would_go(project, first)
    gone = of(found)
    assert found.bytes() == sum(path.stat().st_size for path in [*found.objects, *found.runs])
    assert len(found.runs) == 1
    assert found.objects[-1].suffix == ".dir"  # the last one: without it nobody knows what belongs to it
    assert found.remove() > 0
    assert gone == made(first) | {OWN["one"]}
    assert objects(project) == before - gone
    assert second <= objects(project)
    assert len(runs(project)) == 1
    assert second == made(runs(project)[0].read_text())


def test_dvc_goes_on_with_what_is_left(project, first):
    would_go(project, first).remove()
    for path in ("copy.txt", "out"):
        target = project.root / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    assert command(project.root, "dvc", "checkout", "-q").returncode == 0
    assert (project.root / "out" / "common.txt").read_text() == "the same in both"
    assert repro(project.root, "one") == first  # made anew: no earlier run is left to take it from


def test_doing_it_again_finds_nothing_and_a_kill_in_between_is_completed(project, first):
    before, found = objects(project), would_go(project, first)
    found.objects[0].unlink()
    aside = found.runs[0].parent.with_name(found.runs[0].parent.name + ".pruned")
    found.runs[0].parent.rename(aside)
    would_go(project, first).remove()
    assert objects(project) == before - of(found)
    assert not aside.exists()
    again = would_go(project, first)
    assert (again.objects, again.runs, again.remove()) == ([], [], 0)


def commit_of(project: Project, lock: str) -> str:
    """A commit whose dvc.lock is this, that nothing names yet; the working tree is left as it was."""
    root, present = project.root, (project.root / "dvc.lock").read_text()
    (root / "dvc.lock").write_text(lock)
    git(root, "add", "dvc.lock")
    commit = git(root, "commit-tree", git(root, "write-tree"), "-m", "a tree")
    git(root, "reset", "-q")
    (root / "dvc.lock").write_text(present)
    return commit


@pytest.mark.parametrize("ref", ["refs/heads/other", "refs/tags/v1", "refs/ratchet/pets/1", "refs/remotes/origin/main"])
def test_a_lock_at_any_ref_keeps_its_data_until_the_ref_is_one_that_goes(project, first, ref):
    git(project.root, "update-ref", ref, commit_of(project, first))
    assert would_go(project, first) == Unneeded()
    assert would_go(project, first, (ref,)).objects


def test_an_annotated_tag_and_a_tag_of_a_file_are_no_obstacle(project, first):
    git(project.root, "tag", "-a", "-m", "a version", "v1", commit_of(project, first))
    git(project.root, "tag", "note", git(project.root, "hash-object", "-w", "common.txt"))
    assert would_go(project, first) == Unneeded()


@pytest.mark.parametrize("committed", [True, False])
def test_another_working_tree_keeps_its_data(project, first, tmp_path, committed):
    commit = commit_of(project, first) if committed else "main"
    git(project.root, "worktree", "add", "-q", "--detach", str(tmp_path / "other"), commit)
    if committed:
        (tmp_path / "other" / "dvc.lock").unlink()
    else:
        (tmp_path / "other" / "dvc.lock").write_text(first)
    assert would_go(project, first) == Unneeded()


def test_a_file_of_dvcs_keeps_what_it_names(project, first):
    own = next(digest for digest in made(first) if not digest.endswith(".dir"))
    (project.root / "deep" / "folder").mkdir(parents=True)
    (project.root / "deep" / "folder" / "x.dvc").write_text(f"outs:\n- md5: {own}\n  hash: md5\n  path: x\n")
    assert own not in of(would_go(project, first))
    assert len(would_go(project, first).objects) == 2


def test_the_entries_that_a_run_keeps_apart_keep_their_data(project, first):
    project.state.mkdir()
    (project.state / "dvc-lock-pets.json").write_text(json.dumps({"local": first}))
    assert would_go(project, first) == Unneeded()


def test_a_file_stays_as_long_as_a_folder_that_stays_lists_it(project, first):
    """A folder that nothing names any more, but that was not asked for either."""
    own = OWN["one"]
    assert own in of(would_go(project, first))
    other = project.root / ".dvc" / "cache" / "files" / "md5" / "00" / f"{'0' * 30}.dir"
    other.parent.mkdir()
    other.write_text(json.dumps([{"md5": own, "relpath": "kept.txt"}]))
    assert own not in of(would_go(project, first))


def test_what_was_not_asked_for_stays_though_nothing_names_it(project, first):
    (project.root / "dvc.lock").unlink()
    before = objects(project)
    would_go(project, first).remove()
    assert objects(project) == before - made(first) - {OWN["one"]}
    assert OWN["two"] in objects(project)


def test_an_earlier_run_stays_if_only_what_it_read_goes(project, first):
    """The same input may be made again, and then its outputs are there."""
    own = next(digest for digest in made(first) if not digest.endswith(".dir"))
    path = project.root / ".dvc" / "cache" / "runs" / "00" / ("0" * 64) / ("0" * 64)
    path.parent.mkdir(parents=True)
    path.write_text(f"cmd: x\ndeps:\n- path: a\n  md5: {own}\nouts:\n- path: b\n  md5: {'f' * 32}\n")
    found = would_go(project, first)
    assert own in of(found)
    assert path not in found.runs


def test_half_a_list_in_the_cache_is_no_obstacle(project, first):
    digest = next(digest for digest in made(first) if digest.endswith(".dir"))
    path = project.root / ".dvc" / "cache" / "files" / "md5" / digest[:2] / digest[2:]
    path.chmod(0o644)
    path.write_text('[{"md5"')
    assert digest in of(would_go(project, first))


def test_a_cache_outside_of_the_project_may_be_others_and_is_left_alone(project, first, tmp_path):
    shutil.move(project.root / ".dvc" / "cache", tmp_path / "shared")
    assert command(project.root, "dvc", "cache", "dir", str(tmp_path / "shared")).returncode == 0
    found = would_go(project, first)
    assert found == Unneeded(elsewhere=tmp_path / "shared")
    assert found.remove() == 0


def test_a_repository_that_cannot_be_read_is_an_error_and_not_an_empty_answer(project, first):
    (project.root / ".git" / "refs" / "heads" / "broken").write_text("1" * 40 + "\n")
    with pytest.raises(RatchetError, match=r"git cannot tell which data are still needed: .* No data were deleted"):
        would_go(project, first)


def test_outside_of_git_the_files_alone_tell(project, first):
    shutil.rmtree(project.root / ".git")
    config = project.root / ".dvc" / "config"
    config.write_text(config.read_text() + "[core]\n    no_scm = true\n")
    assert would_go(project, first).objects


def test_hashes_are_found_wherever_they_stand_and_no_longer_ones_are_mistaken_for_them():
    digest = "0123456789abcdef" * 2
    assert hashes(f"md5: {digest}\n- '{digest}.dir'") == {digest, f"{digest}.dir"}
    assert hashes(digest * 2) == set()
