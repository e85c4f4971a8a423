"""Lifeline: who follows the pipe ends when the other end closes, and not before."""

import os
import subprocess
import sys
import time

import pytest

from tests.support.world import PATIENCE, ROOT

FOLLOWER = """
import sys, time
from pipelines.process import lifeline
print("here", flush=True)
lifeline.follow(sys.argv[1])
time.sleep(600)
"""


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


@pytest.fixture
def follower(pipe):
    """Starts a process that follows the pipe."""
    children = []

    def start() -> subprocess.Popen[bytes]:
        child = subprocess.Popen([sys.executable, "-c", FOLLOWER, str(pipe)], cwd=ROOT, stdout=subprocess.PIPE)
        children.append(child)
        assert child.stdout
        assert child.stdout.readline() == b"here\n"
        return child

    yield start
    for child in children:
        child.kill()
        child.communicate()


def test_a_child_ends_when_its_parent_lets_go(pipe, follower):
    held = os.open(pipe, os.O_RDWR)
    child = follower()
    time.sleep(0.5)
    assert child.poll() is None
    os.close(held)
    assert child.wait(timeout=PATIENCE) == 1


def test_a_child_whose_parent_was_gone_before_it_looked_ends_too(follower):
    child = follower()  # nobody ever held the other end
    assert child.wait(timeout=PATIENCE) == 1
