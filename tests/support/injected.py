"""Something happens at a named point of a process: the variables for benchmarks/faults/injected/sitecustomize.py."""

import os
from pathlib import Path

from tests.support.clone import ROOT

FOLDER = ROOT / "benchmarks" / "faults" / "injected"


def variables(mark: Path, point: str, action: str = "kill", when: str = "before", process: str = "") -> dict[str, str]:
    """mark: a file that is made when it happens. process: words in the command line of the one it happens in."""
    return {
        "PYTHONPATH": os.pathsep.join([str(FOLDER), str(ROOT)]),
        "FAULT_POINT": point,
        "FAULT_ACTION": action,
        "FAULT_WHEN": when,
        "FAULT_PROCESS": process,
        "FAULT_MARK": str(mark),
        "FAULT_CALLER": "",
        "FAULT_COUNT": "1",
        "FAULT_SPARE": "0",
        "FAULT_FILLER": str(mark.with_name("filler")),
    }
