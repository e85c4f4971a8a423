"""Answer rows with an export, as somebody would who has only its folder.

    python -I fresh_run.py FOLDER ROWS OUT [MODULES]

It is run by its path, in a process that can import nothing of this project. It prints what was imported of MODULES
(names with commas).
"""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np


def main(folder: Path, rows: Path, out: Path, unwanted: list[str]) -> None:
    spec = importlib.util.spec_from_file_location("reader", folder / "reader.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder} has no reader.py")
    reader = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True  # the folder stays as it is
    spec.loader.exec_module(reader)
    np.save(out, reader.Model(folder).answers(json.loads(rows.read_text(encoding="utf-8"))))
    print(json.dumps({"imported": [name for name in unwanted if name in sys.modules]}))


if __name__ == "__main__":
    folder, rows, out, *modules = sys.argv[1:]
    main(Path(folder), Path(rows), Path(out), modules[0].split(",") if modules else [])
