"""Warm processes import slow libraries once for a run, while its first stages work.

    python -m pipelines.process.fork_server serve KIND FILE
        imports, then forks a child for every request
    python -m pipelines.process.fork_server run KIND MODULE ARGUMENT...
        `python -m MODULE ARGUMENT...`, in such a child if possible

A warm process imports, and runs nothing: its child computes the same bits as a fresh process (a test). The client that
asks for a child stays, represents the child to its own parent, and when it dies the child ends too. The child takes
over the client's environment, folder and process group. Without RATCHET_WARM (the folder of the sockets), or if no
process answers there, the module runs in the client. A child starts without any module of the project, so stages are
sealed before Python reads their modules.
"""

import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from pipelines.process import lifeline

VARIABLE = "RATCHET_WARM"
LIBRARIES: dict[str, tuple[str, ...]] = {  # by kind: the imports of a warm process
    "rules": (
        "great_expectations",
        "pandas",
        "pyarrow.parquet",
        "sklearn.model_selection",
        "sklearn.tree",
        "scipy.stats",
    ),
    "networks": (
        "tensorflow",
        "keras",
        "pandas",
        "pyarrow.parquet",
        "sklearn.metrics",
        "sklearn.preprocessing",
        "sklearn.tree",
        "scipy.cluster.hierarchy",
        "matplotlib.figure",
    ),
}
LATER = {"networks": ("mlflow.pyfunc",)}  # imported when no client waits: only the last one needs it
BEGUN = b"+"  # the first byte that a child sends
KILLED = 137  # the exit status of a child that could not give one
AT_IMPORT = (
    "CUDA_DEVICE_ORDER",
    "KERAS_BACKEND",
    "ONEDNN_MAX_CPU_ISA",
    "TF_CPP_MIN_LOG_LEVEL",
    "TF_ENABLE_ONEDNN_OPTS",
    "XLA_FLAGS",
)
SIGNALS = (signal.SIGHUP, signal.SIGTERM)  # Ctrl-C reaches the whole process group


def ask(kind: str, module: str, arguments: list[str]) -> int | None:
    """Run `python -m module arguments` in a child of a warm process; returns its exit status.

    kind: of that process, or the stage that it serves. None if there is no such process.
    """
    folder = os.environ.get(VARIABLE, "")
    if not folder:
        return None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        try:
            line.connect(str(Path(folder) / kind))
            socket.send_fds(line, [b"."], [0, 1, 2])
            line.sendall(json.dumps(_own(module, arguments)).encode() + b"\n")
            begun = line.recv(1)  # sent after its imports; a process whose imports fail closes the line
        except OSError:
            return None
        if not begun:
            return None
        with _forwarded(line):
            status = line.recv(1)
    return status[0] if status else KILLED


@contextlib.contextmanager
def _forwarded(line: socket.socket) -> Iterator[None]:
    """Forward signals that end a process to the child while the block runs."""

    def forward(number: int, _: Any) -> None:
        line.sendall(bytes([number]))

    before = {number: signal.signal(number, forward) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _own(module: str, arguments: list[str]) -> dict[str, Any]:
    """What the child takes over from this process."""
    return {
        "module": module,
        "arguments": arguments,
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "group": os.getpgrp(),
        "path": sys.path,
    }


def serve(kind: str, held: int) -> NoReturn:
    """Import when standard input ends, close the descriptor `held`, then fork a child for each client."""
    lifeline.follow(os.environ.get("RATCHET_LIFELINE"))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel removes ended children
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        with contextlib.chdir(os.environ[VARIABLE]):  # the address of a socket has room for about a hundred letters
            door.bind(kind)
        door.listen()  # a client that comes before the imports are done waits
        sys.stdin.buffer.read()
        _import(LIBRARIES[kind])
        os.close(held)  # whoever has its other end takes its turn
        if not select.select([door], [], [], 0)[0]:  # nobody waits yet
            _import(LATER.get(kind, ()))
        while True:
            line, _ = door.accept()
            if os.fork() == 0:
                door.close()
                _answer(line)
            line.close()
            _import(LATER.get(kind, ()))


def _import(names: tuple[str, ...]) -> None:
    for name in names:
        importlib.import_module(name)


def _answer(line: socket.socket) -> NoReturn:
    """In the child: become what was asked for, say how it ended, and leave."""
    status = 1
    try:
        wanted = _become(line)
        line.sendall(BEGUN)
        threading.Thread(target=_leave_with, args=[line], name="who asked", daemon=True).start()
        status = _run(wanted["module"], wanted["arguments"])
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    line.sendall(bytes([status & 255]))
    os._exit(status)


def _become(line: socket.socket) -> dict[str, Any]:
    """Take over streams, environment, folder and process group of the one who asks."""
    _, streams, _, _ = socket.recv_fds(line, 1, 3)
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    with line.makefile("rb") as file:
        wanted = dict(json.loads(file.readline()))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    read = {name: os.environ[name] for name in AT_IMPORT if name in os.environ}  # by libraries, which look only once
    os.environ.clear()
    os.environ.update(wanted["environment"] | read)
    del os.environ[VARIABLE]
    os.chdir(wanted["folder"])
    os.setpgid(0, wanted["group"])
    sys.path[:] = wanted["path"]
    for name in [name for name in sys.modules if name.partition(".")[0] == "pipelines"]:
        del sys.modules[name]  # the one who asks may have another tree
    return wanted


def _leave_with(line: socket.socket) -> None:
    """End when the one who asked dies, which ends the line; what is sent before are signals."""
    while number := line.recv(1):
        os.kill(os.getpid(), number[0])
    os._exit(1)


def _run(module: str, arguments: list[str]) -> int:
    """`python -m module arguments`, in this process; returns its exit status."""
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def main(arguments: list[str]) -> int:
    task, kind, *rest = arguments
    if task == "serve":
        serve(kind, int(rest[0]))
    status = ask(kind, rest[0], rest[1:])
    return _run(rest[0], rest[1:]) if status is None else status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
