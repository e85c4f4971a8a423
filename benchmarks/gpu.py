"""What a GPU gives and costs: python benchmarks/gpu.py [ROWS]

In a clone of this repository in a temporary folder, on made-up pictures of 28 x 28 points in ten classes: the same
network on the CPU and on the GPU, in each precision, with and without XLA and determinism; whether the same training
twice gives the same bytes; how far the predictions of CPU and GPU lie apart; a batch that does not fit; two trainings
that want one GPU; two GPUs, if there are two. Without a GPU the lines of the CPU are printed, and what was left out.
Rows per second are medians of all epochs but the first. Keep the machine idle meanwhile.
"""

import csv
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
MODEL = "pictures"
TRAIN = {"network": "cnn", "filters": [16, 32], "hidden": [128], "epochs": 4, "batch_size": 256, "dropout": 0.2}
WAYS: dict[str, dict[str, Any]] = {  # on both kinds of device
    "": {},
    ", no XLA": {"xla": "off"},
    ", not deterministic": {"deterministic": False},
    ", micro-batches of 64": {"micro_batch": 64},
    ", mixed_bfloat16": {"precision": "mixed_bfloat16"},
}
MORE = {", mixed_float16": {"precision": "mixed_float16"}, ", precision auto": {"precision": "auto"}}  # on a GPU
CPU = {f"CPU{name}": {"device": "cpu"} | changes for name, changes in WAYS.items()}
GPU = {f"GPU{name}": {"device": "gpu"} | changes for name, changes in (WAYS | MORE).items()}
APART = """
import sys
import pyarrow.parquet as pq
one, other = (pq.read_table(path).to_pandas() for path in sys.argv[1:])
names = [name for name in one if name.startswith("probability_")]
print((one[names] - other[names]).abs().max().max(), (one["prediction"] != other["prediction"]).sum(), len(one))
"""


LIMITED = """
import runpy, sys
from pipelines.hardware import device

def settle(found, choice):
    import tensorflow as tf
    tf.config.set_visible_devices(found[:1], "GPU")
    limit = tf.config.LogicalDeviceConfiguration(memory_limit=4000)
    tf.config.set_logical_device_configuration(found[0], [limit])

device._settle = settle
sys.argv = ["pipelines", "train", "pictures"]
runpy.run_module("pipelines", run_name="__main__", alter_sys=True)
"""


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "project"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
        os.chdir(folder)
        prepare(rows)
        there = usable()
        print(f"{date.today()}, {platform.processor() or platform.machine()}, {os.cpu_count()} cores; {rows:,} rows")
        print("\n".join(there) or "no usable GPU: the lines of the CPU alone")
        found = {name: case(name, changes) for name, changes in (CPU | (GPU if there else {})).items()}
        for name in ("CPU", *(["GPU"] if there else [])):
            same = case(name, (CPU | GPU)[name], quiet=True)["hash"] == found[name]["hash"]
            print(f"{name}: the same training again gives {'the same bytes' if same else 'OTHER BYTES'}")
        if there:
            across()
            short_memory()
            two_at_once()
        if len(there) > 1:
            for devices in (1, 2):
                case(f"{devices} GPUs, batch {256 * devices}", {"device": "gpu", "devices": devices, "scale": "linear"})


def usable() -> list[str]:
    """A line for each GPU that can be used."""
    code = "from pipelines.hardware import gpus; [print(gpu.short, gpu.name) for gpu in gpus.usable(gpus.look())]"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.splitlines()


