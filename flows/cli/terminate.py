"""SIGTERM ends a command as Ctrl-C does, with a status of its own."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM


class Terminated(KeyboardInterrupt):
    """SIGTERM has come. Whoever cleans up after Ctrl-C does so after this."""


@contextmanager
def listening() -> Iterator[None]:
    """While the block runs SIGTERM raises Terminated, so that everything is left in order. Only for the main thread."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def words(error: BaseException | None) -> tuple[str, int]:
    """What to say of a command that was stopped, and its exit status.

    error: what stopped it; libraries on the way may have made another error of it.
    """
    while error is not None:
        if isinstance(error, Terminated):
            return "terminated", TERMINATED
        error = error.__cause__ or error.__context__
    return "interrupted", INTERRUPTED


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Terminated
