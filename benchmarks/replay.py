"""Two years of data, fed month by month: python benchmarks/replay.py FOLDER [MONTHS]

In a copy of this repository in FOLDER, with the servers up: a model of what four shops sell in a day, whose split by
time moves with the data. It begins with six months; then MONTHS (default 24) arrive one after the other, and a run
retrains after each, as a tick of the schedule would. After half of them the pattern changes: until then a busy day is
followed by a busy one, from then on by a quiet one. Printed: the rows of training, the decision, and the error on each
month of the champion that was in charge when it came, beside that of the model of the first half. No month was in their
training.

After 28 minutes it stops; the same command goes on where it stopped. The seed is printed.
"""

import contextlib
import json
import os
import platform
import shutil
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from flows.load import load_model  # noqa: E402
from pipelines.config import settings  # noqa: E402
from pipelines.config.data import Data  # noqa: E402
from pipelines.table import row_groups  # noqa: E402
from pipelines.table.series import windows  # noqa: E402
from tests.support.clone import answer, clone_of_one, git  # noqa: E402

MODEL, SEED = "orders", 24
BEFORE = 6  # months that are there at the beginning
SHOPS, LEVEL, NOISE = ("north", "east", "south", "west"), 50.0, 4.0
MOMENTUM = (0.3, -0.5)  # how much of a day's surplus the next day has: in the first half, and in the second
BEST = NOISE * (2 / np.pi) ** 0.5  # the mean absolute error of a forecast that knows all but the noise
PART = 28 * 60.0  # seconds
DECLARED: dict[str, Any] = {
    "format": 1,
    "data": {
        "kind": "sequence",
        "task": "regression",
        "target": "sold",
        "time": "day",
        "series": ["shop"],
        "step": 86400,
        "window": 7,
        "columns": {"day": "date", "shop": "category"},
    },
    "ingest": {"source": f"data/incoming/{MODEL}"},
    "validate": {"rules": [{"rule": "expect_column_values_to_not_be_null", "column": "sold"}]},
    "clean": {"split": {"by": "time", "column": "day", "validation": "20d", "test": "90d"}},
    "check": {},
    "train": {
        "network": "rnn",
        "recurrent": [8],
        "hidden": [],
        "loss": "mean_absolute_error",
        "batch_size": 64,
        "learning_rate": 0.01,
        "epochs": 30,
        "early_stopping": {"patience": 6},
    },
    "evaluate": {"metrics": ["mean_absolute_error"]},
    "promote": {"metric": "mean_absolute_error", "at_most": 20.0, "margin": 0.25},
    "schedule": {},
}


@dataclass(frozen=True)
class Month:
    """What a run made of a month. champion: after it."""

    name: str
    rows: dict[str, int]  # of each split
    decision: str
    reason: str
    version: int | None
    champion: int | None


