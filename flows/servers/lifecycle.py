"""The servers, on loopback: in the background (`ratchet up`, `ratchet down`), or Prefect's for one run.

servers.json in the state folder lists the servers that are up: address, process and its start time. So neither a dead
server nor one of another clone is ever taken for ours.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil
from dotenv import dotenv_values

from flows.project import databases, environment, lifeline, locks, private_files
from flows.project.environment import Project
from flows.servers import prefect_login
from pipelines.errors import BusyError, RatchetError, RequestError, UnreachableError
from pipelines.safety import shortage

NAMES = ("prefect", "mlflow")
ANSWERING = ("serving", "web")  # the champions, and the pages to try them
ASKED_FIRST = "/api/admin/version"  # every run's first request to Prefect's server
PATIENCE = 120  # seconds a server may take to answer: a slow machine needs 20 and more


@dataclass(frozen=True)
class Server:
    name: str
    url: str  # of the pages a person opens
    pid: int
    started: float  # of the process, in seconds since 1970: tells a reused pid from ours
    booted: float = 0.0  # of the machine, by the same clock; 0 in what an older version wrote

    @property
    def api(self) -> str:
        return f"{self.url}/api" if self.name == "prefect" else self.url

    def alive(self) -> bool:
        moved = psutil.boot_time() - self.booted if self.booted else 0.0  # if the clock was set, both times move
        try:
            return abs(psutil.Process(self.pid).create_time() - moved - self.started) < 1
        except psutil.Error:
            return False


def up(project: Project, names: Sequence[str] = NAMES) -> dict[str, Server]:
    """Start the servers of these names that are not up; returns all that are. Raises RatchetError, with the end of its
    log, if a server does not answer, RequestError if Prefect's is up without a login."""
    with locks.hold(project, "run", "ratchet up", wait=False):
        running = recorded(project)
        if open_to_all(running):
            raise RequestError(
                "Prefect's server is up without a login: an earlier version of Ratchet started it.",
                "Run `ratchet down`, then `ratchet up`.",
            )
        databases.point_prefect(project)
        waiting: dict[str, tuple[subprocess.Popen[bytes], int]] = {}
        try:
            for name in (one for one in names if one not in running):
                if name == "mlflow":
                    databases.ensure_mlflow(project)
                waiting[name] = _start(project, name, _port(project, name))
            for name, (process, port) in waiting.items():
                running[name] = _ready(project, name, process, port)
            _record(project, running)
        except BaseException:  # Ctrl-C, too: no server stays that nobody has noted
            for process, _ in waiting.values():
                _stop(process.pid)
            raise
    return running


def check_idle(project: Project) -> None:
    """Raises BusyError while a run is active."""
    held = [name for name in locks.held(project) if not name.startswith("deploy-")]  # it is done again when it is ended
    active = [name for name in held if name not in ("stores", "schedule")]
    if active:
        raise BusyError(
            f"{locks.describe(project, active[0])} is active and needs the servers.", "Wait until it has ended."
        )


def down(project: Project) -> list[str]:
    """Stop what is running; returns the names. Raises BusyError while a run is active."""
    check_idle(project)
    running = recorded(project)
    for server in running.values():
        _stop(server.pid)
    _path(project).unlink(missing_ok=True)
    return sorted(running)


def recorded(project: Project) -> dict[str, Server]:
    """The servers of this project that are alive."""
    return {server.name: server for server in _noted(project) if server.alive()}


def ended(project: Project) -> list[str]:
    """The names of servers that ended by themselves, without a `ratchet down`."""
    return [server.name for server in _noted(project) if not server.alive()]


