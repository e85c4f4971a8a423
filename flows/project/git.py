"""git: every call of it."""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from pipelines.errors import RatchetError

LITERAL = {"GIT_LITERAL_PATHSPECS": "1"}  # variables by which a path is only a path, and no pattern


def run(folder: Path, *arguments: str, variables: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `git ARGUMENTS` in a folder. Raises FileNotFoundError if git is not installed.

    variables: of the environment, beside those of this process. Bytes that are no UTF-8 come as surrogates.
    """
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=os.environ | dict(variables or {}),
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
    )


def ask(folder: Path, *arguments: str) -> str:
    """What git answers, without the end of the last line; "" if it has no answer, or is not installed."""
    try:
        done = run(folder, *arguments)
    except FileNotFoundError:
        return ""
    return done.stdout.rstrip("\n") if done.returncode == 0 else ""


def do(folder: Path, *arguments: str, failed: str, advice: str, variables: Mapping[str, str] | None = None) -> str:
    """Run a command that must succeed; returns what it prints, without the end of the last line.

    Raises RatchetError with `failed`, git's reason, and `advice`.
    """
    done = run(folder, *arguments, variables=variables)
    if done.returncode:
        raise RatchetError(f"{failed}: git {arguments[0]}: {reason(done)}.", advice)
    return done.stdout.rstrip("\n")


@contextmanager
def objects(folder: Path) -> Iterator[Callable[[str], bytes]]:
    """What an object holds, by its name; b"" for one that is not there. One process answers for all."""
    command = ["git", "cat-file", "--batch"]
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        asked, answered = cast(IO[bytes], process.stdin), cast(IO[bytes], process.stdout)

        def content(name: str) -> bytes:
            asked.write(f"{name}\n".encode())
            asked.flush()
            head = answered.readline().split()
            if len(head) < 3:
                return b""
            found = answered.read(int(head[2]))
            answered.read(1)
            return found

        try:
            yield content
        finally:
            asked.close()


def reason(done: subprocess.CompletedProcess[str]) -> str:
    """Why it failed, in one line."""
    return " ".join(done.stderr.encode(errors="surrogateescape").decode(errors="replace").split())[:300]
