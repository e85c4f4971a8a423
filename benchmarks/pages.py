"""How fast the overview is: python benchmarks/pages.py FOLDER

In FOLDER projects with 1, 20 and 200 models are made, each with 50 judged versions: lines of a real ledger, the tables
of MLflow's store, a watch and an attempt for each model. Then the process of the pages that `ratchet up` starts is
asked for the overview REQUESTS times. Printed for each: the first answer (nothing is known yet), the median and the
95th percentile of the others, the size of the page, and resident memory. Keep the machine idle meanwhile. Numbers are
drawn with seed 0.
"""

import argparse
import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
from sqlalchemy import create_engine, insert

from flows.project import databases
from flows.project.environment import Project
from flows.records import attempts, ledger
from flows.records.attempts import Tick
from flows.records.ledger import LINES, Line
from flows.web.watch import kept

ROOT = Path(__file__).parents[1]
SIZES, VERSIONS, REQUESTS = (1, 20, 200), 50, 40
HEAD = (
    "| models | versions each | first s | p50 s | p95 s | page KB | memory MB |\n"
    "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.resolve()
    print(HEAD, flush=True)
    for models in SIZES:
        print(measured(made(folder / f"{models}-models", models), models), flush=True)


def made(folder: Path, models: int) -> Project:
    """A project with so many models, made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    project = Project(folder, folder / ".ratchet", "", "")
    for path in (project.state / "locks", folder / "models", folder / "mlflow"):
        path.mkdir(parents=True)
    (folder / "dvc.yaml").touch()
    databases.ensure_mlflow(project)
    text, drawn, book = (ROOT / "models" / "breast_cancer.yaml").read_text(), random.Random(0), ledger.of(project)
    book.models()  # makes the table
    with (
        create_engine(book.url).begin() as lines,
        closing(sqlite3.connect(project.mlflow_database)) as store,
        store,
    ):
        for number in range(models):
            name = f"model_{number:03d}"
            (folder / "models" / f"{name}.yaml").write_text(text)
            entries, tags = history(name, drawn)
            lines.execute(insert(LINES), [vars(line) for line in entries])
            register(store, name, entries[-1], tags)
            watched(project, name)
            attempts.write(project, Tick(name, "rejected", "worse", "schedule", "run", str(folder)))
    return project


def history(model: str, drawn: random.Random) -> tuple[list[Line], list[str]]:
    """The lines of 50 versions, of which each tenth became champion; and the metrics of each, as a tag has them."""
    lines, tags, champion = list[Line](), list[str](), None
    for version in range(1, VERSIONS + 1):
        accepted, value = version % 10 == 1, 0.93 + 0.04 * drawn.random()
        look = {"what": "champion", "said": "gain 0.001 (-0.01 to 0.012) on 126 rows " * 3, "verdict": "pass"}
        facts = {"metric": "accuracy", "margin": 0.05, "looks": [look] * 8, "better": accepted}
        facts |= {
            "measured": {"value": value, "low": value - 0.03, "high": value + 0.02},
            "model_hash": f"{version:064d}",
        }
        now = version if accepted else champion
        at = (datetime.now(UTC) - timedelta(days=VERSIONS - version)).isoformat()
        line = Line(
            model=model, sequence=version, action="accepted" if accepted else "rejected", version=version,
            from_version=champion, to_version=now, reference=now, reason="worse by more than the margin 0.05",
            evidence=json.dumps(facts), actor="gate", at=at, **({"previous": lines[-1].hash} if lines else {}),
        )  # fmt: skip
        lines.append(line.sealed())
        tags.append(json.dumps({"accuracy": value, "roc_auc": value, "log_loss": 0.1}))
        champion = now
    return lines, tags


def register(store: sqlite3.Connection, name: str, last: Line, tags: list[str]) -> None:
    """The versions in MLflow's tables, and the alias where the ledger says."""
    store.execute("INSERT INTO registered_models (name) VALUES (?)", (name,))
    follow = "INSERT INTO registered_model_tags (key, value, name) VALUES ('ratchet.ledger', ?, ?)"
    store.execute(follow, (f"{last.sequence} {last.hash}", name))
    alias = "INSERT INTO registered_model_aliases (alias, version, name) VALUES ('champion', ?, ?)"
    store.execute(alias, (last.to_version, name))
    store.executemany(
        "INSERT INTO model_versions (name, version) VALUES (?, ?)", [(name, n) for n in range(1, len(tags) + 1)]
    )
    tagged = "INSERT INTO model_version_tags (key, value, name, version) VALUES (?, ?, ?, ?)"
    store.executemany(tagged, [("ratchet.metrics", tag, name, n) for n, tag in enumerate(tags, 1)])
    store.execute(tagged, ("ratchet.verified", "identical", name, last.to_version))


def watched(project: Project, name: str) -> None:
    columns = [{"name": f"column_{n}", "alarm": False} for n in range(30)]
    days = [{"day": "2026-11-29", "rows": 900}]
    content = {"model": name, "at": datetime.now(UTC).isoformat(), "answers": {"days": days}, "labels": {"share": 0.4}}
    kept.write(project.state, content | {"drift": {"columns": columns}, "quality": {"value": 0.95, "said": "0.95"}})


def measured(project: Project, models: int) -> str:
    """A line of the table."""
    command = [sys.executable, "-m", "flows.overview", "--server", "http://127.0.0.1:9"]
    variables = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=project.root, env=variables, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        address = process.stdout.readline().strip()
        first, size = asked(address)
        times = [asked(address)[0] for _ in range(REQUESTS)]
        memory = psutil.Process(process.pid).memory_info().rss / 1e6
    finally:
        process.terminate()
        process.wait()
    middle, slow = statistics.median(times), sorted(times)[int(0.95 * len(times))]
    return f"| {models} | {VERSIONS} | {first:.2f} | {middle:.3f} | {slow:.3f} | {size / 1e3:.0f} | {memory:.0f} |"


def asked(address: str) -> tuple[float, int]:
    """Seconds until the whole page is there, and its bytes."""
    start = time.perf_counter()
    with urllib.request.urlopen(address, timeout=120) as answer:
        content = answer.read()
    return time.perf_counter() - start, len(content)


if __name__ == "__main__":
    main()
