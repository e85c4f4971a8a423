"""Tests of permissions. Root may write everywhere: a child gives that up first, or the test is skipped and says so."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.clone import ROOT, environment

DROP = 24  # PR_CAPBSET_DROP of prctl(2)
RIGHTS = (1, 2)  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH: to write and to read whatever the permissions say


def _give_up() -> None:
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        if any(libc.prctl(DROP, right, 0, 0, 0) for right in RIGHTS):
            os._exit(77)


def command(arguments: list[str], where: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run it with no more rights to files than any user has to his own. Skips where root cannot give them up."""
    done = subprocess.run(
        arguments,
        cwd=where,
        env=environment(PYTHONPATH=str(ROOT), **more),
        preexec_fn=_give_up,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode == 77:
        pytest.skip("root, and this system does not let it give up its right to write everywhere")
    return done


def python(code: str, where: Path) -> subprocess.CompletedProcess[str]:
    return command([sys.executable, "-c", code], where)