def prepare(rows: int) -> None:
    """The model, its data, and every stage before `train`."""
    random = np.random.default_rng(0)
    label = random.integers(0, 10, rows)
    shapes = random.integers(0, 200, (10, 28, 28))
    images = np.clip(shapes[label] * 0.5 + random.normal(60, 60, (rows, 28, 28)), 0, 255).astype(np.uint8)
    source = Path("data/incoming") / MODEL
    source.mkdir(parents=True)
    table = pd.DataFrame({"image": [image.tobytes() for image in images], "shape": label})
    table.to_parquet(source / "rows.parquet", index=False)
    declare({})
    Path(f"models/{MODEL}.py").write_text('"""No code of its own."""\n')
    code = (
        "from flows.data import refresh; from flows.graph import model_list; from flows.graph.pipeline import Graph\n"
        "from flows.project import environment; from pipelines import model_file\n"
        f"project = environment.find(); model_list.add(project, {MODEL!r})\n"
        f"with Graph(project, {MODEL!r}) as graph: refresh.refresh(project, graph, model_file.check({MODEL!r}), '')"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    for stage in ("ingest", "validate", "clean", "check"):
        run(stage)


def declare(changes: dict[str, Any]) -> None:
    sections: dict[str, Any] = {
        "format": 1,
        "data": {
            "kind": "image",
            "task": "classification",
            "target": "shape",
            "label": "integer",
            "shape": [28, 28, 1],
        },
        "ingest": {"source": f"data/incoming/{MODEL}/"},
        "validate": {},
        "clean": {"split": {"by": "hash", "seed": 0}},
        "check": {},
        "train": TRAIN | changes,
        "evaluate": {"metrics": ["accuracy", "log_loss"], "device": changes.get("device", "auto")},
        "promote": {"metric": "accuracy", "at_least": 0.5},
        "schedule": {},
    }
    with Path(f"models/{MODEL}.yaml").open("w") as file:
        YAML().dump(sections, file)


def run(stage: str) -> str:
    """What a stage prints; the benchmark ends if it fails."""
    done = subprocess.run([sys.executable, "-m", "pipelines", stage, MODEL], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{stage}: {done.stderr}")
    return done.stdout


def case(name: str, changes: dict[str, Any], quiet: bool = False) -> dict[str, Any]:
    """Train and evaluate; one line of figures."""
    declare(changes)
    start = time.perf_counter()
    said = run("train")
    seconds = time.perf_counter() - start
    run("evaluate")
    folder = Path("data") / MODEL
    with (folder / "pace.csv").open() as file:
        pace = list(csv.DictReader(file))[1:]
    rate = statistics.median(float(line["rows_per_second"]) for line in pace)
    scores = json.loads((folder / "metrics.json").read_text())["test"]
    (folder / "predictions.parquet").replace(folder / f"{name}.parquet")
    if not quiet:
        told = f"accuracy {scores['accuracy']:.4f}, log loss {scores['log_loss']:.4f}"
        print(f"{name:28}{rate:12,.0f} rows/s   process {seconds:6.1f} s   {told}", flush=True)
        print("\n".join(f"    {line}" for line in said.splitlines() if line.startswith("note: ")), flush=True)
    return {"hash": (folder / "model" / "manifest.json").read_text()}


def across() -> None:
    """The model of the GPU, evaluated on both kinds of device."""
    declare(GPU["GPU"])
    run("train")
    folder = Path("data") / MODEL
    for kind in ("cpu", "gpu"):
        declare(GPU["GPU"])
        text = Path(f"models/{MODEL}.yaml").read_text().replace("device: gpu\npromote", f"device: {kind}\npromote")
        Path(f"models/{MODEL}.yaml").write_text(text)
        run("evaluate")
        (folder / "predictions.parquet").replace(folder / f"on-{kind}.parquet")
    paths = [str(folder / f"on-{kind}.parquet") for kind in ("cpu", "gpu")]
    largest, changed, rows = subprocess.check_output([sys.executable, "-c", APART, *paths], text=True).split()
    print(f"one model on CPU and GPU: probabilities differ by {float(largest):.1e} at most, {changed} of {rows} labels")


def short_memory() -> None:
    """A batch of everything, in little memory: TensorFlow's own limit on the first GPU."""
    declare({"device": "gpu", "batch_size": 12_288, "filters": [128, 256], "epochs": 1})
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True)
    told = [line for line in done.stdout.splitlines() if "at once" in line]
    print(f"4,000 MB of memory, a batch of 12,288: {told or 'IT FITTED'}; exit status {done.returncode} {done.stderr}")


def two_at_once() -> None:
    """Two trainings that want the same GPU: the second says for whom it waits."""
    declare(GPU["GPU"])
    command = [sys.executable, "-m", "pipelines", "train", MODEL]
    other = Path(tempfile.mkdtemp()) / "other"
    subprocess.run(["cp", "-r", ".", str(other)], check=True)
    both = [
        subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, text=True, env=os.environ | {"CUDA_VISIBLE_DEVICES": "0"}
        )
        for folder in (".", other)
    ]
    said = [process.communicate()[0] for process in both]
    waited = [line for text in said for line in text.splitlines() if "waiting" in line]
    print(f"two trainings, one GPU: {waited or 'NEITHER WAITED'}")


if __name__ == "__main__":
    main()
