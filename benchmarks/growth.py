"""How the stages grow with the data, all in one run: python benchmarks/growth.py [table|images] [ROWS ...]

table: 20 numbers and a class, from Parquet; images: MNIST repeated with noise (28 x 28 grey levels; its four files lie
in data/incoming/mnist, or in the folder that the variable MNIST names). Of every stage its seconds, rows per second and
peak memory (the process' own, as the kernel counts it), and beside `ingest` and `validate` plain pandas and plain
pyarrow on the same work: read the same file, check the same ranges, write it back. Keep the machine idle meanwhile.

python benchmarks/growth.py larger: images are trained on under an address-space limit below the size of their features.
"""

import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parent.parent
STAGES = ("ingest", "validate", "clean", "check", "train", "evaluate")
CHUNK = 500_000  # rows made at once
NUMBERS = [f"x{index}" for index in range(20)]

MODEL: dict[str, Any] = {
    "format": 1,
    "data": {"kind": "table", "task": "classification", "target": "y", "label": "integer"},
    "ingest": {"source": "data/incoming/grown/"},
    "check": {},
    "evaluate": {"metrics": ["accuracy", "log_loss"]},
    "promote": {"metric": "accuracy", "at_least": 0.5},
    "schedule": {},
}
TABLE = {
    "data": {"columns": dict.fromkeys(NUMBERS, "number")},
    "validate": {
        "rules": [
            {"rule": "expect_column_values_to_be_between", "column": name, "min_value": -50, "max_value": 50}
            for name in NUMBERS[:4]
        ]
    },
    "clean": {"split": {"by": "hash", "seed": 1}},
    "train": {"hidden": [32], "epochs": 1, "batch_size": 256, "seed": 1},
}
IMAGES = {
    "data": {"kind": "image", "shape": [28, 28, 1]},
    "validate": {"rules": [{"rule": "expect_column_values_to_be_between", "column": "pixel_max", "min_value": 1}]},
    "clean": {"split": {"by": "hash", "seed": 1}},
    "train": {"hidden": [32], "epochs": 1, "batch_size": 256, "seed": 1},
}
PANDAS = """
import pandas as pd
frame = pd.read_parquet("{source}")
assert frame["{column}"].notna().all()
frame.to_parquet("{out}", compression="zstd")
"""
PYARROW = """
import pyarrow.compute as pc, pyarrow.parquet as pq
with pq.ParquetFile("{source}") as file, pq.ParquetWriter("{out}", file.schema_arrow, compression="zstd") as out:
    for index in range(file.num_row_groups):
        group = file.read_row_group(index)
        assert not pc.any(pc.is_null(group["{column}"])).as_py()
        out.write_table(group)
"""
MEASURED = "import resource, runpy, sys; sys.argv = sys.argv[1:]\n{code}\n"


def make_table(path: Path, rows: int) -> None:
    """20 normal numbers, and whether a mixture of them is positive."""
    random = np.random.default_rng(0)
    weights = random.normal(size=len(NUMBERS))
    schema = pa.schema([*((name, pa.float64()) for name in NUMBERS), ("y", pa.int64())])
    with pq.ParquetWriter(path, schema) as out:
        for start in range(0, rows, CHUNK):
            values = random.normal(size=(min(CHUNK, rows - start), len(NUMBERS)))
            y = (values @ weights > 0).astype(np.int64)
            columns = [*np.round(values, 6).T, y]
            out.write_table(pa.table(list(map(pa.array, columns)), schema=schema), row_group_size=65_536)


def make_images(path: Path, rows: int) -> None:
    """MNIST's training images again and again, each time with other noise."""
    from pipelines.readers.formats import idx

    folder = Path(os.environ.get("MNIST", ROOT / "data" / "incoming" / "mnist"))
    source = folder / "train-images-idx3-ubyte.gz"
    batches = list(idx.read(source))
    pixels = np.concatenate([np.frombuffer(b["image"].buffers()[1], np.uint8).reshape(-1, 784) for b in batches])
    labels = np.concatenate([b["label"].to_numpy() for b in batches])
    random = np.random.default_rng(0)
    schema = pa.schema([("image", pa.binary(784)), ("y", pa.int64())])
    with pq.ParquetWriter(path, schema) as out:
        for start in range(0, rows, 20_000):
            places = np.arange(start, min(start + 20_000, rows)) % len(labels)
            noise = random.integers(0, 24, (len(places), 784), np.uint8)
            images = np.maximum(pixels[places], noise)
            column = pa.Array.from_buffers(pa.binary(784), len(places), [None, pa.py_buffer(images.tobytes())])
            out.write_table(pa.table([column, pa.array(labels[places])], schema=schema))


