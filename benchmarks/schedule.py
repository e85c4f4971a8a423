"""How fast the schedule is, in one run: python benchmarks/schedule.py [ROUNDS]

In a copy of this repository in a temporary folder: `ratchet up`, and `breast_cancer` on a schedule of some seconds,
its rows arriving in portions. Printed, as medians of ROUNDS (default 5), from Prefect's own record of each run: from
the tick to its first task and to its first stage, a tick with nothing new, a whole retraining from tick to decision,
and what a kill costs: from `ratchet up` after a `kill -9` in the middle of a training to the crash being marked, to the
next run, and to its decision. Keep the machine idle meanwhile.
"""

import json
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from flows.project.environment import Project  # noqa: E402
from flows.records import attempts  # noqa: E402
from pipelines.readers import sources  # noqa: E402
from tests.support.clone import answer, clone, edit, git, prefect  # noqa: E402

MODEL, EVERY = "breast_cancer", 15  # seconds between two ticks
PORTION = 20  # rows
PATIENCE = 300  # seconds


class Shop:
    """The clone, its rows, and what is recorded of its runs."""

    def __init__(self, root: Path):
        self.root = clone(root)
        self.project = Project(self.root, self.root / ".ratchet", "", "")
        self.rows = sources.breast_cancer().to_pandas()
        self.sent = 0
        self.incoming = self.root / "data" / "incoming" / MODEL
        self.incoming.mkdir(parents=True)
        yaml = self.root / "models" / f"{MODEL}.yaml"
        edit(yaml, '"builtin:breast_cancer"', f"data/incoming/{MODEL}")
        edit(yaml, 'cron: "0 4 * * 1", timezone: UTC', f"every_seconds: {EVERY}")
        git(self.root, "commit", "-qam", "rows in portions")

    def send(self, rows: int) -> None:
        part = self.rows[self.sent : self.sent + rows]
        partial = self.incoming / f".{self.sent}.partial"
        part.to_csv(partial, index=False)
        partial.rename(self.incoming / f"{self.sent}.csv")
        self.sent += rows

    def tick(self, wanted: Callable[[attempts.Tick], bool], after: int) -> attempts.Tick:
        return wait(lambda: next((t for t in attempts.read(self.project, MODEL)[after:] if wanted(t)), None))

    def count(self) -> int:
        return len(attempts.read(self.project, MODEL))

    def ask(self, path: str, **content: Any) -> Any:
        return prefect(self.root, path, content=content).json()

    def run(self, flow_run: str) -> dict[str, float]:
        """Seconds from the tick to its first task, its first stage, and its end."""
        run = wait(lambda: self._ended(flow_run))
        tasks = self.ask("task_runs/filter", flow_runs={"id": {"any_": [flow_run]}})
        starts = {task["name"]: instant(task["start_time"]) for task in tasks if task["start_time"]}
        due = instant(run["expected_start_time"])
        first = {name: starts[name] - due for name in ("refresh", "ingest") if name in starts}
        return first | {"end": instant(run["end_time"]) - due}

    def _ended(self, flow_run: str) -> dict[str, Any] | None:
        (run,) = self.ask("flow_runs/filter", flow_runs={"id": {"any_": [flow_run]}})
        return run if run["end_time"] else None

    def kill(self) -> None:
        """The scheduler and all that it has started."""
        pid = json.loads((self.root / ".ratchet" / "schedule.json").read_text())["pid"]
        group = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        for process in group:
            process.kill()
        psutil.wait_procs(group, timeout=10)


def instant(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def wait(look: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE
    while not (found := look()):
        if time.monotonic() > until:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(0.05)
    return found


def retraining(shop: Shop) -> dict[str, float]:
    nothing_new(shop)  # so that no tick waits behind the retraining before
    after = shop.count()
    shop.send(PORTION)
    return shop.run(shop.tick(lambda tick: tick.outcome in attempts.CONCLUDED, after).flow_run)


def nothing_new(shop: Shop) -> dict[str, float]:
    return shop.run(shop.tick(lambda tick: tick.reason.startswith("no new rows"), shop.count()).flow_run)


def recovery(shop: Shop) -> dict[str, float]:
    """Seconds from `ratchet up` to the mark on the run that died, to the next run, and to its decision."""
    after = shop.count()
    shop.send(PORTION)
    began = shop.tick(lambda tick: tick.outcome == "began", after)
    wait(lambda: (shop.root / ".ratchet" / "logs" / "runs" / began.flow_run / "train").exists())
    shop.kill()
    start = time.time()
    answer(shop.root, "up")
    (died,) = shop.ask("flow_runs/filter", flow_runs={"id": {"any_": [began.flow_run]}})
    marked = instant(died["state"]["timestamp"]) - start
    again = shop.tick(lambda tick: tick.outcome == "began" and tick.flow_run != began.flow_run, after)
    decided = shop.tick(lambda tick: tick.outcome in attempts.CONCLUDED, after)
    return {"marked": marked, "began": instant(again.at) - start, "decided": instant(decided.at) - start}


def main(rounds: int) -> None:
    root = Path(tempfile.mkdtemp(prefix="ratchet-schedule-"))
    shop = Shop(root / "clone")
    shop.send(300)
    try:
        start = time.time()
        answer(shop.root, "up")
        up = time.time() - start
        shop.tick(lambda tick: tick.outcome in attempts.CONCLUDED, 0)
        trained = [retraining(shop) for _ in range(rounds)]
        idle = [nothing_new(shop) for _ in range(rounds)]
        killed = [recovery(shop) for _ in range(min(rounds, 3))]
    finally:
        wait(lambda: not _busy(shop))
        answer(shop.root, "down")
        shutil.rmtree(root, ignore_errors=True)
    rows = [
        ("`ratchet up`, from nothing", up),
        ("tick to first task", median(trained + idle, "refresh")),
        ("tick to first stage, with new rows", median(trained, "ingest")),
        ("tick with nothing new, to its end", median(idle, "end")),
        ("retraining, from tick to decision", median(trained, "end")),
        ("kill -9 in a training: `ratchet up` to the run marked crashed", median(killed, "marked")),
        ("... to the next run", median(killed, "began")),
        ("... to its decision", median(killed, "decided")),
    ]
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    print(f"{date.today()}, {machine}, {rounds} rounds")
    print("| what | seconds |\n| --- | ---: |")
    for what, value in rows:
        print(f"| {what} | {value:.2f} |")


def median(found: list[dict[str, float]], key: str) -> float:
    return statistics.median(one[key] for one in found)


def _busy(shop: Shop) -> bool:
    from flows.project import locks

    return f"model-{MODEL}" in locks.held(shop.project)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
