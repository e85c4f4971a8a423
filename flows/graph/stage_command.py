"""The command of a stage: how it is run and ended, and what is said where it was killed or crashed.

DVC ignores Ctrl-C while a command works, and waits for a command that only got it from a terminal. Here the command has
a process group of its own, which the terminal does not reach: it is ended from here, by a signal that no Python answers
with a traceback.
"""

import os
import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

FATAL = re.compile(r"bad_alloc|Check failed|[Oo]ut of memory|OOM|free\(\)|corrupt|Segmentation fault|Killed")
SIGNALS = 128  # exit statuses above it stand for signals; Ctrl-C has one of its own
INTERRUPTED = 130
PATIENCE = 5.0  # seconds that a stage may take to end


def install() -> None:
    """Make DVC run the commands of stages by it in this process.

    This replaces a private part of DVC 3.67, because no setting does. tests/flows/graph/test_stage_command.py fails if
    a newer DVC no longer calls the replaced part.
    """
    from dvc.stage import run

    run._run = _run


def _run(executable: str | None, cmd: str, **options: Any) -> None:
    """Raises DVC's error for a command that fails."""
    from dvc.stage import run
    from dvc.stage.exceptions import StageCmdFailedError

    process = subprocess.Popen(run._make_cmd(executable, cmd), stdin=subprocess.DEVNULL, process_group=0, **options)
    try:
        status = process.wait()
    except BaseException:
        _end(process)
        raise
    if status:
        raise StageCmdFailedError(cmd, status)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """The command, and what it has started and left."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
            break
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def told(stage: str, problem: str, log: Path) -> str:
    """The error of a failed command, as DVC reports it; for a killed or crashed one, the likely cause.

    stage: such as train@digits; log: what it printed.
    """
    found = re.search(r"exited with (-?\d+)$", problem)
    status = int(found[1]) if found else 0
    status = SIGNALS - status if status < 0 else status
    if status <= SIGNALS or status == INTERRUPTED:
        return problem
    name = stage.partition("@")[0]
    do = "Lower train.batch_size, or declare train.micro_batch: rows at once" if name == "train" else "Run it again"
    return (
        f"The process of `{name}` was killed or crashed (exit status {status}), most likely because memory ran out"
        f"{_last(log)}. {do}, or give it more memory. Its log is {log}."
    )


def interrupted(problem: str) -> bool:
    """Whether Ctrl-C ended the command. DVC hides Ctrl-C from the run while a command works."""
    found = re.search(r"exited with (-?\d+)$", problem)
    return found is not None and int(found[1]) in (-signal.SIGINT, INTERRUPTED)


def _last(log: Path) -> str:
    """The last line of the log that may be the cause."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    fatal = [" ".join(line.split())[:200] for line in lines if FATAL.search(line)]
    return f". Its last line is: {fatal[-1]}" if fatal else ""
