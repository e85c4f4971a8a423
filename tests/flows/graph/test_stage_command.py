"""A stage whose process was killed or broke off is told with what may have ended it; another failure is not."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable

import psutil
import pytest

from flows.graph import stage_command
from flows.graph.pipeline import Graph
from flows.project.environment import Project
from pipelines.errors import StageError
from tests.support.world import PATIENCE, ROOT, until

STAGES = """
stages:
  {stage}:
    foreach: [x]
    do:
      cmd: {command}
      outs: [out]
"""
DO = "{do}, or give it more memory. Its log is {log}."
TRAIN, OTHER = "Lower train.batch_size, or declare train.micro_batch: rows at once", "Run it again"


@pytest.fixture
def failing(tmp_path, begun, monkeypatch) -> Callable[[str, str], str]:
    """What is told of a stage with this command, in a DVC project."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)

    def run(stage: str, command: str) -> str:
        (tmp_path / "dvc.yaml").write_text(STAGES.format(stage=stage, command=command))
        with Graph(Project(tmp_path, tmp_path, "", ""), "x") as graph, pytest.raises(StageError) as told:
            graph.reproduce(f"{stage}@x", tmp_path / "log")
        assert told.value.kind == ""
        return str(told.value)

    return run


@pytest.mark.parametrize(
    ("stage", "command", "status", "do"),
    [
        ("train", "kill -ABRT $$", 134, TRAIN),
        ("train", "sh -c 'kill -SEGV $$'; exit $?", 139, TRAIN),
        ("check", "kill -KILL $$", 137, OTHER),
    ],
)
def test_a_process_that_was_killed_or_broke_off_is_told(failing, tmp_path, stage, command, status, do):
    assert failing(stage, command) == (
        f"The process of `{stage}` was killed or crashed (exit status {status}), most likely because memory ran out. "
        + DO.format(do=do, log=tmp_path / "log")
    )


def test_the_last_line_that_may_be_the_cause_is_shown(failing, tmp_path):
    lines = ["note: begun", "OOM when allocating", "  what():  std::bad_alloc", "and so on"]
    command = "'printf \"" + "\\n".join(lines) + "\" > $RATCHET_STAGE_LOG; kill -ABRT $$'"
    assert failing("train", command) == (
        "The process of `train` was killed or crashed (exit status 134), most likely because memory ran out. "
        "Its last line is: what(): std::bad_alloc. " + DO.format(do=TRAIN, log=tmp_path / "log")
    )


@pytest.mark.parametrize("command", ["kill -INT $$", f"exit {stage_command.INTERRUPTED}"])
def test_one_that_ends_by_ctrl_c_interrupts_the_run(failing, command):
    with pytest.raises(KeyboardInterrupt):
        failing("train", command)


@pytest.mark.parametrize("status", [1, 2, 127, 128])
def test_a_command_that_fails_by_itself_is_not_taken_for_one(failing, status):
    assert failing("train", f"exit {status}") == f"failed to run: exit {status}, exited with {status}"


WAITING = """
import os, pathlib, signal, sys, threading, time
from flows.graph.pipeline import Graph
from flows.project.environment import Project

def stop():
    while not pathlib.Path("begun").exists():
        time.sleep(0.02)
    os.kill(os.getpid(), signal.SIGINT)  # to this process alone: the command does not hear of it

root = pathlib.Path.cwd()
with Graph(Project(root, root, "", ""), "x") as graph:
    threading.Thread(target=stop, daemon=True).start()
    try:
        graph.reproduce("train@x", root / "log")
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_ctrl_c_ends_the_command_and_what_it_has_started(begun, tmp_path):
    """DVC's own way is to ignore it and to wait: fails if a newer DVC does not call ours."""
    shutil.copytree(begun, tmp_path, dirs_exist_ok=True)
    command = "'sleep 300 & echo $! > begun.partial; mv begun.partial begun; sleep 300'"
    (tmp_path / "dvc.yaml").write_text(STAGES.format(stage="train", command=command))
    done = subprocess.run(
        [sys.executable, "-c", WAITING],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.stdout, done.stderr) == ("interrupted\n", "")
    until(lambda: not psutil.pid_exists(int((tmp_path / "begun").read_text())))
