"""The suite itself: a process that dies and a test that hangs end it with their names, as `make test` runs it."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.world import ROOT

GOOD = "def test_good():\n    pass\n"
DIES = "import os, signal\n\n\ndef test_that_dies():\n    os.kill(os.getpid(), signal.SIGSEGV)\n"
WAITS = "import time\n\n\ndef test_that_waits():\n    time.sleep(600)\n"
HANGS = """
import signal, time


def test_that_hangs():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})  # as in compiled code, where Python hears of no signal
    time.sleep(600)
"""


def options(target: str) -> list[str]:
    """Those of pytest in a recipe of the Makefile."""
    found = re.search(rf"^{target}:.*\n\t\$\(BIN\)/python -m pytest (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert found, f"the Makefile has no recipe {target} that starts pytest"
    return shlex.split(found[1])


def suite(folder: Path, *more: str, **files: str) -> tuple[int, str]:
    """Run test files as `make test` does; returns the exit status and what was said."""
    for name, content in files.items():
        (folder / f"test_{name}.py").write_text(content)
    (folder / "conftest.py").write_text("from tests.conftest import pytest_testnodedown\n")
    command = [sys.executable, "-m", "pytest", *options("test"), "-c", str(ROOT / "pyproject.toml"), *more, "."]
    # without the plugins that take a second to import, and are of no use here
    done = subprocess.run(
        [*command, "--rootdir", ".", "-p", "no:hypothesispytest", "-p", "no:hydra_pytest", "-p", "no:cacheprovider"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=240,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.long
def test_a_worker_that_dies_ends_the_run_and_is_told_with_its_test(tmp_path):
    """pytest-xdist would start another one, give it the same test again, and wait for ever in the end."""
    status, said = suite(tmp_path, dies=DIES + GOOD, good=GOOD, other=GOOD)
    assert status == 1, said
    assert "crashed while running 'test_dies.py::test_that_dies'" in said
    assert "FAILED test_dies.py::test_that_dies" in said
    assert re.search(r"worker gw\d ended by SIGSEGV", said)
    assert "replacing crashed worker" not in said


@pytest.mark.long
def test_a_test_that_waits_or_hangs_is_ended_and_told(tmp_path):
    limits = ["--timeout", "1", "-o", "faulthandler_timeout=4"]
    status, said = suite(tmp_path, *limits, waits=WAITS + GOOD, hangs=HANGS)
    assert status == 1, said
    assert "FAILED test_waits.py::test_that_waits - Failed: Timeout (>1.0s)" in said
    assert "FAILED test_hangs.py::test_that_hangs - worker" in said


@pytest.mark.parametrize("target", ["test", "random", "long"])
def test_no_test_is_without_a_limit(target, pytestconfig):
    given, declared = options(target), pytestconfig.getini
    limit = given[given.index("--timeout") + 1] if "--timeout" in given else declared("timeout")
    changed = [option.partition("=")[2] for option in given if option.startswith("faulthandler_timeout=")]
    assert 0 < float(limit) < float((changed or [declared("faulthandler_timeout")])[0]) <= 7500
