"""Every format and variant of a model beside it: python benchmarks/small.py FOLDER --data DATA [MODEL ...]

DATA holds mnist/, telco-churn.csv and pollution.csv. In FOLDER a clone of this repository trains the models digits,
breast_cancer, mnist_cnn, mnist, churn and pollution (the last two by `ratchet new`), unless they are there: what was
made is not made again, so an interrupted call goes on. Each version is exported in every format by `ratchet export`,
and what the stage `compress` has made is taken too: the clone asks for every variant.

Prints a Markdown table for each model: bytes of the model's file; median time of one raw row, asked in turn of a
process for each, and its ratio to Keras; the memory that such a process has had; the gate's metric on the first test
rows with its interval at 95 %; labels that differ from Keras'. A model takes a few minutes after its training.
"""

import argparse
import json
import platform
import random
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from small.made import Project  # noqa: E402

from flows.export import folder as exported  # noqa: E402
from flows.export import rows  # noqa: E402
from flows.promotion.statistics.interval import interval  # noqa: E402
from pipelines.model.metrics import Answers  # noqa: E402

MODELS = ["digits", "breast_cancer", "mnist_cnn", "mnist", "churn", "pollution"]
WORKER = Path(__file__).parent / "small" / "worker.py"
SINGLES = 10  # rows that one process answers in its turn
HEAD = ["file", "bytes", "one row", "of Keras", "memory", "metric on the test rows", "labels changed"]


class Process:
    """One export that is asked."""

    def __init__(self, place: Path, table: Path):
        command = [sys.executable, "-I", "-W", "ignore", str(WORKER), str(place), str(table)]
        environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "PATH": "/usr/bin:/bin"}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment,
        )
        self.peak_bytes = int(self._line().split()[1])
        self.seconds: list[float] = []

    def answers(self, file: Path) -> np.ndarray:
        self._ask(f"answers {file}")
        return np.load(file)

    def time(self, start: int) -> None:
        self.seconds += json.loads(self._ask(f"time {start} {SINGLES}"))

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, text: str) -> str:
        print(text, file=self._process.stdin, flush=True)
        return self._line()

    def _line(self) -> str:
        found = self._process.stdout.readline()
        if not found:
            raise RuntimeError("the process of an export has ended")
        return found


def table(project: Project, name: str, most: int, rounds: int, seed: int) -> None:
    """Print the table of one model."""
    data = project.model(name)
    places = project.exports(name)
    places |= project.variants(name, places["onnx"]) if "onnx" in places else {}
    about = json.loads((data / "model" / "model.json").read_text())
    declared = YAML(typ="safe").load((project.root / "models" / f"{name}.yaml").read_text())
    test = pq.read_table(data / "test.parquet").slice(0, most)
    truth = pd.read_parquet(data / "predictions.parquet").set_index("row_id").loc[test["row_id"].to_pylist()]
    with tempfile.TemporaryDirectory() as temporary:
        asked = Path(temporary) / "rows.json"
        asked.write_text(rows.text(rows.golden(test, about)), encoding="utf-8")
        running = {title: Process(place, asked) for title, place in places.items()}
        found = {title: one.answers(Path(temporary) / "answers.npy") for title, one in running.items()}
        _time(list(running.values()), test.num_rows, rounds, seed)
        for one in running.values():
            one.close()
    metric = declared["promote"]["metric"]
    print(f"\n### {name}: {test.num_rows:,} test rows, {metric}\n\n| {' | '.join(HEAD)} |\n|{'---|' * len(HEAD)}")
    keras = statistics.median(running["keras"].seconds)
    for title, place in places.items():
        took = statistics.median(running[title].seconds)
        file = place / json.loads((place / "features.json").read_text())["file"]
        score = interval(metric, _answers(found[title], truth, about), 0.025)
        shown = f"{score.value:.4f} [{score.low:.4f}, {score.high:.4f}]" if score else "none"
        changed = int((found[title].argmax(1) != found["keras"].argmax(1)).sum()) if about["classes"] else "-"
        cells = [title, f"{exported.weight(file):,}", f"{took * 1e6:,.0f} us", f"{took / keras:.2f}"]
        cells += [f"{running[title].peak_bytes / 1e6:,.0f} MB", shown, str(changed)]
        print(f"| {' | '.join(cells)} |", flush=True)


def _time(running: list[Process], count: int, rounds: int, seed: int) -> None:
    """Ask all in turn, in another order each round: what else the machine does meets them alike."""
    drawn = random.Random(seed)
    for turn in range(rounds + 1):
        for one in drawn.sample(running, len(running)):
            one.time(turn * SINGLES % count)
        if not turn:  # the first one warms up
            for one in running:
                one.seconds.clear()


def _answers(found: np.ndarray, truth: pd.DataFrame, about: dict[str, Any]) -> Answers:
    classes = about["classes"]
    content = pd.DataFrame({"row_id": truth.index, "actual": truth["actual"].to_numpy()})
    content["prediction"] = np.array(classes)[found.argmax(1)] if classes else found[:, 0].astype(np.float64)
    for place, one in enumerate(classes):
        content[f"probability_{one}"] = found[:, place]
    return Answers.read(content, about["label"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("models", nargs="*", default=MODELS, metavar="MODEL", help=", ".join(MODELS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=2000, help="test rows, at most")
    parser.add_argument("--rounds", type=int, default=30, help=f"of {SINGLES} single rows for each export")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_intermixed_args()
    print(f"{date.today()}, {platform.machine()}, Python {platform.python_version()}, seed {asked.seed}")
    here = Project(asked.folder.resolve(), asked.data.resolve())
    for one in asked.models:
        table(here, one, asked.rows, asked.rounds, asked.seed)
