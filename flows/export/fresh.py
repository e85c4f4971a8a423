"""An export's answers, in a process that has its folder and its runtime, and neither this project nor TensorFlow."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from flows.export.format import Format, NotCarried
from pipelines.errors import RatchetError

PROGRAM = Path(__file__).with_name("fresh_run.py")
MOST_SECONDS = 600
KEPT = ("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV")  # variables of the process


def answers(export: Path, rows: Path, work: Path, chosen: Format, about: dict[str, Any]) -> np.ndarray:
    """What the folder answers to the rows of a JSON file [rows, outputs]. about: model.json.

    Raises NotCarried if its runtime cannot load or compute the file.
    """
    out = work / "found.npy"
    command = [
        sys.executable,
        "-I",
        "-W",
        "ignore",
        str(PROGRAM),
        str(export),
        str(rows),
        str(out),
        ",".join(chosen.alone),
    ]
    try:
        done = subprocess.run(
            command, cwd=work, env=_environment(about), capture_output=True, text=True, timeout=MOST_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise NotCarried(f"{chosen.runtime} has not answered within {MOST_SECONDS} seconds") from error
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
        raise NotCarried(f"{chosen.runtime} cannot load or compute the file: {said[:300].rstrip('.')}")
    told = json.loads(done.stdout.strip().splitlines()[-1])
    if told["imported"]:
        raise RatchetError(f"The check of an export has imported {told['imported'][0]}, so it has shown nothing.")
    return np.asarray(np.load(out))


def _environment(about: dict[str, Any]) -> dict[str, str]:
    found = {name: os.environ[name] for name in KEPT if name in os.environ}
    found |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    if about["hardware"].get("precision", "float32") != "float32":
        found["TF_ENABLE_ONEDNN_OPTS"] = "0"  # else oneDNN crashes on some processors (flows/registry/served.py)
    return found
