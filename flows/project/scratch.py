"""Scratch: temporary folders that are named after their process, so that those of a killed one are cleared up."""

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

NAMED = re.compile(r"ratchet-[a-z]+-(\d+)-\w+")


@contextmanager
def folder(what: str) -> Iterator[Path]:
    """A folder in the system's own place, gone with the block. what: a word that says what it is for."""
    clear_up()
    with tempfile.TemporaryDirectory(prefix=f"ratchet-{what}-{os.getpid()}-") as name:
        yield Path(name)


def clear_up() -> None:
    """Remove the folders of this user's processes that are gone."""
    for left in Path(tempfile.gettempdir()).glob("ratchet-*"):
        named = NAMED.fullmatch(left.name)
        if named and not psutil.pid_exists(int(named[1])) and left.stat().st_uid == os.getuid():
            shutil.rmtree(left, ignore_errors=True)
