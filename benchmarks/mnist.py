"""MNIST at full size beside the plain script, all in one run: python benchmarks/mnist.py [ROUNDS] [FOLDER]

The textbook script (784-128-10, Adam, batches of 32, 10 epochs, 20 % held out, then evaluate and predict), reading the
four IDX files in FOLDER (default: data/incoming/mnist), and Ratchet in turn: the same network on the same rows through
`train`'s own fit, and `ratchet run mnist` in a fresh clone with its servers up, from nothing and again with nothing
changed. Every round is another seed for both. Prints medians of ROUNDS (default 5), ratios round by round, and the
difference of the test accuracies, with its 95 % interval if there are several. Keep the machine idle meanwhile.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
RATCHET = (sys.executable, "-m", "flows.cli")

PLAIN = """
import gzip, json, sys, time
import numpy as np
from tensorflow import keras

folder, seed = sys.argv[1], int(sys.argv[2])
keras.utils.set_random_seed(seed)

def idx(name, skip):
    with gzip.open(f"{folder}/{name}") as file:
        return np.frombuffer(file.read(), np.uint8, offset=skip)

x_train = idx("train-images-idx3-ubyte.gz", 16).reshape(60000, 784).astype("float32") / 255
x_test = idx("t10k-images-idx3-ubyte.gz", 16).reshape(10000, 784).astype("float32") / 255
y_train = keras.utils.to_categorical(idx("train-labels-idx1-ubyte.gz", 8), 10)
y_test = keras.utils.to_categorical(idx("t10k-labels-idx1-ubyte.gz", 8), 10)
model = keras.Sequential(
    [keras.Input((784,)), keras.layers.Dense(128, activation="relu"), keras.layers.Dense(10, activation="softmax")]
)
model.compile(optimizer="adam", loss="categorical_crossentropy", metrics=["accuracy"])
start = time.perf_counter()
model.fit(x_train, y_train, epochs=10, batch_size=32, validation_split=0.2, verbose=0)
fit = time.perf_counter() - start
accuracy = model.evaluate(x_test, y_test, verbose=0)[1]
model.predict(x_test[:5], verbose=0)
print(json.dumps({"fit": fit, "accuracy": accuracy}))
"""
FIT = """
import json, sys, time
from pathlib import Path
from pipelines import evaluate, train
from pipelines.config import settings
from pipelines.config.data import Data
from pipelines.hardware import device
from pipelines.model import statistics
from pipelines.training import compiled_fit
from pipelines.training.data_loader import Split

data, config = settings.load("mnist", "data", Data), settings.load("mnist", "train", train.Train)
config = config.model_copy(update={"seed": int(sys.argv[1])})
device.prepare(config, config.seed)
folder, out = Path("data/mnist"), Path(sys.argv[2])
splits = (Split(folder / "train.parquet", data), Split(folder / "validation.parquet", data))
seconds, plain = [], compiled_fit.fit

def timed(*arguments, **keywords):
    start = time.perf_counter()
    answer = plain(*arguments, **keywords)
    seconds.append(time.perf_counter() - start)
    return answer

compiled_fit.fit = timed
fitted = statistics.measure(data, splits[0].pieces)
train.save(train.train(config, fitted, splits, out / "history.csv"), data, config, fitted, out / "model")
found = evaluate.predict(evaluate.load(out / "model", "cpu")[0], folder / "test.parquet", data)
accuracy = evaluate.score(found, data, ["accuracy"])["accuracy"]
print(json.dumps({"fit": seconds[0], "accuracy": accuracy}))
"""


def run(folder: Path, *command: str) -> tuple[float, str]:
    """Seconds of a command, and what it said."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "MLFLOW_"))}
    environment["PATH"] = f"{BIN}{os.pathsep}{environment['PATH']}"
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return time.perf_counter() - start, done.stdout


def clone(folder: Path, images: Path) -> Path:
    subprocess.run(["git", "clone", "-q", str(ROOT), str(folder)], check=True)
    shutil.copytree(images, folder / "data" / "incoming" / "mnist")
    run(folder, sys.executable, "-m", "compileall", "-q", "flows", "pipelines")
    return folder


def one_round(place: Path, images: Path, made: Path, seed: int) -> dict[str, Any]:
    """made: a clone in which `ratchet run mnist` has been."""
    seconds, said = run(place, sys.executable, "plain.py", str(images), str(seed))
    plain = json.loads(said) | {"process": seconds}
    ours = json.loads(run(made, sys.executable, "fit.py", str(seed), str(place))[1])
    folder = clone(place / f"clone-{seed}", images)
    run(folder, *RATCHET, "up", "--no-schedule")
    try:
        whole, _ = run(folder, *RATCHET, "run", "mnist", "--json")
        again = statistics.median(run(folder, *RATCHET, "run", "mnist", "--json")[0] for _ in range(3))
    finally:
        run(folder, *RATCHET, "down")
    return {"plain": plain, "ratchet": ours | {"process": whole, "again": again}}


def prepared(place: Path, images: Path) -> Path:
    (place / "plain.py").write_text(PLAIN)
    made = clone(place / "made", images)
    run(made, *RATCHET, "run", "mnist", "--json")
    (made / "fit.py").write_text(FIT)
    return made


def main(arguments: list[str]) -> None:
    from scipy.stats import ttest_rel

    rounds = int(arguments[0]) if arguments else 5
    images = Path(arguments[1] if len(arguments) > 1 else ROOT / "data" / "incoming" / "mnist").resolve()
    with tempfile.TemporaryDirectory() as temporary:
        made = prepared(Path(temporary), images)
        found = [one_round(Path(temporary), images, made, seed) for seed in range(1, rounds + 1)]

    def middle(who: str, what: str) -> float:
        return statistics.median(entry[who][what] for entry in found)

    def times(of: str, by: str) -> float:
        return statistics.median(entry["ratchet"][of] / entry["plain"][by] for entry in found)

    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{date.today()}, {machine}, {rounds} rounds\n")
    print("| what | plain script, s | Ratchet, s | ratio |\n| --- | ---: | ---: | ---: |")
    rows = [("`fit`", "fit", "fit"), ("everything, from nothing", "process", "process"), ("again", "again", "process")]
    for name, of, by in rows:
        print(f"| {name} | {middle('plain', by):.2f} | {middle('ratchet', of):.2f} | {times(of, by):.3f} |")
    both = [[entry[who]["accuracy"] for entry in found] for who in ("ratchet", "plain")]
    gain = statistics.mean(a - b for a, b in zip(*both, strict=True))
    means = [f"{statistics.mean(values):.4f}" for values in both]
    print(f"\ntest accuracy: Ratchet {means[0]}, plain {means[1]}: difference {gain:+.4f}", end="")
    if rounds > 1:
        interval = ttest_rel(*both).confidence_interval()
        print(f" [{interval.low:+.4f}, {interval.high:+.4f}]", end="")
    print()


if __name__ == "__main__":
    main(sys.argv[1:])
