"""The process that has MLflow dies, or begins as its run ends: one paragraph, and no traceback."""

import os
import subprocess
import sys

import pytest

from flows.project import environment
from flows.tracking import mlflow_process
from pipelines.errors import UnreachableError
from tests.support import registered
from tests.support.clone import ROOT
from tests.support.clone import environment as variables

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


@pytest.mark.parametrize("log", ["a file", "a disk that is full", "none was needed"])
def test_one_that_has_just_begun_when_its_run_ends_says_nothing(project, log):
    if log == "a disk that is full":
        (project.state / "logs" / "mlflow-client.log").symlink_to("/dev/full/x")
    code = "from flows.project import environment\nfrom flows.tracking import mlflow_process\n"
    code += "project = environment.find()\nwith mlflow_process.opened(project) as shared:\n"
    code += f"    {'pass' if log == 'none was needed' else 'shared.begin()'}\n"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.root,
        env=variables(PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_state_folder_that_cannot_be_made_is_named(project, monkeypatch):
    monkeypatch.setenv("RATCHET_STATE", "in-the-way")
    (project.root / "in-the-way").write_text("a file")
    with pytest.raises(Exception, match=r"in-the-way/locks cannot be made: Not a directory. .*RATCHET_STATE"):
        environment._make(project.root / "in-the-way" / "locks")