def declare(folder: Path, kind: str, rows: int) -> Path:
    """A project of one model, `grown`, with its file pinned; returns the file."""
    more = TABLE if kind == "table" else IMAGES
    content = more | {key: value | more.get(key, {}) if key != "format" else value for key, value in MODEL.items()}
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "grown.yaml").write_text(json.dumps(content))
    (folder / "models" / "grown.py").write_text('"""No code of its own."""\n')
    shutil.copyfile(ROOT / "dvc.yaml", folder / "dvc.yaml")
    source = folder / "data" / "grown" / "source" / "rows.parquet"
    source.parent.mkdir(parents=True)
    (make_table if kind == "table" else make_images)(source, rows)
    from pipelines.readers import sources

    entry = {"name": source.name, "bytes": source.stat().st_size, "sha256": sources.file_hash(source), "rows": rows}
    pin = {"format": 1, "source": "data/incoming/grown/", "kind": "files", "files": [entry]}
    (folder / "data" / "grown" / "pin.json").write_text(json.dumps(pin))
    return source


def run(folder: Path, *command: str, limit: int = 0) -> tuple[float, float]:
    """Run a command; returns its seconds and its peak memory in MB. limit: of its address space, in bytes."""

    def limited() -> None:
        if limit:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    environment = {key: value for key, value in os.environ.items() if not key.startswith("RATCHET_")}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT)},
        preexec_fn=limited,
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, f"{command} ended with {status}"
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def grow(kind: str, sizes: list[int]) -> None:
    print("| rows | what | seconds | rows/s | peak MB |\n| ---: | --- | ---: | ---: | ---: |")
    for rows in sizes:
        with tempfile.TemporaryDirectory(dir=ROOT / "data", prefix=".growth-") as temporary:
            folder = Path(temporary)
            source = declare(folder, kind, rows)
            told = {"source": source, "out": folder / "plain.parquet", "column": "y"}
            measured = []
            for stage in STAGES:
                measured.append((stage, run(folder, "-m", "pipelines", stage, "grown")))
            if rows <= 10_000_000:  # pandas holds it all
                measured.append(("pandas: read, check, write", run(folder, "-c", PANDAS.format(**told))))
            measured.append(("pyarrow: read, check, write, by row group", run(folder, "-c", PYARROW.format(**told))))
            for what, (seconds, peak) in measured:
                print(f"| {rows:,} | {what} | {seconds:.1f} | {rows / seconds:,.0f} | {peak:,.0f} |", flush=True)


def larger_than_memory() -> None:
    """3,000,000 images, of which 1,800,000 train: 784 floats each as features, 5.6 GB. The address space has 5 GB.

    More than three of these TensorFlow takes for its libraries, threads and programs before it has seen a row.
    """
    rows, limit = 3_000_000, 5_000_000_000
    with tempfile.TemporaryDirectory(dir=ROOT / "data", prefix=".growth-") as temporary:
        folder = Path(temporary)
        declare(folder, "images", rows)
        for stage in ("ingest", "validate", "clean", "check"):
            seconds, peak = run(folder, "-m", "pipelines", stage, "grown")
            print(f"{stage}: {seconds:.0f} s, {rows / seconds:,.0f} rows/s, peak {peak:,.0f} MB", flush=True)
        kept = json.loads((folder / "data/grown/clean.json").read_text())["splits"]["train"]["rows"]
        seconds, peak = run(folder, "-m", "pipelines", "train", "grown", limit=limit)
        history = (folder / "data/grown/history.csv").read_text().splitlines()
        print(
            f"trained on {kept:,} rows ({kept * 784 * 4 / 1e9:.1f} GB of features) in {seconds:.0f} s with an address "
        )
        print(f"space of {limit / 1e9:.1f} GB, peak {peak:,.0f} MB: {history[0]} = {history[-1]}")


def main(arguments: list[str]) -> None:
    sys.path.insert(0, str(ROOT))
    kind, *sizes = arguments or ["table"]
    print(f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    if kind == "larger":
        larger_than_memory()
    else:
        grow(kind, [int(size) for size in sizes] or [60_000, 600_000, 6_000_000])


if __name__ == "__main__":
    main(sys.argv[1:])