def sold(months: int, seed: int = SEED) -> dict[str, pd.DataFrame]:
    """The rows of each month. The momentum changes after BEFORE and half of the others."""
    names = pd.period_range("2024-01", periods=months, freq="M")
    random, days = np.random.default_rng(seed), pd.date_range(names[0].start_time, names[-1].end_time, freq="D")
    turn = names[BEFORE + (months - BEFORE) // 2].start_time
    parts = []
    for shop in SHOPS:
        noise, above = random.normal(0, NOISE, len(days)), np.zeros(len(days))
        for index in range(1, len(days)):
            above[index] = MOMENTUM[int(days[index] >= turn)] * above[index - 1] + noise[index]
        values = (LEVEL + above).round(3)
        parts.append(pd.DataFrame({"day": days.strftime("%Y-%m-%dT00:00:00Z"), "shop": shop, "sold": values}))
    table = pd.concat(parts, ignore_index=True)
    return {str(name): table[table["day"].str.startswith(str(name))] for name in names}


class Replay:
    """The clone, its months, and what is recorded of them in months.jsonl."""

    def __init__(self, folder: Path, months: int, declared: dict[str, Any] = DECLARED):
        self.folder, self.root, self.declared = folder, folder / "clone", declared
        self.months = sold(BEFORE + months)
        self.incoming = self.root / "data" / "incoming" / MODEL

    def begin(self) -> None:
        """Make the clone, if it is not there yet."""
        if self.root.exists():
            return
        partial = self.folder / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        clone_of_one(partial, MODEL, json.dumps(self.declared))
        git(partial, "add", "-A")
        git(partial, "commit", "-qm", "a model of orders")
        partial.rename(self.root)

    @property
    def known(self) -> list[Month]:
        path = self.folder / "months.jsonl"
        lines = path.read_text().splitlines() if path.exists() else []
        return [Month(**json.loads(line)) for line in lines]

    def feed(self, seconds: float) -> bool:
        """One month after the other, until all are there or the time is over; returns whether all are."""
        end = time.monotonic() + seconds
        names = list(self.months)
        while (done := len(self.known)) < len(names) - BEFORE + 1:
            if time.monotonic() > end:
                return False
            sent = names[: BEFORE + done]
            self.send(sent[-1] if done else "beginning", sent[-1:] if done else sent)
            self.note(answer(self.root, "run", MODEL), sent[-1])
        return True

    def send(self, name: str, months: list[str]) -> None:
        """A file of months that is there at once; one that was sent before a stop stays."""
        path, partial = self.incoming / f"{name}.csv", self.incoming / f".{name}.partial"
        if path.exists():
            return
        self.incoming.mkdir(parents=True, exist_ok=True)
        pd.concat([self.months[month] for month in months]).to_csv(partial, index=False)
        partial.rename(path)

    def note(self, found: dict[str, Any], name: str) -> None:
        """found: the answer of `ratchet run --json`."""
        report = json.loads((self.root / "data" / MODEL / "clean.json").read_text())
        rows = {split: part["rows"] for split, part in report["splits"].items()}
        month = Month(name, rows, *(found[key] for key in ("decision", "reason", "version", "champion")))
        with (self.folder / "months.jsonl").open("a") as file:
            file.write(json.dumps(asdict(month)) + "\n")
        print(f"{name}: {rows['train']} training rows, {month.decision}", file=sys.stderr, flush=True)

    def errors(self, versions: set[int]) -> dict[int, dict[str, float]]:
        """The mean absolute error of each version on each month; what came before a day is known to it."""
        with contextlib.chdir(self.root):
            data, folder = settings.load(MODEL, "data", Data), Path("data") / MODEL
            read = lambda: row_groups.batches(folder / "raw.parquet")  # noqa: E731
            seen = pa.concat_tables(windows.windows(read, data, folder, Counter())).to_pandas()
            result = {}
            for version in versions:
                said = load_model(MODEL, version).predict(seen.drop(columns=["row_id", "sold"]))["prediction"]
                wrong = (said.to_numpy() - seen["sold"]).abs().groupby(seen["day"].str[:7]).mean()
                result[version] = {str(name): float(value) for name, value in wrong.items()}
        return result

    def told(self) -> list[dict[str, Any]]:
        """A row for each month. in_charge: the error of the champion when the month came; first_half: of the model
        that was champion before the pattern changed."""
        first, *later = self.known
        half = later[(len(self.months) - BEFORE) // 2 - 1].champion
        errors = self.errors({half, *(month.champion for month in (first, *later))})
        result = []
        for before, month in zip([first, *later], later, strict=False):
            wrong = {"in_charge": errors[before.champion][month.name], "first_half": errors[half][month.name]}
            result.append(asdict(month) | {"before": before.champion} | wrong)
        return result


def main(folder: Path, months: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    replay = Replay(folder.resolve(), months)
    print(f"seed {SEED}, {months} months, in {folder}")
    start = time.monotonic()
    replay.begin()
    try:
        answer(replay.root, "up", "--no-schedule")
        whole = replay.feed(PART)
        rows = replay.told() if whole else []
    finally:
        answer(replay.root, "down")
    if not whole:
        print(f"{len(replay.known)} of {months + 1} are done: the same command goes on.")
        return
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{date.today()}, {machine}, {time.monotonic() - start:.0f} s. No forecast can be better than {BEST:.2f}.")
    print("| month | train | test | decision | champion when it came | its error | error of the first half's model |")
    print("| --- | ---: | ---: | --- | --- | ---: | ---: |")
    for row in rows:
        cells = [row["name"], row["rows"]["train"], row["rows"]["test"], row["decision"], f"version {row['before']}"]
        print("| " + " | ".join(map(str, cells)) + f" | {row['in_charge']:.2f} | {row['first_half']:.2f} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 24)
