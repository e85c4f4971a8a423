"""How often the gate is wrong: python benchmarks/gate.py [PART ...] [--trials 500] [--state FOLDER]

Candidates whose true quality is known are judged by the gate's own functions, by the old gate (that of 2026-11-24, in
which only the rival's own test rows decided), and by the plain comparison, which promotes whatever scores at least as
well. Prints Markdown tables, with 95 % intervals by Clopper and Pearson. One process; no part takes longer than half an
hour on a core of its own.

Finished trials are kept in FOLDER, .ratchet/benchmarks/gate by default. A part goes on where it stopped, and prints its
tables anew. Delete its file there to measure anew after a change of the gate.
"""

from collections.abc import Callable
from pathlib import Path

import parts
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

if __name__ == "__main__":
    parts.run(__doc__, PARTS, STATE, 500, SEED)
