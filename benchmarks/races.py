"""Five processes decide about one model at once: python benchmarks/races.py [--rounds 200] [--seed N] [--from K]

In each round two processes promote, one rolls back, and two do what the gate does once it has judged, in a project with
real registered artifacts, a real MLflow store and a real ledger; a sixth one looks for a problem all the time. They
start together, each after a random delay. Afterwards must hold:

- no process saw an alias that was "changed outside Ratchet";
- the ledger's chain is unbroken, and each line begins at the champion that the lines before it made;
- the alias is the ledger's champion;
- each decision is one line, and each that came too late is one line "refused"; a person is told so.

Prints the seed, then a table. A round depends on seed and number alone: `--seed N --from K` goes on with round K.
`--ledger URL` uses that database, which may be emptied, for the ledger.
"""

import argparse
import json
import multiprocessing
import os
import platform
import random
import sys
import tempfile
import time
import warnings
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from flows.project.environment import Project  # noqa: E402
from flows.promotion import champion_alias, decide  # noqa: E402
from flows.records import ledger  # noqa: E402
from flows.records.champion_state import MOVES, stand  # noqa: E402
from flows.records.ledger import Line  # noqa: E402
from flows.tracking import mlflow_runs  # noqa: E402
from pipelines.errors import RatchetError  # noqa: E402
from tests.support import registered  # noqa: E402
from tests.support.registered import MODEL  # noqa: E402

WORK = (("promote", 3), ("promote", 4), ("roll back", 0), ("gate", 5), ("gate", 6))  # what, version
DELAYS = (0.0, 0.05, 0.3)  # seconds, the longest of a round
IMPORTED = [  # once, before the processes start
    "flows.promotion.decide",
    "tests.support.registered",
    "mlflow.pyfunc",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
]
PATIENCE = 600  # seconds
TOO_LATE = "Somebody else decided"
End = tuple[str, int]  # "done" or how it ended, how often it came too late

START: Any = None  # in each process: where those who decide wait for each other
STOP: Any = None  # the end of the round


def enter(start: Any, stop: Any) -> None:
    global START, STOP
    START, STOP = start, stop


def act(project: Project, what: str, version: int, delay: float, accepts: bool) -> End:
    """The part of one process in one round."""
    store, book = mlflow_runs.client(project), ledger.of(project)
    START.wait(PATIENCE)
    time.sleep(delay)
    try:
        if what == "promote":
            champion_alias.promote(project, MODEL, version, "a race")
        elif what == "roll back":
            champion_alias.rollback(project, MODEL, "a race", hold=False)
        else:
            return gate(store, book, version, accepts)
    except RatchetError as error:
        late = error.what.startswith(TOO_LATE)
        return TOO_LATE if late else f"{what}: {type(error).__name__}: {error}", int(late)
    return "done", 0


def gate(store: Any, book: ledger.Ledger, version: int, accepts: bool) -> End:
    """As `decide`, whose evidence is made up: reads, judges, writes, follows; again if the champion has changed."""
    for late in range(decide.ATTEMPTS):
        now = champion_alias.settle(store, book, MODEL)
        action, after = ("accepted", version) if accepts else ("rejected", now.champion)
        about = json.dumps({"looks": [], "better": accepts, "compared_with": now.reference})
        line = Line(MODEL, 0, action, version, now.champion, after, after, "a race", about, actor="gate")
        if (written := decide._write(store, book, now, line)) is not None:
            champion_alias.follow(store, book, written)
            return "done", late
    return TOO_LATE, decide.ATTEMPTS


def watch(project: Project) -> tuple[int, set[str]]:
    """Look until the others are done: how often, and what was wrong."""
    store, book, count, wrong = mlflow_runs.client(project), ledger.of(project), 0, set()
    while not STOP.wait(0.01):
        wrong.add(champion_alias.compare(store, book, MODEL)[1])
        count += 1
    return count, wrong - {""}


