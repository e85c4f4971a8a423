"""How fast files are predicted: python benchmarks/predict.py FILE TARGET ROWS [COMMIT]

In a clone of this repository in a temporary folder `ratchet new` makes a model of FILE (CSV), and a run trains it. Then
the process of `ratchet predict` answers ROWS rows, which are those of FILE again and again, from Parquet and from CSV.
With COMMIT, that commit's code answers them too, in turn, and the files of answers are compared. Each line has rows per
second and processor time per row, both less those of a file of one row (TensorFlow's import, most of it), and the most
memory that all processes had together, shared pages counted once. Keep the machine idle meanwhile.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
MODEL = "measured"
CHUNK = 500_000  # rows made at once
ROUNDS = 3
LOOK = 0.5  # seconds between two looks at the memory


@dataclass
class Measured:
    seconds: float
    processor: float
    memory: int  # bytes


def clone(folder: Path, commit: str) -> Path:
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    subprocess.run(["git", "checkout", "-q", commit], cwd=folder, check=True)
    return folder


def trained(folder: Path, source: Path, target: str) -> dict[str, Any]:
    """What the process of `ratchet predict` is asked for with a model of this file; without input and output."""
    ratchet = [sys.executable, "-m", "flows.cli"]
    options = ["--data", str(source), "--target", target]
    subprocess.run([*ratchet, "new", MODEL, *options], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    subprocess.run([*ratchet, "run", MODEL], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    place, code = folder / "data" / MODEL / "model", "from pipelines.model.predictor import model_hash as of; "
    code += "import pathlib, sys; print(of(pathlib.Path(sys.argv[1])))"
    digest = subprocess.run([sys.executable, "-c", code, str(place)], cwd=folder, check=True, capture_output=True)
    declared = YAML(typ="safe").load(folder / "models" / f"{MODEL}.yaml")
    about = {"model": MODEL, "version": 1, "model_hash": digest.stdout.decode().strip(), "folder": str(place)}
    return about | {"device": "cpu"} | {name: declared[name] for name in ("data", "ingest")}


def make(folder: Path, source: Path, count: int) -> dict[str, Path]:
    """The rows of a file again and again, as Parquet and as CSV."""
    table = pyarrow.csv.read_csv(source)
    paths = {suffix: folder / f"rows-{count}.{suffix}" for suffix in ("parquet", "csv")}
    with (
        pq.ParquetWriter(paths["parquet"], table.schema) as packed,
        pyarrow.csv.CSVWriter(paths["csv"], table.schema) as text,
    ):
        for start in range(0, count, CHUNK):
            wanted = min(CHUNK, count - start)
            piece = pa.concat_tables([table] * (wanted // len(table) + 1)).slice(0, wanted).combine_chunks()
            packed.write_table(piece, row_group_size=65_536)
            text.write_table(piece)
    return paths


def measure(code: Path, request: dict[str, Any], folder: Path) -> Measured:
    """One process of `ratchet predict`, by the code of a clone, and all its children."""
    folder.mkdir(exist_ok=True)
    path = folder / "request.json"
    path.write_text(json.dumps(request), encoding="utf-8")
    before, start, memory = os.times(), time.perf_counter(), 0
    command = [sys.executable, "-m", "flows.predict.worker", str(path)]
    with subprocess.Popen(command, cwd=code, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            memory = max(memory, _together(process.pid))
            time.sleep(LOOK)
    taken, after = time.perf_counter() - start, os.times()
    answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    assert "error" not in answer, answer
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    return Measured(taken, processor, memory)


def _together(process: int) -> int:
    """Bytes of a process and of all that it has started."""
    total = 0
    with suppress(psutil.Error):
        for one in [psutil.Process(process), *psutil.Process(process).children(recursive=True)]:
            with suppress(psutil.Error):
                total += one.memory_full_info().pss
    return total


def main(source: Path, target: str, count: int, commit: str) -> None:
    print(f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        codes = {"today": clone(folder / "today", "HEAD")} | (
            {commit: clone(folder / "before", commit)} if commit else {}
        )
        asked = trained(codes["today"], source, target)
        many, one = make(folder, source, count), make(folder, source, 1)
        print(
            "| rows from | code | rows/s | microseconds of processor a row | MB |\n| --- | --- | ---: | ---: | ---: |"
        )
        for suffix, path in many.items():
            outputs = {name: folder / f"{name}.parquet" for name in codes}
            for _ in range(ROUNDS):
                for name, code in codes.items():
                    small = asked | {"source": str(one[suffix]), "output": str(folder / "one.parquet")}
                    start = measure(code, small, folder / "asked")
                    found = measure(code, asked | {"source": str(path), "output": str(outputs[name])}, folder / "asked")
                    rate = count / (found.seconds - start.seconds)
                    each = 1e6 * (found.processor - start.processor) / count
                    print(f"| {suffix} | {name} | {rate:,.0f} | {each:.1f} | {found.memory / 1e6:,.0f} |", flush=True)
            tables = [pq.read_table(path) for path in outputs.values()]
            print(f"{suffix}: the answers are equal: {all(tables[0].equals(table) for table in tables)}", flush=True)


if __name__ == "__main__":
    file, target, rows, *rest = sys.argv[1:]
    main(Path(file).resolve(), target, int(rows), rest[0] if rest else "")