def _noted(project: Project) -> list[Server]:
    try:
        return [Server(**entry) for entry in json.loads(_path(project).read_text())["servers"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def check_database(project: Project, running: dict[str, Server]) -> None:
    """Raises UnreachableError if Prefect's database was deleted while its server is up. The server would continue with
    a file that no other process sees."""
    path = databases.of_server(project, "prefect")
    if not project.prefect and "prefect" in running and not (path.exists() and path.stat().st_size):
        raise UnreachableError(
            f"Prefect's database {path} was deleted while its server is up.",
            "Run `ratchet down`, then `ratchet up`: it makes a new one. Models, runs and the ledger are not in it.",
        )


class ForARun:
    """The Prefect API of one run: that of the settings, else the server that is up, else one for this run."""

    def __init__(self, project: Project, pipe: str):
        """pipe: the lifeline that a server of it follows. Raises UnreachableError for a database that is lost."""
        running = recorded(project)
        check_database(project, running)
        self._given = project.prefect or (running["prefect"].api if "prefect" in running else "")
        self._project, self._pipe = project, pipe
        self._begun: tuple[subprocess.Popen[bytes], int] | None = None

    @property
    def is_up(self) -> bool:
        """Whether it is there without this run."""
        return bool(self._given)

    def begin(self) -> None:
        """Start the server, if the run needs one; it gets ready while the run does other work."""
        if not self._given and self._begun is None:
            databases.point_prefect(self._project)
            self._begun = _start(self._project, "prefect", 0, self._pipe)

    def url(self) -> str:
        """Wait until it answers. Raises RatchetError if it does not."""
        self.begin()
        return _ready(self._project, "prefect", *self._begun).api if self._begun else self._given

    def end(self) -> None:
        if self._begun is not None:
            _stop(self._begun[0].pid)
            self._begun[0].wait()


@contextmanager
def for_a_run(project: Project) -> Iterator[ForARun]:
    """It ends with the block, and with this process, however that ends."""
    with lifeline.held(project) as pipe:
        found = ForARun(project, pipe)
        try:
            yield found
        finally:
            found.end()


def address(project: Project, name: str) -> str:
    """The address of a server's pages. It stays the same from one `ratchet up` to the next."""
    given = {"prefect": project.prefect.removesuffix("/api"), "mlflow": project.tracking}.get(name, "")
    return given if given.startswith("http") else f"http://127.0.0.1:{_port(project, name)}"


def login(project: Project) -> str:
    """The address that logs a browser in to the pages of our Prefect server, "" if it is not up."""
    running = recorded(project)
    return prefect_login.page(project, running["prefect"].url) if "prefect" in running else ""


def _port(project: Project, name: str) -> int:
    """The port that this clone keeps for a server; a new one if another program has taken it."""
    running = recorded(project)
    if name in running:
        return int(running[name].url.rpartition(":")[2])
    return kept_port(project, name, free=True)


def kept_port(project: Project, name: str, free: bool = False) -> int:
    """The port that this clone keeps for a server that is not up; a new one the first time.

    free: also if another program has taken it.
    """
    path = project.state / "ports.json"
    try:
        ports = json.loads(path.read_text())
    except (OSError, ValueError):
        ports = {"format": 1}
    if name not in ports or (free and not _free(ports[name])):
        ports[name] = _free_port()
        private_files.write(path, ports)
    return int(ports[name])


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _start(project: Project, name: str, port: int, pipe: str = "") -> tuple[subprocess.Popen[bytes], int]:
    """Start a server on a port (0: any, for Prefect's); returns its process and the port."""
    variables = {key: value for key, value in os.environ.items() if key not in environment.OF_PREFECT}
    with log(project, name).open("wb") as out, socket.socket() as door:
        if name == "prefect":
            port = _listen(door, port)
            command = ["flows.servers.prefect_app", str(door.fileno()), str(_login(project)), pipe]
        elif name == "serving":
            command = ["flows.servers.serving", f"--port={port}"]
        elif name == "web":
            command = ["flows.overview", "--server", address(project, "serving"), "--port", str(port)]
        else:
            declared = dotenv_values(project.home / "mlflow" / "server.env")
            variables |= {key: value or "" for key, value in declared.items()}
            command = [
                "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1",
                "--backend-store-uri", f"sqlite:///{project.mlflow_database}",
                "--artifacts-destination", project.mlflow_artifacts.as_uri(),
            ]  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            pass_fds=[door.fileno()] if name == "prefect" else [],
            start_new_session=True,  # one group to stop, and no Ctrl-C from the terminal
            umask=-1 if environment.shared() else 0o077,  # its files are private to the user
        )
    return process, port


def _listen(door: socket.socket, port: int) -> int:
    """Take the port; clients wait until the server is there. Returns its number."""
    door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    door.bind(("127.0.0.1", port))
    door.listen(2048)
    return int(door.getsockname()[1])


def _login(project: Project) -> Path:
    prefect_login.ensure(project)
    return prefect_login.path(project)


def _ready(project: Project, name: str, process: subprocess.Popen[bytes], port: int) -> Server:
    # Prefect: the first request of a run, for which a new server needs a third of a second
    health = f"http://127.0.0.1:{port}" + {"prefect": ASKED_FIRST, "web": "/static/style.css"}.get(name, "/health")
    login = prefect_login.header(prefect_login.ensure(project)) if name == "prefect" else ""
    until = time.monotonic() + PATIENCE
    while not _answers(health, login):
        if process.poll() is not None or time.monotonic() > until:
            _stop(process.pid)
            said = log(project, name).read_text(errors="replace")
            place = databases.of_server(project, name)
            raise shortage.of_text(said[-20_000:], [place]) or RatchetError(
                f"The {name} server did not start: {databases.last_line(said)}. Its log is {log(project, name)}.",
                "Run `ratchet doctor`.",
            )
        time.sleep(0.05)
    started = psutil.Process(process.pid).create_time()
    return Server(name, f"http://127.0.0.1:{port}", process.pid, started, psutil.boot_time())


def open_to_all(running: dict[str, Server]) -> bool:
    """Whether Prefect's server is up and answers without a login, because an earlier version started it."""
    return "prefect" in running and _answers(f"{running['prefect'].url}{ASKED_FIRST}")


def _answers(url: str, login: str = "") -> bool:
    request = urllib.request.Request(url, headers={"Authorization": login} if login else {})  # noqa: S310 (on loopback)
    try:
        with urllib.request.urlopen(request, timeout=5) as response:  # noqa: S310
            return bool(response.status == 200)
    except OSError:
        return False


def _stop(pid: int) -> None:
    """End a server and all its processes: first with a signal that they can handle, then with SIGKILL."""
    try:
        group = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in group:
        send(process, signal.SIGTERM)
    for process in psutil.wait_procs(group, timeout=10)[1]:
        send(process, signal.SIGKILL)


def send(process: psutil.Process, number: int) -> None:
    with suppress(psutil.NoSuchProcess):
        process.send_signal(number)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _path(project: Project) -> Path:
    return project.state / "servers.json"


def log(project: Project, name: str) -> Path:
    return project.state / "logs" / f"{name}-server.log"


def _record(project: Project, servers: dict[str, Server]) -> None:
    content: dict[str, Any] = {"format": 1, "servers": [asdict(server) for server in servers.values()]}
    private_files.write(_path(project), content)