def begin(project: Project) -> None:
    """Version 2 is champion, version 1 was."""
    registered.forget(project)
    store, book = mlflow_runs.client(project), ledger.of(project)
    for version in (1, 2):
        registered.accept(project, version)
        champion_alias.settle(store, book, MODEL)


class Racers:
    """Six processes that stay for all rounds."""

    def __init__(self, context: Any):
        self.stop = context.Event()
        entered = (context.Barrier(len(WORK)), self.stop)
        self.pool = ProcessPoolExecutor(len(WORK) + 1, context, initializer=enter, initargs=entered)

    def race(self, project: Project, chance: random.Random) -> tuple[list[End], tuple[int, set[str]]]:
        """The ends of those who decide, and of the one that looks."""
        self.stop.clear()
        longest = chance.choice(DELAYS)
        parts = [(*work, chance.uniform(0, longest), chance.random() < 0.7) for work in WORK]
        looks = self.pool.submit(watch, project)
        running = [self.pool.submit(act, project, *part) for part in parts]
        try:
            ends = [end.result(PATIENCE) for end in running]
        finally:
            self.stop.set()
        return ends, looks.result(PATIENCE)


def check(project: Project, ends: list[End], looked: tuple[int, set[str]]) -> Counter[str]:
    """What came of a round. Raises AssertionError if something does not hold."""
    store, book = mlflow_runs.client(project), ledger.of(project)
    count, wrong = looked
    assert not wrong, f"seen meanwhile: {wrong}"
    assert {end for end, _ in ends} <= {"done", TOO_LATE}, ends
    lines, problem = champion_alias.compare(store, book, MODEL)
    assert problem == "", problem
    assert ledger.broken(lines) == ""
    assert registered.alias(project) == stand(lines).champion
    for before, line in enumerate(lines):
        assert line.from_version == stand(lines[:before]).champion, line
    new = Counter(line.action for line in lines[2:])
    done, late = sum(end == "done" for end, _ in ends), sum(late for _, late in ends)
    assert (new.total() - new["refused"], new["refused"]) == (done, late), (new, ends)
    moves = sum(new[action] for action in MOVES)
    return Counter({"lines": len(lines), "looks": count, "refused": late, f"{moves} moves": 1})


def made(root: Path, url: str) -> Project:
    """A project with six registered versions."""
    project = registered.project(root)
    for number in range(1, 7):
        registered.register(project, root / "made", f"model {number}")
    return replace(project, ledger=url)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--from", type=int, default=1, dest="first")
    parser.add_argument("--ledger", default="")
    asked = parser.parse_args()
    print(f"seed {asked.seed}, {platform.processor() or platform.machine()}, {date.today()}", flush=True)
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    warnings.filterwarnings("ignore", ".*An input example was not provided")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    racers = Racers(context)
    total, began = Counter[str](), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        project = made(Path(folder), asked.ledger)
        for number in range(asked.first, asked.rounds + 1):
            begin(project)
            try:
                total += check(project, *racers.race(project, random.Random(f"{asked.seed} {number}")))
            except AssertionError as error:
                raise SystemExit(f"round {number} of seed {asked.seed}: {error}") from error
            if number % 10 == 0:
                print(f"round {number}: all hold, {time.monotonic() - began:.0f} s", flush=True)
    racers.pool.shutdown()
    print("\n| rounds | lines | refused | looks meanwhile | rounds with 1, 2, 3 and more moves | seconds |")
    print("|---:|---:|---:|---:|---:|---:|")
    moves = [total[f"{count} moves"] for count in range(1, 6)]
    parts = f"{moves[0]}, {moves[1]}, {sum(moves[2:])}"
    rounds = asked.rounds - asked.first + 1
    cells = (rounds, total["lines"], total["refused"], total["looks"], parts, round(time.monotonic() - began))
    print(f"| {' | '.join(map(str, cells))} |")


if __name__ == "__main__":
    main()
