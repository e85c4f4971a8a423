"""The cells of the tables: trials are counted in steps, and kept in a file, so that a part goes on where it stopped."""

import json
import zlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import numpy as np

Random = np.random.Generator
SEED = 1
STEP = 25  # trials between two lines of the file
Found = dict[str, list[float]]  # name of a number -> its value in each trial


class Cells:
    """The finished trials of a part, in one file. folder: where it lies; trials: how many a cell has."""

    def __init__(self, folder: Path, part: str, trials: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.trials, self._path = trials, folder / f"{part}.jsonl"
        self._found: dict[str, Found] = defaultdict(lambda: defaultdict(list))
        lines = self._path.read_text(encoding="utf-8").splitlines() if self._path.exists() else []
        for read in map(json.loads, lines):
            self._add(read["cell"], read["found"])

    def _add(self, cell: str, found: Found) -> None:
        for name, values in found.items():
            self._found[cell][name] += values

    def of(self, cell: str, once: Callable[[Random], dict[str, float]], trials: int | None = None) -> Found:
        """The numbers of a cell. once: one trial; a step has a seed of its own, whatever was computed before it."""
        wanted = trials or self.trials
        while (done := max(map(len, self._found[cell].values()), default=0)) < wanted:
            random = np.random.default_rng([SEED, zlib.crc32(cell.encode()), done])
            made = [once(random) for _ in range(min(STEP, wanted - done))]
            found = {name: [float(one[name]) for one in made] for name in made[0]}
            self._add(cell, found)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"cell": cell, "found": found}) + "\n")
        return {name: values[:wanted] for name, values in self._found[cell].items()}


def title(text: str) -> None:
    print(f"\n## {text}\n")


def header(*names: str) -> None:
    line(*names)
    line(*("---:" for _ in names))


def line(*cells: object) -> None:
    print("| " + " | ".join(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells) + " |", flush=True)


def percent(values: list[float]) -> str:
    share = 100 * mean(values)
    return f"{share:.0f} %" if share in (0, 100) or share >= 10 else f"{share:.1f} %"


def rate(values: list[float]) -> str:
    """A share in per cent, with the 95 % interval of Clopper and Pearson."""
    from scipy import stats

    found = stats.binomtest(round(sum(values)), len(values)).proportion_ci(method="exact")
    return f"{percent(values)} [{100 * found.low:.1f}, {100 * found.high:.1f}]"
