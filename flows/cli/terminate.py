"""SIGTERM ends a command as Ctrl-C does, with a status of its own."""

import signal
from types import FrameType

INTERRUPTED, TERMINATED = 128 + signal.SIGINT, 128 + signal.SIGTERM
_received: list[int] = []  # by this process


def listen() -> None:
    """From now on SIGTERM raises KeyboardInterrupt, so that everything is left in order. Only for the main thread."""
    signal.signal(signal.SIGTERM, _interrupt)


def words() -> tuple[str, int]:
    """What to say of a command that was stopped, and its exit status."""
    return ("terminated", TERMINATED) if _received else ("interrupted", INTERRUPTED)


def _interrupt(number: int, frame: FrameType | None) -> None:
    _received.append(number)
    raise KeyboardInterrupt
