"""The attempts to retrain: for each tick or command, what was decided and how it ended.

Each attempt adds a line of JSON to a file in the state folder, for `ratchet status` and the next tick. Lines are never
changed. A run has a line when it begins and one when it ends: a beginning without an end is a run that died.
"""

import errno
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from flows.project.environment import Project

# a model was made, and judged
CONCLUDED = ("accepted", "waits", "on trial", "rejected", "undecided", "expired", "unchanged")


@dataclass(frozen=True)
class Tick:
    """outcome: "began", one of CONCLUDED, "skipped", "refused" (the same inputs would fail again), "stopped" (by a
    person or a signal) or "failed"."""

    model: str
    outcome: str
    reason: str
    trigger: str  # command, schedule, page or event
    flow_run: str  # its id in Prefect
    tree: str  # the folder of the working tree
    data: str = ""  # the pinned version (flows/data/refresh.py)
    rows: int = 0  # of that version
    definition: str = ""  # the hash of code, settings and gate (flows/run/due.py)
    broken: list[str] | None = (
        None  # the rules that the data broke (flows/report/findings.py); None if that was not looked at
    )
    at: str = ""  # UTC
    format: int = 1


def write(project: Project, tick: Tick) -> Tick:
    """Add a line; returns it with its instant."""
    path = project.state / "ticks" / f"{tick.model}.jsonl"
    path.parent.mkdir(exist_ok=True)
    stamped = Tick(**(asdict(tick) | {"at": datetime.now(UTC).isoformat(timespec="milliseconds")}))
    line = f"{json.dumps(asdict(stamped))}\n"
    file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        size = os.fstat(file).st_size
        cut = size and os.pread(file, 1, size - 1) != b"\n"  # by a kill
        content = (("\n" if cut else "") + line).encode()
        if os.write(file, content) < len(content):  # one call: lines of two processes do not mix
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    finally:
        os.close(file)
    return stamped


def read(project: Project, model: str) -> list[Tick]:
    """All complete lines, the first one first."""
    path = project.state / "ticks" / f"{model}.jsonl"
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            found.append(Tick(**json.loads(line)))
        except (ValueError, TypeError):  # cut off by a kill
            continue
    return found


def last(lines: list[Tick], wanted: Callable[[Tick], bool]) -> Tick | None:
    return next((tick for tick in reversed(lines) if wanted(tick)), None)


def refusal(lines: list[Tick]) -> Tick | None:
    """The last refusal, unless a later run has come to an end: what was refused then is refused until it is accepted.
    A failure for another reason, or a tick that was skipped, does not end it."""
    return last(_since_conclusion(lines), lambda tick: tick.outcome == "refused")


def failure(lines: list[Tick]) -> Tick | None:
    """The last attempt, if it failed."""
    found = last(lines, lambda tick: tick.outcome not in ("began", "skipped"))
    return found if found and found.outcome == "failed" else None


def _since_conclusion(lines: list[Tick]) -> list[Tick]:
    done = [number for number, tick in enumerate(lines) if tick.outcome in CONCLUDED]
    return lines[done[-1] + 1 :] if done else lines
