"""Ask a server for seconds on end: python benchmarks/serving/load.py PORT PATH BODIES CONNECTIONS WARM SECONDS

BODIES: a file with one body on each line. Each connection has one request under way, and sends the next body when it
has its answer. After WARM seconds it prints "begun"; SECONDS later a JSON object: `requests`, `failed` (another status
than 200), `first_failure`, `seconds`, `p50_ms`, `p99_ms`.

It is a process of its own, so that what it costs is not the server's.
"""

import asyncio
import itertools
import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import numpy as np
import uvloop

LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
Told = Callable[[int, int, bytes, float], None]  # the number of the body, status, content, seconds


class Caller(asyncio.Protocol):
    """One connection."""

    def __init__(self, requests: list[bytes], order: Iterator[int], tell: Told):
        self._requests, self._order, self._tell = requests, order, tell
        self._waiting = b""
        self.done = self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._waiting += data
        head = self._waiting.find(b"\r\n\r\n")
        if head < 0:
            return
        length = LENGTH.search(self._waiting, 0, head + 2)
        assert length, "an answer without Content-Length"
        if len(self._waiting) < head + 4 + int(length[1]):
            return
        taken = time.perf_counter() - self._begun
        self._tell(self._number, int(self._waiting[9:12]), self._waiting[head + 4 :], taken)
        self._waiting = b""
        self._ask()

    def connection_lost(self, _: Exception | None) -> None:
        self.lost = True
        if not self.done:
            self._tell(self._number, 0, b"the connection ended", 0.0)

    def _ask(self) -> None:
        self._number = next(self._order)
        self._begun = time.perf_counter()
        self._transport.write(self._requests[self._number])


def requests(path: str, bodies: list[bytes]) -> list[bytes]:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
    return [head.encode() + str(len(body)).encode() + b"\r\n\r\n" + body for body in bodies]


async def ask(port: int, asked: list[bytes], connections: int, tell: Told, until: Callable[[], bool]) -> None:
    """Ask until that is true, or no connection is left; looked at every tenth of a second."""
    order = itertools.cycle(range(len(asked)))
    loop = asyncio.get_running_loop()
    callers = [
        await loop.create_connection(lambda: Caller(asked, order, tell), "127.0.0.1", port) for _ in range(connections)
    ]
    while not until() and not all(caller.lost for _, caller in callers):
        await asyncio.sleep(0.1)
    for transport, caller in callers:
        caller.done = True
        transport.abort()


class Window:
    """What is counted, once the warming up is over."""

    def __init__(self, warm: float, seconds: float):
        self._begin = time.perf_counter() + warm
        self._end, self._begun = self._begin + seconds, False
        self.taken: list[float] = []
        self.failed, self.first_failure = 0, ""

    def over(self) -> bool:
        now = time.perf_counter()
        if not self._begun and now >= self._begin:
            self._begun, self._begin = True, now
            print("begun", flush=True)
        return now >= self._end

    def tell(self, _: int, status: int, content: bytes, seconds: float) -> None:
        if not self._begun:
            return
        if status == 200:
            self.taken.append(seconds)
            return
        self.failed += 1
        self.first_failure = self.first_failure or f"{status}: {content[:300]!r}"

    def result(self) -> dict[str, float | int | str]:
        middle, late = (1000 * np.percentile(self.taken, [50, 99])) if self.taken else (0.0, 0.0)
        return {
            "requests": len(self.taken),
            "failed": self.failed,
            "first_failure": self.first_failure,
            "seconds": time.perf_counter() - self._begin,
            "p50_ms": float(middle),
            "p99_ms": float(late),
        }


def main(port: int, path: str, bodies: Path, connections: int, warm: float, seconds: float) -> None:
    window = Window(warm, seconds)
    asked = requests(path, bodies.read_bytes().splitlines())
    uvloop.run(ask(port, asked, connections, window.tell, window.over))
    print(json.dumps(window.result()), flush=True)


if __name__ == "__main__":
    port, path, bodies, connections, warm, seconds = sys.argv[1:]
    main(int(port), path, Path(bodies), int(connections), float(warm), float(seconds))
