"""Verify: a version is rebuilt from what was recorded alone; what differs, and why, is named; nothing is touched."""

import hashlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from mlflow.tracking import MlflowClient

from tests.support import golden
from tests.support.clone import answer, called, edit, environment, git, ratchet
from tests.support.golden import incoming, sales
from tests.support.world import until


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A clone with a champion of `shop`, made from files and from a tree with an untracked file in it; then all of it
    is edited: code, settings, data."""
    folder = tmp_path_factory.mktemp("verify")
    assert golden.shop(folder)["decision"] == "accepted"
    code = folder / "pipelines" / "clean.py"
    code.write_text(code.read_text() + "\n\ndef run(model):\n    raise RuntimeError('the tree of today')\n")
    edit(folder / "models" / "shop.yaml", "epochs: 3", "epochs: 4")
    sales(20).to_csv(incoming(folder), index=False)
    return folder


@pytest.fixture(scope="module")
def store(project) -> MlflowClient:
    uri = f"sqlite:///{project}/mlflow/mlflow.db"
    return MlflowClient(uri, uri)


def contents(project: Path) -> dict[str, str]:
    """Every file that is the user's: theirs, DVC's, git's objects aside."""
    kept = [path for path in project.rglob("*") if path.is_file() and not path.is_symlink()]
    skipped = ("mlflow", ".ratchet", ".git", "__pycache__")
    files = [path for path in kept if not set(skipped) & set(path.relative_to(project).parts)]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def test_the_tree_of_a_run_is_a_commit_and_branch_and_index_are_as_they_were(project, store):
    version = store.get_model_version_by_alias("shop", "champion")
    tags = store.get_run(version.run_id).data.tags
    assert tags["ratchet.dirty"] == "true"
    assert tags["ratchet.ref"] == "refs/ratchet/shop/1"
    commit = git(project, "rev-parse", "refs/ratchet/shop/1")
    assert tags["ratchet.commit"] == commit
    files = git(project, "ls-tree", "-r", "--name-only", commit).splitlines()
    assert {"models/shop.yaml", "dvc.lock", "data/shop/pin.json", "data/shop/source.dvc"} <= set(files)
    assert "data/incoming/shop/sales.csv" not in files
    assert "evaluate@shop" in git(project, "show", f"{commit}:dvc.lock")
    assert git(project, "log", "--oneline", "--all", "--exclude=refs/ratchet/*").count("\n") <= 1
    assert git(project, "diff", "--cached", "--name-only") == ""


def test_environment_and_hardware_are_recorded(project, store, tmp_path):
    version = store.get_model_version_by_alias("shop", "champion")
    found = json.loads(
        Path(store.download_artifacts(version.run_id, "definition/environment.json", tmp_path)).read_text()
    )
    assert found["packages"]["tensorflow"]
    assert found["device"] == "cpu"
    assert found["hardware"]["threads"] == 2
    assert {"python", "processor", "instructions", "cores", "system", "machine"} <= set(found)


def test_a_champion_is_rebuilt_byte_for_byte_though_everything_has_been_edited_since(project, store):
    before = contents(project)
    found = answer(project, "verify", "shop")
    assert found["verdict"] == "identical"
    assert found["rebuilt_model_hash"] == found["model_hash"]
    assert (found["first"], found["causes"], found["dirty"]) == (None, {}, True)
    assert {output["stage"] for output in found["outputs"]} == {
        "ingest", "validate", "clean", "check", "train", "evaluate", "export", "explain",
    }  # fmt: skip
    assert contents(project) == before
    version = store.get_model_version_by_alias("shop", "champion")
    assert version.tags["ratchet.verified"] == "identical"
    logged = version.source.removeprefix("models:/")
    names = {entry.path for entry in store.list_logged_model_artifacts(logged, "verification")}
    assert names == {"verification/certificate.json", "verification/certificate.md"}
    assert list((project / ".ratchet" / "verify").iterdir()) == []


