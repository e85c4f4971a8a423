"""How often the gate is wrong: python benchmarks/gate.py [PART ...] [--trials 500] [--state FOLDER]

Candidates whose true quality is known are judged by the gate's own functions, by the old gate (that of 2026-11-24, in
which only the rival's own test rows decided), and by the plain comparison, which promotes whatever scores at least as
well. Prints Markdown tables, with 95 % intervals by Clopper and Pearson. One process; no part takes longer than half an
hour on a core of its own.

Finished trials are kept in FOLDER, .ratchet/benchmarks/gate by default. A part goes on where it stopped, and prints its
tables anew. Delete its file there to measure anew after a change of the gate.
"""

import argparse
import platform
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from gate.cells import SEED, Cells
from gate.classes import classes
from gate.dependent import dependent
from gate.planted import auc, planted, regression, slices
from gate.rare import rare
from gate.sequences import growth, nights, poison, windows
from gate.trained import bundled, real
from gate.uses import first, fishing

STATE = Path(__file__).parent.parent / ".ratchet" / "benchmarks" / "gate"
PARTS: dict[str, Callable[[Cells], None]] = {
    "planted": planted,
    "auc": auc,
    "regression": regression,
    "slices": slices,
    "dependent": dependent,
    "rare": rare,
    "growth": growth,
    "windows": windows,
    "poison": poison,
    "nights": nights,
    "fishing": fishing,
    "first": first,
    "classes": classes,
    "real": real,
    "bundled": bundled,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--trials", type=int, default=500)
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
