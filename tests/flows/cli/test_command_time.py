"""What a command says that it took is what the person has waited, imports included."""

import subprocess
import sys
import time

from tests.support.world import ROOT


def test_it_counts_from_the_start_of_the_process():
    code = "import time; time.sleep(0.4); from flows.cli import command_time; print(command_time.so_far())"
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert 0.4 <= float(done.stdout) <= time.monotonic() - start + 0.02  # a tick of the kernel is a hundredth
