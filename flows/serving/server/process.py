"""The processes of the server: one that answers, or several that share a socket and one that watches them."""

import logging
import multiprocessing
import os
import resource
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, cast

import uvicorn
from uvicorn.supervisors import Multiprocess

from flows.access import hosts, tokens
from flows.access.tokens import Tokens
from flows.serving.http.limits import Limits
from flows.serving.log import key
from flows.serving.server.connection import Connection
from pipelines.errors import RequestError

BACKLOG = 2048  # connections that wait to be taken
HEALTHY = 30  # seconds in which a process that lives says so: a busy machine is no reason to end it
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (a private folder in it: counts of several processes, no full disk)
COUNTS = "PROMETHEUS_MULTIPROC_DIR"  # as prometheus_client calls it


@dataclass(frozen=True)
class Options:
    state: Path
    models: tuple[str, ...] = ()
    """Those that are served; () for all."""
    host: str = "127.0.0.1"
    port: int = 0
    """0 for a free one."""
    workers: int = 1
    log: bool = True
    allowed: tuple[str, ...] = ()
    """More names that the server may be called by."""
    limits: Limits = field(default_factory=Limits)

    @property
    def needs_token(self) -> bool:
        """Whether others than this machine can ask, themselves or by a proxy."""
        return not hosts.is_loopback(self.host) or bool(self.allowed)


def listen(options: Options) -> socket.socket:
    """Take the port. Raises RequestError if it cannot be taken, or if the server would be open to anybody."""
    if options.needs_token and not tokens.read(options.state):
        raise RequestError(
            f"Other machines reach {', '.join([options.host, *options.allowed])}, and there is no token: anybody could "
            "ask.",
            "Make one with `ratchet token NAME`, or leave --host and --allow-host away.",
        )
    try:
        found = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)
        door = socket.socket(found[0][0], socket.SOCK_STREAM)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(found[0][4])
        door.listen(BACKLOG)
    except OSError as error:
        raise RequestError(
            f"The server cannot listen at {options.host}, port {options.port}: {error.strerror}.",
            "Another program may use the port, for example a server of `ratchet serve` or `ratchet up`. "
            "Stop it, or choose another one with --port.",
        ) from error
    return door


def run(options: Options, door: socket.socket) -> None:
    """Answer until SIGTERM or SIGINT comes; requests in flight are answered first. Raises SystemExit, and
    IntegrityError if the key of the log is not this user's alone."""
    if options.log:
        key.of(options.state)
    _open_files()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    config = uvicorn.Config(
        cast(Any, Started(options)),  # a factory that can be sent to another process
        factory=True,
        loop="uvloop" if sys.platform != "win32" else "auto",
        http=cast(Any, partial(Connection, limits=options.limits)),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        workers=options.workers,
        timeout_worker_healthcheck=HEALTHY,
        timeout_keep_alive=options.limits.idle,
        timeout_graceful_shutdown=options.limits.end,
    )
    if options.workers == 1:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _end)  # uvicorn raises the signal again when all is in order
        uvicorn.Server(config).run([door])
    else:
        with _counted_together():
            watcher = Multiprocess(config, [door])
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # which uvicorn would take for a wish to start anew
            watcher.run()


@dataclass(frozen=True)
class Started:
    """Makes the application, in the process that runs it."""

    options: Options

    def __call__(self) -> object:
        import prometheus_client

        from flows.serving.engine.live import Served
        from flows.serving.http.access import Access
        from flows.serving.http.app import Application
        from flows.serving.log.writer import Log
        from flows.serving.server import worker_number

        logging.basicConfig(stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")
        logging.getLogger("ratchet.serving").setLevel(logging.INFO)
        prometheus_client.disable_created_metrics()  # a second line for each number, which nobody reads
        _follow_parent()
        options = self.options
        access = Access(
            options.host,
            options.allowed,
            Tokens(options.state) if options.needs_token else None,
        )
        number = worker_number.take(options.state)
        log = Log(options.state / "answers", number, key.of(options.state)) if options.log else None
        served = Served(options.state, options.models or None, number if options.log else None)
        return Application(served, log, access, options.limits, options.models)


def _end(number: int, frame: FrameType | None) -> None:
    sys.exit(0)


def _follow_parent() -> None:
    """End when the process that watches this one has ended, however that was."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="follows its parent", daemon=True).start()


def _open_files() -> None:
    """As many connections as the system allows: its usual 1024 open files would be fewer than ours."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def _counted_together() -> Iterator[None]:
    """Processes that are started in the block count in one place, which each of them shows at /metrics."""
    place = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="ratchet-metrics-", dir=place) as folder:
        os.environ[COUNTS] = folder
        try:
            yield
        finally:
            del os.environ[COUNTS]
