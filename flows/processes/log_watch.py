"""Shows what a stage waits for (another training's GPU, other workers) while it waits."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from flows.processes.watch import polled

MARK = "waits: "  # how such a line of a stage's log begins


@contextmanager
def followed(log: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """While the block runs, tell each such line of a stage's log as it comes."""
    told = 0

    def look(last: bool) -> None:
        nonlocal told
        if not last:  # at the end nothing waits any more
            found = _lines(log)
            for line in found[told:]:
                tell(line)
            told = len(found)

    with polled(look, "waits"):
        yield


def _lines(log: Path) -> list[str]:
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    return [line.removeprefix(MARK) for line in text.split("\n")[:-1] if line.startswith(MARK)]
