"""The servers that are measured: how each is started, and what it has cost so far."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

BIN = Path(sys.executable).parent
HERE = Path(__file__).parent
PATIENCE = 180.0  # seconds for the first answer
CORES = sorted(os.sched_getaffinity(0))
SERVER, LOAD = {CORES[0]}, {CORES[-1]}  # one core each, where there are two


@dataclass(frozen=True)
class Kind:
    """A server: its name in the table, its command, and the address of its answers. mlflow: whether it takes MLflow's
    protocol."""

    name: str
    command: tuple[str, ...]
    path: str
    mlflow: bool = False


def kinds(model: str, state: Path) -> list[Kind]:
    """The servers for one model, in the order in which they are measured."""
    ratchet = (sys.executable, "-m", "flows.serving", str(state), model, "--port", "{port}")
    mlflow = (str(BIN / "mlflow"), "models", "serve", "--model-uri", f"models:/{model}@champion")
    uvicorn = (sys.executable, "-m", "uvicorn", "idle:application", "--app-dir", str(HERE), "--no-access-log")
    return [
        Kind("`ratchet serve`, log on", ratchet, f"/models/{model}/predict"),
        Kind("`ratchet serve`, log off", (*ratchet, "--no-log"), f"/models/{model}/predict"),
        Kind(
            "`mlflow models serve`",
            (*mlflow, "--env-manager", "local", "--host", "127.0.0.1", "--port", "{port}"),
            "/invocations",
            mlflow=True,
        ),
        Kind("nothing", (*uvicorn, "--port", "{port}"), "/"),
    ]


@dataclass
class Server:
    """A server that answers. first: seconds from its start to its first answer."""

    process: psutil.Process
    port: int
    first: float

    def processor(self) -> float:
        """Seconds of processor time of all its processes so far, ended ones too."""
        return sum(sum(one.cpu_times()[:4]) for one in self._family())

    def memory(self) -> float:
        """Megabytes that are resident, of all its processes."""
        return sum(one.memory_info().rss for one in self._family()) / 1e6

    def _family(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextmanager
def started(kind: Kind, folder: Path, body: bytes, environment: dict[str, str], log: Path) -> Iterator[Server]:
    """A server in a clone, from its first answer on. Raises TimeoutError. log: where its output goes."""
    port = _free_port()
    command = [word.format(port=port) for word in kind.command]
    begin = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
            preexec_fn=lambda: os.sched_setaffinity(0, SERVER),
            start_new_session=True,
        )
    try:
        while not _answers(port, kind.path, body):
            if process.poll() is not None or time.perf_counter() - begin > PATIENCE:
                raise TimeoutError(f"{kind.name} does not answer: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.01)
        yield Server(psutil.Process(process.pid), port, time.perf_counter() - begin)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """All of its group, which is its own."""
    for sign, seconds in ((signal.SIGTERM, 20), (signal.SIGKILL, 20)):
        try:
            os.killpg(process.pid, sign)
            process.wait(seconds)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue


def _answers(port: int, path: str, body: bytes) -> bool:
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", body, {"Content-Type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
