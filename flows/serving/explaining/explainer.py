"""The explainer: rows go to a process of its own, and their explanations come back. One request at a time.

An explanation is thousands of answers, so the process starts with the first request, has a lower priority than the
server, and ends when nobody has asked for a while. Its faults are not the server's.
"""

import asyncio
import contextlib
import logging
import sys
from collections.abc import Sequence
from importlib import util
from typing import Any, cast

import orjson

from flows.serving.engine import wire
from flows.serving.engine.live_file import Told
from flows.serving.problem import Problem

MODULE = "flows.serving.explaining.child"
SECONDS = 30.0  # that a request may take, of which TensorFlow's start is a third
START_SECONDS = 60.0  # that the process may take to start, on a machine that has other work
MOST_WAITING = 4  # requests, besides the one that is being explained
IDLE_SECONDS = 300.0  # after the last request
END_SECONDS = 5.0
LOG = logging.getLogger("ratchet.serving")


class Explainer:
    """One for each process of the server. It belongs to one event loop."""

    def __init__(self) -> None:
        self._alone = asyncio.Lock()
        self._waiting = 0
        self._process: asyncio.subprocess.Process | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def explain(self, told: Told, rows: Sequence[Any]) -> dict[str, Any]:
        """What explained.py says of these rows. told: the version that is loaded. Raises Problem."""
        if not util.find_spec(MODULE):
            raise _left_out()
        if self._waiting > MOST_WAITING:
            raise _busy()
        self._waiting += 1
        try:
            async with self._alone:
                return await self._explained(_frame(told, rows))
        finally:
            self._waiting -= 1

    async def close(self) -> None:
        """End the process."""
        self._stay()
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(OSError):
            if process.stdin:
                process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), END_SECONDS)
        except TimeoutError:
            await self._kill(process)

    async def _explained(self, frame: bytes) -> dict[str, Any]:
        self._stay()
        told: dict[str, Any] | None = None
        try:
            ready = await asyncio.wait_for(self._started(), START_SECONDS)
            told = await asyncio.wait_for(_asked(ready, frame), SECONDS)
        except TimeoutError:
            raise _slow() from None
        except (OSError, asyncio.IncompleteReadError):
            raise _dead() from None
        finally:
            if told is None:  # what it says later would be taken for the next answer
                process, self._process = self._process, None
                await self._kill(process)
        self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._rest)
        if "problem" in told:
            raise Problem(**told["problem"])
        return cast(dict[str, Any], told["explained"])

    async def _started(self) -> asyncio.subprocess.Process:
        """The process, which is ready. Raises OSError and IncompleteReadError if it has ended."""
        if self._process is None or self._process.returncode is not None:
            pipe = asyncio.subprocess.PIPE
            self._process = await asyncio.create_subprocess_exec(sys.executable, "-m", MODULE, stdin=pipe, stdout=pipe)
            await _received(self._process)
        return self._process

    def _stay(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rest(self) -> None:
        """Nobody has asked for a while: the process ends when its input does."""
        process, self._process, self._timer = self._process, None, None
        if process is not None and process.stdin is not None:
            process.stdin.close()

    async def _kill(self, process: asyncio.subprocess.Process | None) -> None:
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        with contextlib.suppress(OSError):
            await process.communicate()


async def _asked(process: asyncio.subprocess.Process, frame: bytes) -> dict[str, Any]:
    """Its answer to a frame. Raises OSError and IncompleteReadError if it has ended."""
    put = cast(asyncio.StreamWriter, process.stdin)
    put.write(frame)
    await put.drain()
    return cast(dict[str, Any], orjson.loads(await _received(process)))


async def _received(process: asyncio.subprocess.Process) -> bytes:
    """The next frame that the process sends."""
    come = cast(asyncio.StreamReader, process.stdout)
    size, _ = wire.LENGTHS.unpack(await come.readexactly(wire.LENGTHS.size))
    return await come.readexactly(size)


def _frame(told: Told, rows: Sequence[Any]) -> bytes:
    """Raises Problem for a whole number that is beyond every computer's."""
    try:
        content = orjson.dumps({"version": told.version, "files_hash": told.files_hash, "rows": rows}, default=str)
    except orjson.JSONEncodeError:
        told_as = "A row holds a value that cannot be passed on."
        raise Problem(400, "value", "A value does not fit its column", told_as, "Send numbers of 64 bits.") from None
    return wire.LENGTHS.pack(len(content), 0) + content


def _left_out() -> Problem:
    told = "This server was packaged without what explains answers."
    return Problem(409, "no-explanations", "No explanations", told, "Ask the server of the project: `ratchet serve`.")


def _busy() -> Problem:
    told = f"{MOST_WAITING + 1} requests are being explained or wait for it, the most at once."
    return Problem(503, "busy", "Service Unavailable", told, "Send the request again in a second.")


def _slow() -> Problem:
    told = f"The explanation has taken longer than {SECONDS:g} seconds, and was ended."
    repair = "Send fewer rows, or use `ratchet explain`, which takes its time."
    return Problem(503, "slow-explanation", "No explanation in time", told, repair)


def _dead() -> Problem:
    LOG.warning("the process that explains answers has ended; the next request starts it again")
    told = "The process that explains answers has ended."
    return Problem(503, "explainer", "No explanation", told, "Send the request again.")
