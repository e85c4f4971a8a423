"""The command line of a benchmark that is made of parts: python benchmarks/NAME.py [PART ...] [--trials N]"""

import argparse
import platform
import time
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path

from gate.cells import Cells


def run(about: str | None, parts: Mapping[str, Callable[[Cells], None]], state: Path, trials: int, seed: int) -> None:
    """Run the parts that are asked for, all without a name. about: the page of help. state: where finished trials lie.
    trials: how many, unless `--trials` says otherwise."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--trials", type=int, default=trials)
    parser.add_argument("--state", type=Path, default=state)
    asked = parser.parse_args()
    if unknown := [name for name in asked.parts if name not in parts]:
        parser.error(f"there is no part {unknown[0]!r}; the parts are {', '.join(parts)}")
    for name in asked.parts or parts:
        print(f"\n{name}: {date.today()}, {platform.machine()}, Python {platform.python_version()}, seed {seed}")
        start = time.monotonic()
        parts[name](Cells(asked.state, name, asked.trials))
        print(f"\n({name}: {time.monotonic() - start:.0f} s)")
