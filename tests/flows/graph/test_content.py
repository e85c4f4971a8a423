"""Content: DVC's database and its trust in read-only objects are not believed; what was changed is found and named."""

import hashlib
import os
from pathlib import Path

import pytest

from flows.graph import content, pipeline
from flows.graph.pipeline import Graph
from flows.project.environment import Project
from pipelines.errors import IntegrityError
from tests.support.clone import command, git

PIPELINE = """
vars:
  - models: [pets]
stages:
  ingest:
    foreach: ${models}
    do:
      cmd: tr a-z A-Z < data/${item}/pin.json > data/${item}/raw.parquet && echo ingest | tee $RATCHET_STAGE_LOG >> ran
      deps: ["data/${item}/pin.json"]
      outs: ["data/${item}/raw.parquet"]
  train:
    foreach: ${models}
    do:
      cmd: mkdir data/${item}/model && rev data/${item}/raw.parquet > data/${item}/model/weights
        && echo none > data/${item}/model/about && echo train | tee $RATCHET_STAGE_LOG >> ran
      deps: ["data/${item}/raw.parquet"]
      outs: ["data/${item}/model"]
"""
RAW, WEIGHTS = "data/pets/raw.parquet", "data/pets/model/weights"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of two small stages, in git, with a cache of DVC's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    for name in ("data/pets", ".dvc/tmp", "models"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / ".dvc" / "config").touch()
    (tmp_path / ".gitignore").write_text("/site\n/ran\n/log*\n/.dvc/tmp\n/.dvc/cache\n")
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "data" / "pets" / "pin.json").write_text("what is pinned\n")
    git(tmp_path, "init", "-q")
    return Project(root=tmp_path, state=tmp_path / ".ratchet", tracking="", prefect="")


def link_type(project: Project, kind: str) -> None:
    (project.root / ".dvc" / "config").write_text(f'[cache]\n    type = "{kind}"\n')


def run(project: Project) -> tuple[list[str], list[str], list[str]]:
    """States of both stages, which commands ran, and what a person is told."""
    (project.root / "ran").unlink(missing_ok=True)
    with Graph(project, "pets") as opened:
        states = [opened.reproduce(stage, project.root / "log") for stage in opened.order()]
        opened.check_outputs(opened.order())
        ran = (project.root / "ran").read_text().split() if (project.root / "ran").exists() else []
        return states, ran, opened.notices


def cached(project: Project, path: str) -> Path:
    """The object of DVC's cache that dvc.lock names for a path."""
    digest = hashlib.md5((project.root / path).read_bytes()).hexdigest()
    found = pipeline.cached(project, digest)
    assert found is not None
    return found


def change(path: Path, keep: bool = True) -> bytes:
    """Another first byte; with keep the mode, size, inode and time of writing stay. Returns what was there."""
    before, status = path.read_bytes(), path.stat()
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.write(b"?")
    if keep:
        path.chmod(status.st_mode)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    return before


@pytest.mark.parametrize(
    ("kind", "path"), [("reflink,copy", RAW), ("hardlink", RAW), ("symlink", RAW), ("copy", WEIGHTS)]
)
def test_an_object_that_was_changed_is_dropped_and_what_it_was_is_made_again(project, kind, path):
    link_type(project, kind)
    assert run(project)[0] == ["Ran", "Ran"]
    target, entry = cached(project, path), (project.root / "dvc.lock").read_text()
    before = change(target)
    if kind != "symlink":
        (project.root / path).unlink()
    _, ran, told = run(project)
    assert (project.root / path).read_bytes() == before
    assert target.read_bytes() == before
    assert (project.root / "dvc.lock").read_text() == entry
    assert ran == ["ingest" if path == RAW else "train"]
    assert "DVC's cache held wrong content for" in told[0]
    assert run(project) == (["Unchanged", "Unchanged"], [], [])


def test_a_writable_object_is_looked_at_in_the_same_way(project):
    run(project)
    target = cached(project, RAW)
    before = change(target)
    target.chmod(0o644)
    run(project)
    assert target.read_bytes() == before == (project.root / RAW).read_bytes()


@pytest.mark.parametrize("path", [RAW, WEIGHTS])
def test_a_file_that_was_changed_with_its_time_and_size_is_brought_back(project, path):
    run(project)
    before = change(project.root / path)
    states, ran, _ = run(project)
    assert "Restored" in states
    assert ran == []
    assert (project.root / path).read_bytes() == before


