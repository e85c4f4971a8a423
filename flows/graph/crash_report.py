"""The message after a stage was killed or crashed: the likely cause, and what to do."""

import re
import signal
from pathlib import Path

FATAL = re.compile(r"bad_alloc|Check failed|[Oo]ut of memory|OOM|free\(\)|corrupt|Segmentation fault|Killed")
SIGNALS = 128  # exit statuses above it stand for signals; Ctrl-C has one of its own
INTERRUPTED = 130


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
