"""Warm processes that stay between runs: `ratchet up` starts them, `ratchet down` ends them. What such a process is:
pipelines/process/fork_server.py.

A run borrows one if it would have started the very same itself. What is read once, when libraries are imported, and
what a child cannot take over from the one who asks make the name of the folder of its socket.
"""

import hashlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import sysconfig
from contextlib import ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING

from flows.project import databases, lifeline, locks, scratch
from flows.project.environment import Project
from flows.servers import lifecycle
from pipelines.process import fork_server
from pipelines.process import lifeline as following

if TYPE_CHECKING:  # slow to import for a command that only borrows
    from pipelines.hardware.device import Hardware

READ_ONCE = (  # the beginnings of variables that Python, the loader and libraries read when they start
    *("BLIS_", "CUDA_", "DNNL_", "GLIBC_", "GX_", "HOME", "KERAS_", "KMP_", "LANG", "LC_", "LD_", "MALLOC_", "MKL_"),
    *("MPL", "NUMEXPR_", "NVIDIA_", "OMP_", "ONEDNN_", "OPENBLAS_", "PYTHON", "TF_", "TMPDIR", "TZ", "XLA_"),
)
HARMLESS = ("PYTHONUNBUFFERED",)
SERVED_BY = {"tables": "rules"}  # which have imported what those need
OF_COMMANDS = ("DVC_", "GIT_", "MLFLOW_", "PREFECT_")  # the same for the libraries around the stages


def start(
    project: Project, kind: str, folder: Path, environment: dict[str, str], turn: IO[bytes], stays: bool = False
) -> tuple["subprocess.Popen[bytes]", IO[bytes]]:
    """Start a warm process; returns it, and a file that ends when its libraries are there.

    folder: of its socket, named after the kind. turn: at its end it begins to import. stays: beyond this process.
    """
    imported, held = os.pipe()
    log = project.state / "logs" / "warm.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.process.fork_server", "serve", kind, str(held)],
            env=environment | {fork_server.VARIABLE: str(folder)},
            stdin=turn,
            stdout=file,
            stderr=file,
            pass_fds=[held],
            start_new_session=stays,
        )
    os.close(held)
    return process, open(imported, "rb")


def environment(hardware: "Hardware") -> dict[str, str]:
    """The one in which libraries are imported for such a training."""
    from pipelines.hardware import device

    return os.environ | device.variables(hardware) | {"TF_CPP_MIN_LOG_LEVEL": "3"}


def of_commands(project: Project) -> dict[str, str]:
    """The one in which they are imported for a command that talks to the Prefect server that is up."""
    running = lifecycle.recorded(project)
    url = project.prefect or (running["prefect"].api if "prefect" in running else "")
    client = {name: value for name, value in os.environ.items() if name != databases.DATABASE}
    return client | {"PREFECT_API_URL": url}


def up(project: Project) -> None:
    """One for each kind, if they are not there; returns when their libraries are imported. Those of no use now end."""
    from pipelines.hardware.device import Hardware

    stages = environment(Hardware())
    wanted = {kind: of_commands(project) if kind == "commands" else stages for kind in fork_server.LIBRARIES}
    with ExitStack() as stack:
        stack.enter_context(locks.hold(project, "run", "ratchet up", wait=False))
        folder = stack.enter_context(scratch.folder("warm"))
        if all(borrow(project, kind, own, folder) for kind, own in wanted.items()):
            return
        down(project)
        (project.state / "warm").mkdir(parents=True, mode=0o700)  # who reaches a socket can run programs as this user
        nothing = stack.enter_context(open(os.devnull, "rb"))
        for kind, own in wanted.items():
            place = _place(project, kind, own)
            place.mkdir(mode=0o700)
            alone = {name: value for name, value in own.items() if name != lifeline.VARIABLE}
            _, imported = start(project, kind, place, alone, nothing, stays=True)
            stack.callback(stack.enter_context(imported).read)


def down(project: Project) -> bool:
    """End them; returns whether there were any. What their children are at goes on."""
    found = []
    for number, address in enumerate((project.state / "warm").glob("*/*")):
        with scratch.folder("warm") as folder:
            found.append(_reached(address, folder / str(number), fork_server.END))
    shutil.rmtree(project.state / "warm", ignore_errors=True)
    return any(found)


def borrow(project: Project, kind: str, environment: dict[str, str], folder: Path) -> bool:
    """Let `folder` have the socket of one that stays, if there is one that fits; returns whether there is.

    environment: in which libraries are to have been imported.
    """
    server = SERVED_BY.get(kind, kind)
    return _reached(_place(project, server, environment) / server, folder / kind)


def _reached(address: Path, link: Path, message: bytes = b"") -> bool:
    """Whether somebody listens at an address, who is sent a message. link: made where it is so; an address that is
    connected to has to be short."""
    link.symlink_to(address)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        try:
            line.connect(str(link))
            line.sendall(message)
        except OSError:
            link.unlink()
            return False
    return True


def _place(project: Project, kind: str, environment: dict[str, str]) -> Path:
    """The folder of the socket of one that would be of use to this process."""
    read = READ_ONCE + (OF_COMMANDS if kind == "commands" else ())
    conditions = {
        "kind": kind,
        "python": sys.executable,
        "packages": [os.stat(sysconfig.get_path(name)).st_mtime_ns for name in ("purelib", "platlib")],
        "code": [Path(str(module.__file__)).read_text(encoding="utf-8") for module in (fork_server, following)],
        "environment": {
            name: value for name, value in environment.items() if name.startswith(read) and name not in HARMLESS
        },
        "cores": sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [],
        "limits": [resource.getrlimit(limit)[1] for limit in fork_server.LIMITS],
        "priority": os.getpriority(os.PRIO_PROCESS, 0),
    }
    digest = hashlib.sha256(json.dumps(conditions, sort_keys=True).encode()).hexdigest()
    return project.state / "warm" / digest[:16]
