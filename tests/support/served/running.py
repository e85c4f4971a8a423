"""A real answering server in a process of its own, and clients that speak to it byte by byte."""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.clone import ROOT, environment

PATIENCE = 60.0  # seconds for one thing to happen on a busy machine
LIMITED = """
import sys, json
from pathlib import Path
from flows.serving.http.limits import Limits
from flows.serving.server.process import Options, listen, run
limits = json.loads(sys.argv[2])
options = Options(Path(sys.argv[1]), limits=Limits(**limits))
door = listen(options)
print(json.dumps({"url": "http://127.0.0.1:%d" % door.getsockname()[1]}), flush=True)
run(options, door)
"""


@dataclass(frozen=True)
class Running:
    """said: the object that the server prints first. errors: the file of its standard error."""

    process: "subprocess.Popen[str]"
    said: dict[str, Any]
    errors: Path

    @property
    def url(self) -> str:
        return str(self.said["url"])

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def sent(self, content: bytes) -> bytes:
        """Send these bytes by a connection of their own; returns all that comes back until the server closes it."""
        with self.connect() as line:
            line.sendall(content)
            return received(line)

    def post(self, path: str, rows: Any = None, **more: Any) -> httpx.Response:
        body = more if rows is None else {"json": rows, **more}
        return httpx.post(self.url + path, timeout=PATIENCE, **body)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return httpx.get(self.url.replace("0.0.0.0", "127.0.0.1") + path, timeout=PATIENCE, **more)

    def complaints(self) -> list[str]:
        """What the server has written to standard error, but for the versions that answer."""
        return [line for line in self.errors.read_text().splitlines() if " INFO " not in line]

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


def received(line: socket.socket) -> bytes:
    """All bytes until the other side closes the connection."""
    found = b""
    try:
        while part := line.recv(1 << 16):
            found += part
    except ConnectionResetError:
        pass
    return found


@contextmanager
def server(state: Path, *words: str, limits: dict[str, float] | None = None, code: str = "") -> Iterator[Running]:
    """The process `python -m flows.serving STATE words`, ready. limits: others than those of the command. code: a
    program to start in its place, with the same words."""
    command = ["-c", code] if code else ["-m", "flows.serving"]
    command += [str(state), *words, "--json"]
    if limits is not None:
        command = ["-c", LIMITED, str(state), json.dumps(limits)]
    errors = state / "errors"
    with errors.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=ROOT, env=environment(), stdout=subprocess.PIPE, stderr=out, text=True
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, errors.read_text()
        found = Running(process, json.loads(line), errors)
        until(lambda: answers(found))
        yield found
    finally:
        process.kill()
        process.wait()


def answers(found: Running) -> bool:
    assert found.process.poll() is None, found.errors.read_text()
    try:
        return found.get("/health").status_code == 200
    except httpx.TransportError:
        return False


def until(wanted: Any) -> None:
    """Wait until something is so."""
    end = time.monotonic() + PATIENCE
    while not wanted():
        assert time.monotonic() < end, "it did not become so"
        time.sleep(0.02)
