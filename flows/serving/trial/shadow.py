"""Shadow: the rows that the champion has answered go to a second version too, in a process of its own.

Nobody waits for it. That process works only where nothing else does, and what it cannot take is skipped, counted, and
noted in its log as a gap. Its faults are not the server's: if it dies, it is started again a minute later.
"""

import asyncio
import contextlib
import logging
import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import orjson

from flows.serving.engine import wire
from flows.serving.engine.live_file import Beside
from flows.serving.log.lines import as_base64, share
from flows.serving.trial.counts import Counts, Told, nobody

MODULE = "flows.serving.trial.shadow_child"
MOST_ROWS, MOST_BYTES = 2_000, 32_000_000  # that may wait for it
FRAME_ROWS, FRAME_SECONDS = 32, 0.02  # rows are sent together: so many, or those of so long
AGAIN_SECONDS = 60.0
END_SECONDS = 5.0
BEHIND = "the version that answers unseen was behind"
LOG = logging.getLogger("ratchet.serving")


@dataclass(frozen=True)
class Frame:
    """What was sent at once. size: in bytes. since, until: when the champion answered the rows."""

    rows: int
    size: int
    since: datetime
    until: datetime


class Shadow:
    """One version that answers unseen. It belongs to one event loop."""

    def __init__(self, folder: Path, told: Beside, worker: int, tell: Told = nobody):
        """folder: of the model, in the state. worker: the number of this process. tell: is told of the rows as they are
        counted."""
        self.problem = "It is being loaded."
        self.counts, live = Counts(told, tell), told.content
        self._live, self._sample = live, float(live["serve"].get("sample", 1.0))
        self._command = [sys.executable, "-m", MODULE, str(folder.absolute()), str(worker)]
        self._process: asyncio.subprocess.Process | None = None
        self._next: list[tuple[list[str], datetime, list[Any]]] = []  # requests that were not sent yet
        self._next_rows = 0
        self._sent: deque[Frame] = deque()  # those that are not answered
        self._rows = self._bytes = 0  # of those
        self._gap: dict[str, Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._runs = self._loop.create_task(self._run())

    def offer(self, rows: Sequence[Any], ids: Sequence[str], at: datetime) -> None:
        """Rows that the champion has answered at `at`. It returns at once."""
        if self._sample < 1:
            places = [place for place, name in enumerate(ids) if share(name) < self._sample]
            rows, ids = [rows[place] for place in places], [ids[place] for place in places]
        if not rows:
            return
        waiting = self._rows + self._next_rows + len(rows)
        if self.problem or waiting > MOST_ROWS or self._bytes > MOST_BYTES:
            self._skip(len(rows), at, at)
            return
        self._next.append((list(ids), at, list(rows)))
        self._next_rows += len(rows)
        if self._next_rows >= FRAME_ROWS:
            self._send()
        elif self._timer is None:
            self._timer = self._loop.call_later(FRAME_SECONDS, self._send)

    async def close(self) -> None:
        """Send what is left, and end the process after its last rows, or after a while."""
        self._send()
        self._runs.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._runs
        if (process := self._process) is None:
            return
        with contextlib.suppress(OSError):
            if process.stdin:
                process.stdin.close()
        try:
            await asyncio.wait_for(process.communicate(), END_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()

    def _skip(self, rows: int, since: datetime, until: datetime) -> None:
        self.counts.add("skipped", rows)
        if self._gap is None:
            self._gap = {"since": since, "rows": 0, "why": self.problem or BEHIND}
        self._gap |= {"until": until, "rows": self._gap["rows"] + rows}

    def _send(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        requests, rows, process = self._next, self._next_rows, self._process
        if not requests:
            return
        self._next, self._next_rows = [], 0
        if process is None or process.stdin is None or process.stdin.is_closing():
            self._skip(rows, requests[0][1], requests[-1][1])
            return
        try:
            content = orjson.dumps({"requests": requests, "gap": self._gap}, default=as_base64)
        except orjson.JSONEncodeError:  # a whole number of more than 64 bits, or half a letter
            self._skip(rows, requests[0][1], requests[-1][1])
            return
        self._gap = None
        process.stdin.write(wire.LENGTHS.pack(len(content), 0) + content)
        self._sent.append(Frame(rows, len(content), requests[0][1], requests[-1][1]))
        self._rows, self._bytes = self._rows + rows, self._bytes + len(content)

    async def _run(self) -> None:
        """Keep a process."""
        while True:
            told = "its process has ended"
            try:
                await self._one()
            except RuntimeError as error:
                told = str(error)
            except (OSError, ValueError, asyncio.IncompleteReadError):
                pass
            self.problem = f"Version {self._live['beside']['version']} does not answer beside it: {told}."
            LOG.warning("%s: %s", self._live["model"], self.problem)
            self._lost()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _one(self) -> None:
        """From the start of a process to its end. Raises RuntimeError with what it says, OSError, and
        IncompleteReadError."""
        pipe = asyncio.subprocess.PIPE
        self._process = process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe)
        put, come = cast(asyncio.StreamWriter, process.stdin), cast(asyncio.StreamReader, process.stdout)
        hello = orjson.dumps(self._live)
        put.write(wire.LENGTHS.pack(len(hello), 0) + hello)
        while True:
            about, _ = wire.LENGTHS.unpack(await come.readexactly(wire.LENGTHS.size))
            told = orjson.loads(await come.readexactly(about))
            if "error" in told:
                raise RuntimeError(told["error"])
            if "ready" in told:
                self.problem = ""
                continue
            frame = self._sent.popleft()
            self._rows, self._bytes = self._rows - frame.rows, self._bytes - frame.size
            self.counts.add("answered", told["answered"])
            self.counts.add("failed", told["failed"])

    def _lost(self) -> None:
        """The process has ended: what it had not answered is skipped."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        self._process = None
        for frame in self._sent:
            self._skip(frame.rows, frame.since, frame.until)
        self._sent.clear()
        self._rows = self._bytes = 0
