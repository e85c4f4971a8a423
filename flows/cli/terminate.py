"""Ctrl-C, SIGTERM and the end of the terminal all end a command in order, each with a status of its own."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from flows.processes.stopping import Stopped, found

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME = 2.0  # seconds: a terminal and a program around the command may send the same signal twice
WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated", signal.SIGHUP: "ended with its terminal"}


class Listener:
    """Raises Stopped at the first signal, so that everything is left in order. A later one ends the process at once."""

    def __init__(self) -> None:
        self.number, self._since = 0, 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.number and now - self._since < SAME:
            return
        if self.number:
            os._exit(status(number))  # children follow the lifeline, and the next run ends what stays open in the pages
        self.number, self._since = number, now
        if number == signal.SIGHUP:
            _forget_the_terminal()
        raise Stopped(number)


@contextmanager
def listening() -> Iterator[Listener]:
    """While the block runs these signals raise Stopped. Only for the main thread.

    One that is ignored stays so: that of `nohup`, or of a command in the background of a script.
    """
    listener = Listener()
    before = {number: signal.getsignal(number) for number in SIGNALS}
    for number in (one for one in SIGNALS if before[one] is not signal.SIG_IGN):
        signal.signal(number, listener)
    try:
        yield listener
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def words(error: BaseException | None) -> tuple[str, int]:
    """What to say of a command that was stopped, and its exit status.

    error: what stopped it; libraries on the way may have made another error of it.
    """
    stop = found(error) or Stopped()
    said = WORDS.get(signal.Signals(stop.number), "interrupted")
    return ": ".join(filter(None, [said, stop.advice])), status(stop.number)


def status(number: int) -> int:
    return 128 + number


def at_the_end() -> None:
    """From now on a signal ends the process without a word: there is nothing left to put in order."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def _forget_the_terminal() -> None:
    """Nobody reads any more, and writing to a terminal that is gone fails."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)
