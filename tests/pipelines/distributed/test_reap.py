"""What a process has started ends with it, however it ends, and its folder is gone."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipelines.distributed import reap
from tests.support.world import PATIENCE, ROOT, until

# one that keeps its variables, and one that has lost them and has a file open in the folder; both leave the group
OWNER = """
import subprocess, sys, time
from pipelines.distributed import reap
with reap.folder("test") as place:
    own = open(place / "own", "w")
    one = subprocess.Popen(["sleep", "600"], start_new_session=True)
    with open(place / "log", "w") as log:
        other = subprocess.Popen(["sleep", "600"], stdout=log, env={}, start_new_session=True)
    print(place, one.pid, other.pid, flush=True)
    if sys.argv[1] == "stays":
        time.sleep(600)
"""


@pytest.mark.parametrize("how", ["ends", "killed", "killed with its group"])
def test_what_a_process_started_ends_with_it(how):
    bystander = subprocess.Popen(["sleep", "600"])
    stays = "ends" if how == "ends" else "stays"
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, stays], cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert owner.stdout
    place, *numbers = owner.stdout.readline().split()
    started = [psutil.Process(int(number)) for number in numbers if psutil.pid_exists(int(number))]
    assert stays == "ends" or len(started) == 2
    if how == "killed":
        owner.kill()
    elif how == "killed with its group":
        os.killpg(owner.pid, signal.SIGKILL)
    assert owner.wait(timeout=PATIENCE) == (0 if how == "ends" else -signal.SIGKILL)
    assert psutil.wait_procs(started, PATIENCE)[1] == []
    until(lambda: not Path(place).exists())
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


def test_a_process_that_is_gone_belongs_to_nothing(tmp_path):
    child = subprocess.Popen(["true"])
    known = psutil.Process(child.pid)
    child.wait()
    assert not reap._belongs(known, str(tmp_path))
