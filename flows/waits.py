"""Waits: what a stage waits for (another training's GPU, other workers), told while it waits."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

EVERY = 0.3  # seconds between two looks
MARK = "waits: "  # how such a line of a stage's log begins


@contextmanager
def followed(log: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, tell each such line of a stage's log as it comes."""
    done = threading.Event()

    def look() -> None:
        told = 0
        while not done.wait(EVERY):
            found = _lines(log)
            for line in found[told:]:
                tell(line)
            told = len(found)

    thread = threading.Thread(target=look, name="waits", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _lines(log: Path) -> list[str]:
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return [line.removeprefix(MARK) for line in text.split("\n")[:-1] if line.startswith(MARK)]
