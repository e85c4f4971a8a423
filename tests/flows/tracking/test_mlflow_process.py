"""The process that has MLflow dies, or begins as its run ends: one paragraph, and no traceback."""

import os
import subprocess
import sys

import psutil
import pytest

from flows.project import environment
from flows.tracking import mlflow_process
from pipelines.errors import UnreachableError
from tests.support import registered
from tests.support.clone import ROOT
from tests.support.clone import environment as variables
from tests.support.world import until

HELD = mlflow_process.Remote("flows.project.locks:held")


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = registered.project(tmp_path)
    (found.state / "logs").mkdir()
    return found


def test_one_that_is_killed_is_told_and_sending_to_it_harms_nobody(project):
    with mlflow_process.opened(project) as shared:
        shared._submit(os._exit, 137)
        with pytest.raises(UnreachableError, match=r"was killed, .* memory ran out. Run again"):
            shared.call(HELD, project)
        shared.send(HELD, project)
        shared.begin()


def begun(project: environment.Project, code: str) -> subprocess.CompletedProcess[str]:
    """What a run in a process of its own has printed."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.root,
        env=variables(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("log", ["a file", "a disk that is full", "none was needed"])
def test_one_that_has_just_begun_when_its_run_ends_says_nothing(project, log):
    if log == "a disk that is full":
        (project.state / "logs" / "mlflow-client.log").symlink_to("/dev/full/x")
    code = "from flows.project import environment\nfrom flows.tracking import mlflow_process\n"
    code += "project = environment.find()\nwith mlflow_process.opened(project) as shared:\n"
    code += f"    {'pass' if log == 'none was needed' else 'shared.begin()'}\n"
    done = begun(project, code)
    assert (done.returncode, done.stderr) == (0, "")


BEGUN = """
import os, signal, sys
from flows.project import environment
from flows.tracking import mlflow_process
with mlflow_process.opened(environment.find()) as shared:
    print(shared._submit(os.getpid).result(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_after_the_death_of_its_run_it_ends_and_nobody_says_a_word(project):
    """As Python's own pools do: "resource_tracker: There appear to be 5 leaked semaphore objects"."""
    done = begun(project, BEGUN)
    assert (done.returncode, done.stderr) == (-9, "")
    until(lambda: not psutil.pid_exists(int(done.stdout)))


def test_signals_of_a_terminal_are_for_the_run(project):
    with mlflow_process.opened(project) as shared:
        pid = shared._submit(os.getpid).result()
        for number in mlflow_process.FOR_THE_RUN:
            os.kill(pid, number)
        assert shared._submit(os.getpid).result() == pid
        assert os.getpgid(pid) != os.getpgrp()


LOCAL = "class Local(Exception): pass\nraise Local('five')"


@pytest.mark.parametrize(("work", "given", "known"), [(int, "five", ValueError), (exec, LOCAL, RuntimeError)])
def test_its_errors_come_back_also_those_that_cannot_be_sent(project, work, given, known):
    with mlflow_process.opened(project) as shared, pytest.raises(known, match="five"):
        shared._submit(work, given).result()


def test_an_error_has_its_traceback_for_a_person_who_looks_for_it(project):
    with mlflow_process.opened(project) as shared, pytest.raises(ValueError, match="five") as found:
        shared._submit(int, "five").result()
    assert "in _answer" in "".join(found.value.__notes__)


def test_the_state_folder_that_cannot_be_made_is_named(project, monkeypatch):
    monkeypatch.setenv("RATCHET_STATE", "in-the-way")
    (project.root / "in-the-way").write_text("a file")
    with pytest.raises(Exception, match=r"in-the-way/locks cannot be made: Not a directory. .*RATCHET_STATE"):
        environment._make(project.root / "in-the-way" / "locks")
