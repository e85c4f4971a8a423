"""Answer rows with one export, as often as asked: python -I benchmarks/small/worker.py FOLDER ROWS

It is run by its path, with the runtime of the export alone. It prints "ready PEAK_BYTES" after its first answer. Then,
for each line of its input: `answers FILE` writes the answers to all rows, and prints "done"; `time START COUNT` answers
so many rows one by one, and prints the seconds of each.
"""

import importlib.util
import json
import sys
import time
from pathlib import Path

import numpy as np


def main(folder: Path, rows_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("reader", folder / "reader.py")
    reader = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(reader)
    model, rows = reader.Model(folder), json.loads(rows_path.read_text(encoding="utf-8"))
    model.answers(rows[:1])
    print("ready", _peak_bytes(), flush=True)
    for line in sys.stdin:
        what, *arguments = line.split()
        if what == "answers":
            np.save(arguments[0], model.answers(rows))
            print("done", flush=True)
        else:
            start, count = map(int, arguments)
            chosen = [rows[place % len(rows)] for place in range(start, start + count)]
            print(json.dumps([_seconds(model, row) for row in chosen]), flush=True)


def _peak_bytes() -> int:
    """The largest memory of this program: what `resource` says begins with that of the process it was forked from."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def _seconds(model, row) -> float:
    begun = time.perf_counter()
    model.answers([row])
    return time.perf_counter() - begun


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
