"""What Ratchet costs beside the plain tools, all in one run: python benchmarks/overhead.py [ROUNDS] [--peers]

In a clone of this repository in a temporary folder: `ratchet run digits` from nothing, again with nothing changed
(with and without `ratchet up`), `dvc repro` with nothing changed, the plain Keras script that trains the same
network on the same rows, and `ratchet --help`. Prints medians of ROUNDS (default 5) and the ratio; keep the machine
idle meanwhile. With --peers a second table has the same work in Kedro, DVC alone and ZenML (benchmarks/peers.py), each
installed into a throwaway environment for it; one that cannot be is named with the reason.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import peers

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent

PLAIN = """
import keras
import numpy as np
import pandas as pd

def load(split):
    table = pd.read_parquet(f"data/digits/{split}.parquet")
    images = np.stack([np.frombuffer(image, np.uint8) for image in table["image"]])
    return images.astype("float32"), table["digit"].to_numpy()

keras.utils.set_random_seed(7)
x, y = load("train")
normal = keras.layers.Normalization()
normal.adapt(x)
hidden, output = keras.layers.Dense(128, "relu"), keras.layers.Dense(10, "softmax")
model = keras.Sequential([keras.Input((64,)), normal, hidden, output])
model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
model.fit(x, y, epochs=30, batch_size=32, validation_data=load("validation"), verbose=0)
print(model.evaluate(*load("test"), verbose=0)[1])
"""


def seconds(folder: Path, *command: str, says: str = "") -> float:
    """Of a command that succeeds. says: what must stand in its output, so that the right thing was measured."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
    environment["PATH"] = f"{BIN}{os.pathsep}{environment['PATH']}"
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert says in done.stdout, done.stdout
    return time.perf_counter() - start


def main(rounds: int) -> None:
    ratchet, dvc, python = (str(BIN / name) for name in ("ratchet", "dvc", "python"))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
        (folder / ".." / "plain.py").write_text(PLAIN)
        for fingerprint in folder.glob("data/*/fingerprint.json"):
            fingerprint.unlink()  # as on the machine of the record: elsewhere `dvc repro` trains anew after each run
        ratchet_here = [python, "-m", "flows.cli"]  # the clone's own code, not the installed one
        cold = seconds(folder, *ratchet_here, "run")
        seconds(folder, dvc, "repro")  # the other two models
        alone = [seconds(folder, *ratchet_here, "run") for _ in range(rounds)]
        seconds(folder, *ratchet_here, "up", "--no-schedule")
        try:
            pairs = [
                (seconds(folder, *ratchet_here, "run"), seconds(folder, dvc, "repro", says="up to date"))
                for _ in range(rounds)
            ]
        finally:
            seconds(folder, *ratchet_here, "down")
        plain = [seconds(folder, python, "../plain.py") for _ in range(rounds)]
        help_ = [seconds(folder, ratchet, "--help") for _ in range(rounds)]
    up, repro = (statistics.median(values) for values in zip(*pairs, strict=True))
    rows = [
        ("`ratchet run digits`, from nothing (databases made, all stages run)", cold),
        ("`ratchet run digits`, nothing changed, no server up", statistics.median(alone)),
        ("`ratchet run digits`, nothing changed, servers up", up),
        ("`dvc repro`, nothing changed", repro),
        ("plain Keras script, the same network on the same rows", statistics.median(plain)),
        ("`ratchet --help`", statistics.median(help_)),
    ]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{date.today()}, {machine}, {rounds} rounds")
    print("| what | seconds |\n| --- | ---: |")
    for what, value in rows:
        print(f"| {what} | {value:.2f} |")
    ratio = statistics.median(a / b for a, b in pairs)
    print(f"\nnothing changed and servers up, beside `dvc repro`: {ratio:.2f} times (pair by pair, median)")


def beside(rounds: int) -> None:
    """The same work in other tools: the first run in an empty folder, and the median of those with nothing changed."""
    print("\n| peer | first run, seconds | again, nothing changed, seconds |\n| --- | ---: | ---: |")
    for peer in peers.PEERS:
        with tempfile.TemporaryDirectory() as temporary:
            try:
                first, again = peers.measured(peer, Path(temporary), rounds)
            except (peers.NotThere, RuntimeError, subprocess.TimeoutExpired) as error:
                print(f"| {peer.name} | left out: {' '.join(str(error).split())[:200]} | |", flush=True)
                continue
        print(f"| {peer.name} | {first:.2f} | {statistics.median(again):.2f} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("rounds", type=int, nargs="?", default=5)
    parser.add_argument("--peers", action="store_true")
    asked = parser.parse_args()
    main(asked.rounds)
    if asked.peers:
        beside(asked.rounds)
