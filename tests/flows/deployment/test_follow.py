"""Follow: another process moves a champion, and this machine has it live soon, at little cost."""

import shutil
import subprocess
import sys
import time
from dataclasses import replace

import psutil
import pytest

from flows.deployment import deploy, live_file
from flows.deployment.follow import Follower
from flows.project import locks
from tests.support import registered
from tests.support.clone import ROOT, environment
from tests.support.registered import MODEL, accept
from tests.support.world import until

MOST_BYTES = 90 << 20  # of memory, for a process that only watches: it imports no MLflow, pandas or TensorFlow


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A project with two registered versions, which have no golden rows: nothing is exported for them."""
    return registered.versions(tmp_path_factory, "one", "two")


@pytest.fixture
def project(two, monkeypatch):
    """The same without a ledger, a champion and a state; the working directory."""
    monkeypatch.chdir(two.root)
    registered.forget(two)
    shutil.rmtree(two.state / "serving", ignore_errors=True)
    return two


def live(project) -> int | None:
    found = live_file.read(project, MODEL)
    return found.version if found else None


def due(follower: Follower) -> set[str]:
    return {model for model, _ in follower._due}


def test_what_is_live_already_and_what_a_run_here_decides_is_left_alone(project):
    follower = Follower(project, [], pytest.fail)
    accept(project, 1)
    with locks.hold(project, f"model-{MODEL}", "a run"):
        follower.look(0.0)
    assert due(follower) == set()
    deploy.now(project, MODEL)
    found = live_file.read(project, MODEL)
    live_file.write(project, replace(found, serving_hash="0" * 64))  # as if its serving files were made
    follower.look(1.0)
    assert due(follower) == set()


def test_only_the_wanted_models_are_followed(project):
    accept(project, 1)
    follower = Follower(project, ["another"], pytest.fail)
    follower.look(0.0)
    assert due(follower) == set()


def test_a_ledger_that_is_away_is_told_once(project):
    told: list[str] = []
    follower = Follower(replace(project, ledger="postgresql+psycopg://nobody@127.0.0.1:1/none"), [], told.append)
    follower.look(0.0)
    follower.look(2.0)
    assert len(told) == 1
    assert "cannot be used now" in told[0]


@pytest.mark.long
def test_a_champion_of_another_machine_is_live_here_soon(project):
    """Real processes: one follows, and this one writes lines as another machine with the same ledger does."""
    command = [sys.executable, "-m", "flows.deployment", "follow"]
    log = (project.state / "follow.log").open("wb")
    with log, subprocess.Popen(command, cwd=project.root, env=environment(PYTHONPATH=str(ROOT)), stderr=log) as process:
        try:
            for version in (1, 2, 1):
                accept(project, version)
                began = time.monotonic()
                until(lambda version=version: live(project) == version)
                print(f"version {version} was live after {time.monotonic() - began:.1f} s")
            assert psutil.Process(process.pid).memory_info().rss < MOST_BYTES
        finally:
            process.terminate()


@pytest.mark.long
def test_the_follower_ends_with_its_parent(project):
    code = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'flows.deployment', 'follow'])"
    variables = environment(PYTHONPATH=str(ROOT))
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=project.root, env=variables, stderr=subprocess.PIPE
    ) as shell:
        assert b"follows the ledger" in shell.stderr.readline()
        (follower,) = psutil.Process(shell.pid).children()
        shell.kill()
        until(lambda: not follower.is_running() or follower.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.long
def test_a_follower_whose_parent_has_ended_before_it_could_look_ends_at_once(project):
    command = [sys.executable, "-m", "flows.deployment", "follow", "--parent=1"]
    done = subprocess.run(command, cwd=project.root, env=environment(PYTHONPATH=str(ROOT)), capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
