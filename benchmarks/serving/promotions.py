"""Requests while the champion moves: is any one lost, and is each answer that of the version it names?

The answers are compared with those of the registered versions, as MLflow loads them.
"""

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop

from serving import load, project, servers
from serving.project import Clone, bodies

MODEL, CONNECTIONS = "digits", 8
TOLERANCE = 1e-5  # of a probability
PATIENCE = 30.0  # seconds for a version to be live


class Watch:
    """What the answers said."""

    def __init__(self, expected: dict[int, list[dict[str, Any]]]):
        self._expected = expected
        self.version = 0  # the one that answered last
        self.by_version: Counter[int] = Counter()
        self.failed = self.wrong = 0
        self.first = ""

    def tell(self, number: int, status: int, content: bytes, _: float) -> None:
        if status != 200:
            self.failed += 1
            self.first = self.first or f"{status}: {content[:300]!r}"
            return
        said = json.loads(content)
        self.version = said["version"]
        self.by_version[self.version] += 1
        expected = self._expected[self.version][number] if self.version in self._expected else {"prediction": None}
        if not agree(said, expected):
            self.wrong += 1
            self.first = self.first or f"{said} where version {self.version} says {expected}"


def agree(said: dict[str, Any], expected: dict[str, Any]) -> bool:
    if str(said["prediction"]) != str(expected["prediction"]):
        return False
    differences = [
        abs(value - expected[f"probability_{name}"]) for name, value in (said.get("probabilities") or {}).items()
    ]
    return max(differences, default=0.0) < TOLERANCE


class Mover:
    """The process that moves the champion (moves.py)."""

    def __init__(self, clone: Clone, rows: Path):
        command = [sys.executable, str(servers.HERE / "moves.py"), MODEL, str(rows)]
        self._process = subprocess.Popen(
            command, cwd=clone.root, env=clone.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.expected = {int(version): answers for version, answers in json.loads(self._line()).items()}

    def move(self, word: str) -> int:
        """word: a version, or "back". Returns the champion."""
        assert self._process.stdin
        print(word, file=self._process.stdin, flush=True)
        return int(self._line())

    def close(self) -> None:
        self._process.communicate(timeout=60)

    def _line(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the process that moves the champion has ended"
        return line


def second_version(clone: Clone) -> None:
    """The same model with another seed, so that its probabilities differ in every row."""
    yaml = clone.root / "models" / f"{MODEL}.yaml"
    text = yaml.read_text()
    if "seed: 7" in text:
        yaml.write_text(text.replace("seed: 7", "seed: 8", 1))
        clone.python("-m", "flows.cli", "run", MODEL)


def measure(clone: Clone, requests: int, moves: int) -> str:
    """Ask so often, or longer, while the champion moves so often. Returns a paragraph."""
    clone.make(MODEL, None)
    second_version(clone)
    rows = clone.rows(MODEL)
    in_mlflow = clone.root.parent / "rows.jsonl"
    in_mlflow.write_text("\n".join(json.dumps(project.of_mlflow(row)) for row in rows))
    kind = servers.kinds(MODEL, clone.state)[0]
    asked = load.requests(kind.path, bodies(rows, False).splitlines())
    with ExitStack() as stack:
        mover = Mover(clone, in_mlflow)
        stack.callback(mover.close)
        log = clone.root.parent / "server.log"
        first_body = bodies(rows[:1], False)
        server = stack.enter_context(servers.started(kind, clone.root, first_body, clone.environment, log))
        watch, delays = Watch(mover.expected), list[float]()
        mover_thread = threading.Thread(target=move, args=(mover, watch, moves, delays))
        mover_thread.start()

        def over() -> bool:
            return not mover_thread.is_alive() and watch.by_version.total() >= requests

        uvloop.run(load.ask(server.port, asked, CONNECTIONS, watch.tell, over))
        mover_thread.join()
    assert len(watch.by_version) > 1, "only one version has answered"
    return (
        f"{watch.by_version.total():,} requests over {len(delays)} promotions and rollbacks: {watch.failed} failed, "
        f"{watch.wrong} answers are not those of the version that they name; by version {dict(watch.by_version)}. From "
        f"the files being written to the first answer: at most {max(delays):.2f} s. {watch.first}"
    ).strip()


def move(mover: Mover, watch: Watch, moves: int, delays: list[float]) -> None:
    """Promote and roll back in turn, each once the one before answers."""
    champion = watch.version
    while not champion:  # the first answer
        time.sleep(0.05)
        champion = watch.version
    other = next(version for version in mover.expected if version != champion)
    for number in range(moves):
        champion = mover.move(str(other) if number % 2 == 0 else "back")
        begin = time.perf_counter()
        while watch.version != champion and time.perf_counter() - begin < PATIENCE:
            time.sleep(0.005)
        delays.append(time.perf_counter() - begin)
