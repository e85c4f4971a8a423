"""How fast the champion answers over HTTP, and what that costs: python benchmarks/serving.py FOLDER --data FILE

In a clone of this repository in FOLDER three models are made: digits, breast_cancer, and what `ratchet new` makes of
FILE (telco-churn.csv). Then one-row requests, at 1, 8 and 32 connections: `ratchet serve` with its log on and off,
`mlflow models serve` with the same rows, and an ASGI server that does nothing. The server has one core, the load
generator another one where there is one. Printed for each: requests/s, the median and 99th percentile of the time to
an answer, processor time (user and system of all processes of the server) for each request, requests for each second
of it beside MLflow's, resident memory, and seconds from the start to the first answer. Keep the machine idle meanwhile.

    --only NAME         one model; or `promotions`: 100,000 requests over 50 promotions and rollbacks of digits
    --seconds N         to measure for each number of connections (default 8)
    --part N            minutes after which it stops (default 9); the same command goes on where it stopped

What was measured is kept in FOLDER/results.jsonl; delete it to measure anew. Ratios are those of one model, whose
servers are measured one after the other. Nothing is random: rows are the golden ones of the version, in turn; pictures
are sent as their values.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from serving import promotions, servers
from serving.project import CHURN, Clone, bodies
from serving.servers import Kind, Server

MODELS = ("digits", "breast_cancer", CHURN)
CONNECTIONS = (1, 8, 32)
WARM = 1.0  # seconds before each measurement
REQUESTS, MOVES = 100_000, 50
HEAD = (
    "| model | server | connections | requests/s | p50 ms | p99 ms | processor us/request | times MLflow | memory MB "
    "| start s |\n"
    "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


@dataclass(frozen=True)
class Result:
    """One measurement. processor_us: of the server, for each request. on: the day."""

    model: str
    server: str
    connections: int
    per_second: float
    p50_ms: float
    p99_ms: float
    processor_us: float
    memory_mb: float
    start_s: float
    failed: int
    on: str


class Results:
    """What was measured so far, in a file that a part adds to."""

    def __init__(self, path: Path):
        self._path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.all = [Result(**json.loads(line)) for line in lines]

    def add(self, results: list[Result]) -> None:
        """Of one server: all of its measurements or none."""
        self.all += results
        with self._path.open("a") as file:
            file.writelines(json.dumps(asdict(result)) + "\n" for result in results)

    def has(self, model: str, server: str) -> bool:
        return any((one.model, one.server) == (model, server) for one in self.all)


def measured(clone: Clone, model: str, kind: Kind, seconds: float) -> list[Result]:
    """One server, at each number of connections."""
    rows = clone.rows(model)
    asked = clone.root.parent / "bodies.jsonl"
    asked.write_bytes(bodies(rows, kind.mlflow))
    log = clone.root.parent / "server.log"
    first = asked.read_bytes().splitlines()[0]
    with servers.started(kind, clone.root, first, clone.environment, log) as server:
        return [_one(model, kind, server, asked, connections, seconds) for connections in CONNECTIONS]


def _one(model: str, kind: Kind, server: Server, asked: Path, connections: int, seconds: float) -> Result:
    command = [sys.executable, str(servers.HERE / "load.py"), str(server.port), kind.path, str(asked)]
    load = subprocess.Popen(
        [*command, str(connections), str(WARM), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, servers.LOAD),
    )
    assert load.stdout
    assert load.stdout.readline() == "begun\n", "the load generator has failed"
    before = server.processor()
    found = json.loads(load.stdout.readline())
    spent = server.processor() - before
    load.wait()
    assert found["requests"] or found["failed"], "the load generator has asked nothing"
    if found["failed"]:
        print(f"{model}, {kind.name}: {found['failed']} failed: {found['first_failure']}", file=sys.stderr)
    return Result(
        model=model,
        server=kind.name,
        connections=connections,
        per_second=found["requests"] / found["seconds"],
        p50_ms=found["p50_ms"],
        p99_ms=found["p99_ms"],
        processor_us=1e6 * spent / max(1, found["requests"]),
        memory_mb=server.memory(),
        start_s=server.first,
        failed=found["failed"],
        on=str(date.today()),
    )


def table(results: list[Result]) -> str:
    return "\n".join([HEAD, *(_row(one, results) for one in results)])


def _row(one: Result, results: list[Result]) -> str:
    """times MLflow: requests for each second of processor time, at the same number of connections."""
    mlflow = [
        other.processor_us
        for other in results
        if "mlflow" in other.server and (other.model, other.connections) == (one.model, one.connections)
    ]
    times = f"{mlflow[0] / one.processor_us:.0f}" if mlflow and one.processor_us else ""
    failed = f", {one.failed} failed" if one.failed else ""
    return (
        f"| {one.model} | {one.server}{failed} | {one.connections} | {one.per_second:,.0f} | {one.p50_ms:.2f} | "
        f"{one.p99_ms:.2f} | {one.processor_us:,.0f} | {times} | {one.memory_mb:,.0f} | {one.start_s:.2f} |"
    )


def main(given: argparse.Namespace) -> None:
    begin = time.monotonic()
    print(f"{date.today()}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"the server on core {min(servers.SERVER)}, the load on core {min(servers.LOAD)}, {given.seconds:g} s each\n")
    given.folder.mkdir(parents=True, exist_ok=True)
    clone, results = Clone(given.folder.resolve() / "clone"), Results(given.folder / "results.jsonl")
    if given.only == "promotions":
        print(promotions.measure(clone, given.requests, given.moves))
        return
    left = []
    for model in [given.only] if given.only else MODELS:
        clone.make(model, given.data)
        for kind in servers.kinds(model, clone.state):
            if results.has(model, kind.name):
                continue
            if time.monotonic() - begin > 60 * given.part:
                left.append(f"{model}, {kind.name}")
                continue
            results.add(measured(clone, model, kind, given.seconds))
    print(table(results.all))
    if left:
        print(f"\n{len(left)} servers are left: the same command goes on.")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="How fast the champion answers over HTTP, and what that costs.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=lambda path: Path(path).resolve())
    parser.add_argument("--only", choices=[*MODELS, "promotions"])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--part", type=float, default=9.0)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--moves", type=int, default=MOVES)
    return parser.parse_args()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no server stays behind
    main(arguments())
