"""The process that answers unseen: rows that the champion has answered come in, and its answers go to the log.

    python -m flows.serving.trial.shadow_child FOLDER WORKER

FOLDER is that of the model in the state. It ends when its input closes. It works where no other process wants the
processor, and the standard output has frames alone.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, BinaryIO

from flows.serving.engine import live_file, wire
from flows.serving.engine.live_file import Told
from flows.serving.engine.loaded import Answered, Loaded
from flows.serving.engine.loading import Loader
from flows.serving.engine.onnx import Sessions
from flows.serving.log import key
from flows.serving.log.writer import Log
from flows.serving.problem import Problem

Entry = tuple[str, datetime, Any]  # id, when the champion answered, row


def main(folder: Path, worker: int) -> None:
    """Answer until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: it is for the server, which then closes the input
    _idle()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    hello, _ = wire.receive(sys.stdin.buffer)
    state = folder.parents[1]
    try:
        told = live_file.parsed(folder, hello).beside
        if told is None:
            raise ValueError("no version is on trial")
        loaded = Loader(Sessions()).load(Told(told.version, told.files_hash, ""))
        log = Log(state / "shadow", worker, key.of(state))
    except Exception as error:  # files that others wrote, and two runtimes: the server says it
        wire.send(out, {"error": f"{type(error).__name__} {error}".rstrip(".")})
        return
    log.start()
    wire.send(out, {"ready": True})
    with contextlib.suppress(EOFError, BrokenPipeError):
        asyncio.run(_serve(sys.stdin.buffer, out, loaded, log))
    log.close()
    _close_files(state / "shadow")


def _idle() -> None:
    os.nice(19)
    with contextlib.suppress(OSError, AttributeError):  # where the system has no such class
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def _close_files(shadow: Path) -> None:
    from flows.serving.log import closing  # pyarrow

    closing.close_all(shadow, datetime.now(UTC).date())


async def _serve(source: BinaryIO, out: BinaryIO, loaded: Loaded, log: Log) -> None:
    while True:
        frame, _ = wire.receive(source)  # nothing else happens in this loop meanwhile
        if gap := frame["gap"]:
            since, until = datetime.fromisoformat(gap["since"]), datetime.fromisoformat(gap["until"])
            log.gap(loaded.version, since, until, gap["rows"], gap["why"])
        entries = [
            (name, datetime.fromisoformat(at), row)
            for ids, at, rows in frame["requests"]
            for name, row in zip(ids, rows, strict=True)
        ]
        answered = await _answered(loaded, log, entries)
        wire.send(out, {"answered": answered, "failed": len(entries) - answered})


async def _answered(loaded: Loaded, log: Log, entries: Sequence[Entry]) -> int:
    """Answer and keep these rows, each alone where they cannot be answered together; returns how many it were."""
    try:
        found = await loaded.answer([row for _, _, row in entries])
    except Problem as problem:
        if len(entries) > 1:
            return sum([await _answered(loaded, log, [one]) for one in entries])
        at = entries[0][1]
        log.gap(loaded.version, at, at, 1, f"no answer: {problem.kind}")
        return 0
    _write(log, found, entries)
    return len(entries)


def _write(log: Log, found: Answered, entries: Sequence[Entry]) -> None:
    """The answers without the rows, which stand in the log of the champion under the same id."""
    for at, group in groupby(range(len(entries)), lambda place: entries[place][1]):
        places = list(group)
        unknown = [found.batch.unknown[place] for place in places]
        empty = replace(found.batch, arrays={}, size=len(places), unknown=unknown, raw=[{} for _ in places], times=[])
        part = Answered(found.version, [found.answers[place] for place in places], empty)
        log.write(part, [entries[place][0] for place in places], at)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
