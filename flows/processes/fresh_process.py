"""Runs a module of ours in a fresh process: a request in one file, an answer in another, both in a scratch folder.

If a warm process has the module's imports, the fresh process is its child (pipelines/process/fork_server.py).
"""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flows.processes import log_watch
from pipelines.errors import RatchetError


class Told(RatchetError):
    """An error that the process met and told, with its exit status."""

    def __init__(self, what: str, status: int):
        super().__init__(what)
        self.status = status


def asked(
    module: str,
    request: dict[str, Any],
    folder: Path,
    environment: dict[str, str],
    failed: str,
    notice: Callable[[str], None],
) -> dict[str, Any]:
    """As `run`, of a module that answers with `answered`. Raises Told for an error that it met."""
    found = run(module, request, folder, environment, failed, notice)
    if "error" in found:
        raise Told(found["error"], found["status"])
    return found


def answered(
    path: Path, work: Callable[[dict[str, Any]], dict[str, Any]], told: Callable[[RatchetError], str] = str
) -> None:
    """In that process: write what `work` returns for the request in `path`, or the RatchetError that it raises.

    told: the error in words.
    """
    try:
        answer = work(json.loads(path.read_text(encoding="utf-8")))
    except RatchetError as error:
        answer = {"error": told(error), "status": error.status}
    (path.parent / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


def run(
    module: str,
    request: dict[str, Any],
    folder: Path,
    environment: dict[str, str],
    failed: str,
    notice: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Run `python -m module FOLDER/request.json` and return what it wrote to FOLDER/answer.json.

    environment: its variables. failed: the error's first words. notice: called with what it waits for. Raises
    RatchetError, with its last line on standard error, if its exit status is not 0.
    """
    path, log = folder / "request.json", folder / "stderr"
    path.write_text(json.dumps(request), encoding="utf-8")
    command = [sys.executable, "-m", "pipelines.process.fork_server", "run", "networks", module, str(path)]
    with (
        log.open("wb") as errors,
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True) as child,
    ):
        try:
            for line in child.stdout or ():
                if line.startswith(log_watch.MARK):
                    notice(line.removeprefix(log_watch.MARK).strip())
        except BaseException:
            child.kill()
            raise
    if child.returncode:
        said = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] or ["no reason given"]
        raise RatchetError(f"{failed}: {said[0]}.")
    return dict(json.loads((folder / "answer.json").read_text(encoding="utf-8")))
