"""How well the loop closes: python benchmarks/loop.py [PART ...] [--trials 200] [--state FOLDER]

Simulated answers of known quality are judged by the functions that decide in the loop (flows/monitoring,
flows/promotion/statistics). Prints Markdown tables, with 95 % intervals by Clopper and Pearson. One process; no part
takes longer than half an hour on a core of its own.

Finished trials are kept in FOLDER, .ratchet/benchmarks/loop by default. A part goes on where it stopped, and prints its
tables anew. Delete its file there to measure anew after a change.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small systems of equations: more threads wait for each other

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--state", type=Path, default=STATE)
    asked = parser.parse_args()
    if unknown := [name for name in asked.parts if name not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}; the parts are {', '.join(PARTS)}")
    for name in asked.parts or PARTS:
        print(f"\n{name}: {date.today()}, {platform.machine()}, Python {platform.python_version()}, seed {SEED}")
        start = time.monotonic()
        PARTS[name](Cells(asked.state, name, asked.trials))
        print(f"\n({name}: {time.monotonic() - start:.0f} s)")


if __name__ == "__main__":
    main()
