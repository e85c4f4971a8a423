"""The clone, its clock, the hours of the city, and the servers that answer them."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import psutil
import requests

from flows.project import locks
from flows.project.environment import Project
from flows.records import attempts
from tests.support.clone import answer, clone_of_one, git, ratchet

MODEL, TARGET = "air", "pm25"
PATIENCE = 300.0  # seconds
COLUMNS = {
    "DEWP": "dew",
    "TEMP": "temperature",
    "PRES": "pressure",
    "cbwd": "wind",
    "Iws": "wind_speed",
    "Is": "snow",
    "Ir": "rain",
    "pm2.5": TARGET,
}
CLOCK = Path(__file__).parent / "clock"
YAML = f"""format: 1
data:
  kind: table
  task: regression
  target: {TARGET}
  columns: {{when: date, dew: number, temperature: number, pressure: number, wind: category, wind_speed: number,
    snow: number, rain: number}}
ingest: {{source: data/incoming/{MODEL}, timezone: UTC}}
validate: {{rules: [{{rule: expect_column_values_to_not_be_null, column: {TARGET}}}]}}
clean: {{event: [when], split: {{by: time, column: when, validation: 0.1, test: 0.2}}}}
check: {{}}
train: {{network: mlp, hidden: [128], wide: true, numbers: quantiles, bins: 40, min_count: 10, dropout: 0.3,
  weight_decay: 1.0, batch_size: 256, learning_rate: 0.001, epochs: 200, early_stopping: {{patience: 10}}}}
evaluate: {{metrics: [mean_absolute_error]}}
promote: {{metric: mean_absolute_error, at_most: 90, margin: 2.0}}
schedule: {{cron: "0 4 * * 1", timezone: UTC, on: {{quality: worse, labels: 24}}}}
labels: {{key: [when], learn: true}}
"""


def hours(path: Path) -> pd.DataFrame:
    """Every hour with its measurement, in order: `when` as an instant in UTC, weather, and TARGET."""
    table = pd.read_csv(path)
    when = pd.to_datetime(table[["year", "month", "day", "hour"]]).dt.strftime("%Y-%m-%dT%H:00:00Z")
    found = table[list(COLUMNS)].rename(columns=COLUMNS)
    found.insert(0, "when", when)
    return found[found[TARGET].notna()].reset_index(drop=True)


@dataclass
class City:
    """A clone whose model answers each hour of a city, a day at a time."""

    folder: Path
    hours: pd.DataFrame

    @property
    def root(self) -> Path:
        return self.folder / "clone"

    @property
    def state(self) -> Path:
        return self.root / ".ratchet"

    @property
    def project(self) -> Project:
        return Project(self.root, self.state, "", "")

    @property
    def variables(self) -> dict[str, str]:
        """For every process of the clone: they show this clock."""
        return {"PYTHONPATH": str(CLOCK), "BENCHMARK_CLOCK": str(self.folder / "clock")}

    # ------------------------------------------------------------------ its clock

    def set_clock(self, instant: datetime) -> None:
        ahead = (instant - datetime.now(UTC)).total_seconds()
        partial = self.folder / "clock.partial"
        partial.write_text(f"{ahead:.0f}\n")
        partial.rename(self.folder / "clock")
        time.sleep(0.3)  # every process has looked

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=float((self.folder / "clock").read_text()))

    # ------------------------------------------------------------------ commands

    def make(self, until: str) -> None:
        """The clone, with the hours before a day as its first file. Nothing if it is there."""
        if self.root.exists():
            return
        partial = self.folder / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        clone_of_one(partial, MODEL, YAML)
        incoming = partial / "data" / "incoming" / MODEL
        incoming.mkdir(parents=True)
        self.hours[self.hours["when"] < until].to_csv(incoming / "before.csv", index=False)
        git(partial, "add", "-A")
        git(partial, "commit", "-qm", "a model of the air")
        partial.rename(self.root)

    def do(self, *arguments: str) -> dict[str, Any]:
        """The answer of a command that must succeed."""
        return answer(self.root, *arguments, **self.variables)

    def up(self) -> None:
        self.do("up")

    def down(self) -> None:
        """Stop the servers, when no run needs them."""
        wait(lambda: ratchet(self.root, "down", **self.variables).returncode == 0 or None, "the end of a run")

    def address(self) -> str:
        servers = json.loads((self.state / "servers.json").read_text())["servers"]
        return str(next(server["url"] for server in servers if server["name"] == "serving"))

    # ------------------------------------------------------------------ what happens

    def ask(self, rows: pd.DataFrame) -> dict[str, Any]:
        """What the server answers to these hours. It may be starting."""
        sent = json.loads(rows.drop(columns=TARGET).to_json(orient="records"))

        def answered() -> dict[str, Any] | None:
            try:
                done = requests.post(f"{self.address()}/models/{MODEL}/predict", json=sent, timeout=30)
            except (requests.ConnectionError, StopIteration):
                return None
            return dict(done.json()) if done.ok else None

        return wait(answered, "an answer")

    def label(self, rows: pd.DataFrame, known: datetime) -> dict[str, Any]:
        """Tell what was measured: it happened within the hour, and is known now."""
        path = self.folder / "labels.csv"
        table = pd.DataFrame({"when": rows["when"], "label": rows[TARGET]})
        after = pd.to_datetime(rows["when"]) + pd.Timedelta(days=1)
        table["happened"] = after.dt.strftime("%Y-%m-%dT%H:%M:%SZ")
        table["known"] = known.strftime("%Y-%m-%dT%H:%M:%SZ")
        table.to_csv(path, index=False)
        return self.do("label", MODEL, str(path))

    def ticks(self) -> list[attempts.Tick]:
        return attempts.read(self.project, MODEL)

    def process(self, *words: str) -> psutil.Process | None:
        """The oldest process of the clone whose command line has all these words."""
        found = []
        for one in psutil.process_iter():
            try:
                if Path(one.cwd()).is_relative_to(self.root) and all(word in " ".join(one.cmdline()) for word in words):
                    found.append(one)
            except psutil.Error:
                continue
        return min(found, key=lambda one: one.create_time(), default=None)

    def kill(self, *words: str) -> bool:
        """kill -9; False if there is no such process."""
        found = self.process(*words)
        if found is not None:
            os.kill(found.pid, signal.SIGKILL)
        return found is not None

    def run(self) -> int | None:
        """The process of the run that is under way: whoever holds the lock of the model."""
        name = f"model-{MODEL}"
        if name not in locks.held(self.project):
            return None
        try:
            return locks.holder(self.project, name)
        except ValueError:
            return None

    def kill_run(self) -> bool:
        """kill -9; False if no run is under way."""
        found = self.run()
        if found is not None:
            os.kill(found, signal.SIGKILL)
        return found is not None


def wait(found: Callable[[], Any], what: str) -> Any:
    """Its first value that is not None. Raises TimeoutError."""
    end = time.monotonic() + PATIENCE
    while (value := found()) is None:
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come within {PATIENCE:.0f} s")
        time.sleep(0.1)
    return value