PATCHES = {  # what is changed under the rebuild: (code that runs in every Python process, stage, what the page says)
    "arithmetic": (
        "pipelines.model.statistics",
        "old = module.mean_and_scale\n"
        "def other(columns):\n"
        "    mean, scale = old(columns)\n"
        "    return mean, scale * (1 + 1e-9)\n"
        "module.mean_and_scale = other",
        "train",
        "data/shop/",
    ),
    "a stage that fails": (
        "pipelines.check",
        "def run(model):\n    raise ValueError('boom')\nmodule.run = run",
        "check",
        "boom",
    ),
}
HOOK = """
import importlib.abc, importlib.util, os, sys
class Finder(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != {module!r} or "verify" not in os.getcwd().split(os.sep):
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module
        def patched(module):
            execute(module)
            exec({patch!r}, {{"module": module}})
        spec.loader.exec_module = patched
        return spec
sys.meta_path.insert(0, Finder())
"""


@pytest.mark.long
@pytest.mark.parametrize("kind", PATCHES)
def test_what_cannot_be_made_again_is_different_and_the_first_stage_is_named(project, store, tmp_path, kind):
    module, patch, stage, told = PATCHES[kind]
    (tmp_path / "sitecustomize.py").write_text(HOOK.format(module=module, patch=patch))
    done = ratchet(project, "verify", "shop", "--json", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["verdict"] == "different"
    assert found["first"]["stage"] == stage
    assert told in json.dumps(found)
    assert store.get_model_version_by_alias("shop", "champion").tags["ratchet.verified"] == "different"
    accepted = ratchet(project, "verify", "shop", "--accept", "different", PYTHONPATH=str(tmp_path))
    assert accepted.returncode == 0
    assert f"The first difference is in the stage {stage}" in accepted.stdout


@pytest.mark.long
def test_the_nightly_check_fails_loudly_and_names_the_champion(project, tmp_path):
    module, patch, stage, _ = PATCHES["arithmetic"]
    (tmp_path / "sitecustomize.py").write_text(HOOK.format(module=module, patch=patch))
    done = ratchet(project, "verify", "all", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "1 of 1 champions were not made again as they were. shop version 1 is different." in done.stderr
    assert stage in done.stderr
    assert "Traceback" not in done.stderr
    with closing(sqlite3.connect(project / ".ratchet" / "prefect" / "prefect.db")) as database:
        assert database.execute("SELECT state_type FROM flow_run WHERE name = 'verify champions'").fetchall() == [
            ("FAILED",)
        ]


@pytest.mark.long
def test_data_that_have_left_the_cache_come_from_the_remote_or_the_way_to_get_them_is_told(project, tmp_path):
    cache = project / ".dvc" / "cache"
    cache.rename(tmp_path / "cache")
    try:
        done = ratchet(project, "verify", "shop")
        assert done.returncode == 2
        assert "neither in DVC's cache nor in its remote" in done.stderr
        (project / ".dvc" / "config.local").write_text(
            "[core]\n    remote = team\n['remote \"team\"']\n    url = ../../team\n"
        )
        (tmp_path / "cache").rename(project.parent / "team")
        assert answer(project, "verify", "shop")["verdict"] == "identical"
    finally:
        (project / ".dvc" / "config.local").unlink(missing_ok=True)
        kept = tmp_path / "cache" if (tmp_path / "cache").exists() else project.parent / "team"
        shutil.rmtree(cache, ignore_errors=True)
        kept.rename(cache)


@pytest.mark.long
def test_a_verification_that_is_killed_leaves_no_process_and_nothing_that_the_next_one_keeps(project):
    before = contents(project)
    running = subprocess.Popen(
        [sys.executable, "-m", "flows.cli", "verify", "shop"],
        cwd=project, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    base = project / ".ratchet" / "verify"
    until(lambda: list(base.glob("*/tree/data/shop/raw.parquet")))
    left = next(path for path in base.iterdir() if path.is_dir())
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    until(lambda: not _inside(left), lambda: _inside(left))
    assert contents(project) == before
    assert answer(project, "verify", "shop")["verdict"] == "identical"
    assert list(base.iterdir()) == []


def _inside(folder: Path) -> list[int]:
    """Processes that work in a folder."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                place = os.readlink(process / "cwd")
            except OSError:
                continue
            if place.startswith(str(folder)):
                found.append(int(process.name))
    return found


def test_a_registered_file_that_was_changed_is_refused_before_anything_is_rebuilt(project, store):
    version = store.get_model_version_by_alias("shop", "champion")
    weights = next((project / "mlflow").rglob(f"{version.source.removeprefix('models:/')}/**/model.weights.h5"))
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    done = called(project, "verify", "shop")
    weights.write_bytes(content)
    assert done.returncode == 1
    assert "has changed since it was registered" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["shop", "--version", "9"], "shop has no version 9 to verify"),
        (["diabetes"], "diabetes has no champion to verify"),
        (["shp"], "There is no model 'shp': models/shp.yaml does not exist. Did you mean 'shop'?"),
        (["../shop"], "cannot be a model's name"),
        (["all", "--version", "1"], "--version belongs to one model"),
    ],
)
def test_what_cannot_be_verified_is_told_in_one_line(project, arguments, told):
    done = called(project, "verify", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_commit_that_is_gone_is_told_with_the_command_that_fetches_it(project):
    git(project, "update-ref", "-d", "refs/ratchet/shop/1")
    git(project, "reflog", "expire", "--expire=now", "--all")
    git(project, "gc", "--prune=now", "-q")
    done = called(project, "verify", "shop")
    assert done.returncode == 2
    assert "git fetch origin 'refs/ratchet/*:refs/ratchet/*'" in done.stderr


def predictions(folder: Path, name: str, **columns: Any) -> Path:
    import pandas as pd

    path = folder / f"{name}.parquet"
    pd.DataFrame({"row_id": ["a", "b"], "actual": [0.0, 2.0], **columns}).to_parquet(path)
    return path


def test_the_largest_difference_is_of_a_probability_or_a_share_of_the_spread(tmp_path):
    from flows.tracking import differences

    one = predictions(tmp_path, "one", prediction=["x", "y"], probability_x=[0.9, 0.2])
    two = predictions(tmp_path, "two", prediction=["x", "x"], probability_x=[0.9, 0.7])
    assert differences.largest(one, two) == {"answers_changed": 1, "largest": pytest.approx(0.5)}
    one = predictions(tmp_path, "one", prediction=[1.0, 1.0])
    two = predictions(tmp_path, "two", prediction=[1.0, 1.5])
    assert differences.largest(one, two)["largest"] == pytest.approx(0.5 / 2**0.5)


def test_a_difference_within_the_tolerance_counts_only_where_hardware_or_packages_explain_it():
    from flows.tracking.differences import Output
    from flows.verify import verify

    same, other = Output("clean", "a", "1", "1"), Output("train", "b", "1", "2")
    reason, near = {"hardware": ["processor"]}, {"largest": 0.001}
    assert verify._verdict([same, same], "", {}, {}, 0.01) == "identical"
    assert verify._verdict([same, other], "", reason, near, 0.01) == "equal within tolerance"
    assert verify._verdict([same, other], "", {}, near, 0.01) == "different"
    assert verify._verdict([same, other], "", reason | {"code": ["x.py"]}, near, 0.01) == "different"
    assert verify._verdict([same, other], "", reason, {"largest": 0.1}, 0.01) == "different"
    assert verify._verdict([Output("clean", "a", "1", "2"), other], "", reason, near, 0.01) == "different"
    assert verify._verdict([same, other], "it failed", reason, near, 0.01) == "different"