def test_what_the_cache_has_lost_comes_back_from_the_workspace_and_nothing_runs(project):
    run(project)
    target = cached(project, RAW)
    before = change(target)
    assert run(project)[:2] == (["Unchanged", "Unchanged"], [])
    assert target.read_bytes() == before


def test_a_database_of_hashes_that_is_garbage_is_not_opened(project):
    run(project)
    with Graph(project, "pets") as opened:
        site = Path(opened.repo.site_cache_dir)
    for name in ("links", "hashes/local"):
        (site / name).mkdir(parents=True, exist_ok=True)
        (site / name / "cache.db").write_bytes(b"garbage" * 100)
    assert run(project)[0] == ["Unchanged", "Unchanged"]


def test_each_file_is_read_once(project, monkeypatch):
    """What was made by this run, too: of an object that DVC has copied the original was read."""
    read = []
    digest = content.hashlib.file_digest
    monkeypatch.setattr(content.hashlib, "file_digest", lambda file, kind: read.append(file.name) or digest(file, kind))
    monkeypatch.setattr(content, "LARGE", 3)  # bytes: as if all of it was
    run(project)
    assert len(read) == len(set(read)) > 3
    assert not [name for name in read if "cache" in name]
    read.clear()
    run(project)
    assert len(read) == len(set(read)) > 6


def test_what_changes_after_its_stage_is_not_published(project):
    run(project)
    with Graph(project, "pets") as opened:
        for stage in opened.order():
            opened.reproduce(stage, project.root / "log")
        change(project.root / RAW)
        with pytest.raises(IntegrityError, match=f"{RAW} differs from dvc.lock"):
            opened.check_outputs(opened.order())


def test_outputs_of_other_inputs_written_into_dvc_lock_are_not_believed(project):
    pin, lock = project.root / "data" / "pets" / "pin.json", project.root / "dvc.lock"
    run(project)
    earlier = cached(project, RAW)
    digest = earlier.parent.name + earlier.name
    pin.write_text("another pin, as long\n")
    run(project)
    right, text = (project.root / RAW).read_bytes(), lock.read_text()
    now = cached(project, RAW)
    lock.write_text(text.replace(now.parent.name + now.name, digest, 1))
    _, ran, told = run(project)
    assert ran == ["ingest"]
    assert (project.root / RAW).read_bytes() == right
    assert lock.read_text() == text
    assert "dvc.lock names other outputs of ingest@pets than this machine made" in told[0]


def test_what_a_commit_holds_is_believed(project):
    """As another machine has made it."""
    lock = project.root / "dvc.lock"
    run(project)
    other = b"made elsewhere\n"
    (project.root / RAW).unlink()
    (project.root / RAW).write_bytes(other)
    command(
        project.root, "dvc", "commit", "-f", "ingest@pets", DVC_SITE_CACHE_DIR=str(project.root / "site")
    ).check_returncode()
    digest = hashlib.md5(other).hexdigest()
    elsewhere = [path for path in (project.root / ".dvc" / "cache" / "runs").rglob("*") if path.is_file()]
    for path in elsewhere:
        if digest in path.read_text():
            path.unlink()
    assert run(project)[1] != []  # nobody has made it, and no commit has it
    lock.write_text(lock.read_text().replace(cached(project, RAW).parent.name + cached(project, RAW).name, digest, 1))
    git(project.root, "add", "dvc.lock")
    git(project.root, "commit", "-q", "-m", "of another machine")
    _, ran, told = run(project)
    assert "ingest" not in ran
    assert told == []
    assert (project.root / RAW).read_bytes() == other


def test_what_nobody_can_make_again_is_refused_by_name(project):
    run(project)
    (project.root / "data" / "pets" / "source").mkdir()
    (project.root / "data" / "pets" / "source" / "rows.csv").write_text("a,b\n1,2\n")
    with Graph(project, "pets") as opened:
        opened.repo.add("data/pets/source")
        opened.reload()
        target = cached(project, "data/pets/source/rows.csv")
        change(target)
        source = project.root / "data" / "pets" / "source" / "rows.csv"
        source.write_text("something else\n")
        with pytest.raises(
            IntegrityError,
            match="data/pets/source cannot be brought back: DVC's cache held wrong content",
        ):
            opened.bring(["data/pets/source.dvc"])
        assert source.read_text() == "something else\n"
