"""How well the loop closes: python benchmarks/loop.py [PART ...] [--trials 200] [--state FOLDER]

Simulated answers of known quality are judged by the functions that decide in the loop (flows/monitoring,
flows/promotion/statistics). Prints Markdown tables, with 95 % intervals by Clopper and Pearson. One process; no part
takes longer than half an hour on a core of its own.

Finished trials are kept in FOLDER, .ratchet/benchmarks/loop by default. A part goes on where it stopped, and prints its
tables anew. Delete its file there to measure anew after a change.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small systems of equations: more threads wait for each other

import parts  # noqa: E402
from gate.cells import SEED, Cells  # noqa: E402
from loop.policies import policies  # noqa: E402
from loop.quality import harm, stationary  # noqa: E402
from loop.shadow import shadow  # noqa: E402

STATE = ROOT / ".ratchet" / "benchmarks" / "loop"
PARTS: dict[str, Callable[[Cells], None]] = {
    "stationary": stationary,
    "harm": harm,
    "policies": policies,
    "shadow": shadow,
}

if __name__ == "__main__":
    parts.run(__doc__, PARTS, STATE, 200, SEED)
