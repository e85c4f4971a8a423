"""Random bad requests break no server: a part of benchmarks/serving_fuzz.py, on models of each kind."""

import subprocess
import sys

import pytest

from tests.support.clone import ROOT, environment
from tests.support.served import versions


@pytest.mark.long
def test_no_bad_request_gets_a_status_from_500_on(tmp_path):
    for model in versions.MODELS:
        versions.promote(tmp_path, model)
    command = [sys.executable, "benchmarks/serving_fuzz.py", str(tmp_path), "--minutes", "0.5", "--seed", "3"]
    done = subprocess.run(command, cwd=ROOT, env=environment(PYTHONPATH=str(ROOT)), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failures" in done.stdout
