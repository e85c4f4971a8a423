"""Rebuild: the recorded tree of a run in a clone of its own, with its data, and every stage run again.

The clone lies in the state folder, with one commit. Its DVC cache is its own; the project's
is only read, as a remote. What an interrupted rebuild leaves behind is removed by the next one.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from ruamel.yaml import YAML

from flows.graph import pipeline
from flows.project import git, lifeline
from flows.project.environment import Project
from flows.report.progress import Progress
from pipelines.errors import IntegrityError, RequestError
from pipelines.hardware.device import REPLAY

RUNNING = re.compile(r"^Running stage '(.+)@.+':$")  # what DVC prints before it runs a stage
FETCH = "git fetch origin 'refs/ratchet/*:refs/ratchet/*'"


@dataclass(frozen=True)
class Rebuilt:
    """entries: what dvc.lock says afterwards; failure: what the stage that failed said, if one did."""

    entries: dict[str, Any]
    failure: str
    failed: str  # the stage


@contextmanager
def workspace(project: Project) -> Iterator[Path]:
    """An empty folder for one verification, gone when it ends."""
    base = project.state / "verify"
    base.mkdir(exist_ok=True)
    _sweep(base)
    folder = base / str(os.getpid())
    with FileLock(f"{folder}.lock"):
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    Path(f"{folder}.lock").unlink(missing_ok=True)


def _sweep(base: Path) -> None:
    """Remove what verifications that died have left; one that lives holds its lock."""
    for path in base.glob("*.lock"):
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        shutil.rmtree(path.with_suffix(""), ignore_errors=True)
        lock.release()
        path.unlink(missing_ok=True)


def clone(project: Project, commit: str, folder: Path) -> None:
    """The files of a recorded commit, in a new folder.

    They are fetched, so that git names every object by what it holds: where it shares or copies its store it looks at
    no content. Raises RequestError if git does not have the commit, IntegrityError if its objects are not what their
    names say.
    """
    if not re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", commit):  # an argument of git's, read from a tag in MLflow
        raise RequestError(f"The version's tag ratchet.commit is {commit[:80]!r}, which is no commit.", "Restore it.")
    quiet = ["-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false"]
    if git.run(project.root, "cat-file", "-e", f"{commit}^{{commit}}").returncode:
        raise RequestError(
            f"The recorded commit {commit[:12]} is not in this clone.", f"Fetch it and verify again: {FETCH}"
        )
    source = ["-c", "uploadpack.allowAnySHA1InWant=true", "fetch", "--quiet", "--depth=1", f"file://{project.root}"]
    folder.mkdir(parents=True, exist_ok=True)
    for command in (
        ["init", "--quiet"],
        [*quiet, *source, commit],
        [*quiet, "checkout", "--quiet", "--detach", commit],
    ):
        done = git.run(folder, *command)
        if done.returncode:
            raise IntegrityError(
                f"The recorded commit {commit[:12]} cannot be read from git: {git.reason(done)}.",
                "Its objects may have been changed: `git fsck` names them. Bring them back from a remote or a backup.",
            )


def interpreter(folder: Path, recreate: bool, shown: Progress) -> Path:
    """The Python to rebuild with: this one, or (recreate) one with the packages of the recorded lock."""
    if not recreate:
        return Path(sys.executable)
    shown.notice("installing the recorded packages")
    done = subprocess.run(
        ["make", f"PYTHON={getattr(sys, '_base_executable', sys.executable)}", ".venv/.ready"],
        cwd=folder,
        env=_without_venv(),
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RequestError(f"The recorded packages cannot be installed: {done.stderr.strip()[-500:]}")
    return folder / ".venv" / "bin" / "python"


def _without_venv() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in ("VIRTUAL_ENV", "PYTHONPATH")}


def packages(python: Path) -> dict[str, str]:
    """name -> version of what is installed for an interpreter."""
    code = (
        "import json; from importlib.metadata import distributions as d; "
        "print(json.dumps({p.name.lower(): p.version for p in d()}))"
    )
    done = subprocess.run([python, "-c", code], env=_without_venv(), capture_output=True, text=True, check=True)
    return dict(sorted(json.loads(done.stdout).items()))


def run(
    project: Project,
    folder: Path,
    model: str,
    leaves: list[str],
    hardware: dict[str, Any],
    python: Path,
    shown: Progress,
) -> Rebuilt:
    """Bring the pinned data, and run every stage again, nothing taken from a cache.

    leaves: the last stages; hardware: what `auto` was resolved to, and the micro-batch.
    """
    environment = os.environ | {
        "DVC_SITE_CACHE_DIR": str(folder / ".ratchet" / "dvc"),
        REPLAY: json.dumps(replayed(hardware)),
        "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", os.defpath)]),
    }
    for name in ("RATCHET_STATE", "RATCHET_STAGE_LOG", "RATCHET_WARM"):
        environment.pop(name, None)
    with lifeline.held(project) as pipe:
        environment["RATCHET_LIFELINE"] = pipe

        def dvc(*arguments: str) -> tuple[int, str]:
            return _follow([str(python), "-m", "dvc", *arguments], folder, environment, shown)

        pipeline.lend(project, folder)
        source = folder / "data" / model / "source.dvc"
        if source.exists():
            _bring(dvc, str(source.relative_to(folder)))
        lock = folder / "dvc.lock"
        lock.unlink(missing_ok=True)  # what it says afterwards was made here
        status, said = dvc("repro", "--force", "--no-run-cache", *leaves)
    entries = YAML(typ="safe").load(lock.read_text(encoding="utf-8"))["stages"] if lock.exists() else {}
    running = [match[1] for line in said.splitlines() if (match := RUNNING.match(line))]
    told = [line.removeprefix("error: ") for line in said.splitlines() if line.startswith("error: ")]
    failed = running[-1] if status and running else "refresh" if status else ""
    return Rebuilt(entries, "; ".join(told) or said[-500:] if status else "", failed)


def replayed(hardware: dict[str, Any]) -> dict[str, Any]:
    """The recorded hardware for this one process: what several workers shared, as many devices of it share."""
    workers = int(hardware.get("workers", 1))
    return hardware | {"workers": 1} | ({"devices": int(hardware["devices"]) * workers} if workers > 1 else {})


def _bring(dvc: Any, target: str) -> None:
    """The pinned files, from the project's cache or else from its own remote. Raises RequestError."""
    for remote in (["--remote", "recorded"], []):
        dvc("fetch", *remote, target)  # its status does not tell whether all was there
        if not dvc("checkout", target)[0]:
            return
    raise RequestError(
        f"The data that {target} names are neither in DVC's cache nor in its remote.",
        "Bring them back with `dvc pull`, or from a backup, and verify again.",
    )


def _follow(command: list[str], folder: Path, environment: dict[str, str], shown: Progress) -> tuple[int, str]:
    """Run a command in a group of its own, show the stages as they begin; returns status and output."""
    lines: list[str] = []
    with subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            for line in process.stdout or []:
                lines.append(line)
                if match := RUNNING.match(line.rstrip()):
                    shown.close()
                    shown.begin(match[1])
            return process.wait(), "".join(lines)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            shown.close()
