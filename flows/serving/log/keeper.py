"""Ends the files of days that are over, and starts the process that closes them (closing.py), beside the answers."""

import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from flows.serving.log import layout

ROOT = Path(__file__).parents[3]  # where `flows` is found
EVERY = 5.0  # seconds between two looks for files that are finished
FIRST = 60.0  # seconds until it is started first, if no file is finished: a start has other things to do
LATEST = 3600.0  # seconds until it is started all the same: the limits of days and size
AGAIN = 60.0  # seconds after one that failed
LOGGER = logging.getLogger("ratchet.serving")


class Keeper:
    """A thread that sleeps. What works is a process of its own, with the lowest priority."""

    def __init__(self, answers: Path, closes: bool, turn: Callable[[], None]):
        """closes: whether it starts that process: one worker of a server does. turn: ends files of earlier days."""
        self._answers, self._closes, self._turn = answers, closes, turn
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._watch, name="log keeper", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, and a process that is at work: the next one goes on."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        due = time.monotonic() + FIRST
        while not self._stop.wait(EVERY):
            try:
                self._turn()
                if not self._closes or (time.monotonic() < due and not self._any_finished()):
                    continue
                done = self._closed() == 0  # it has said itself what it could not do
            except OSError as error:
                LOGGER.warning("the log of the answers cannot be closed now: %s", error)
                done = False
            due = time.monotonic() + LATEST
            if not done:
                self._stop.wait(AGAIN)

    def _any_finished(self) -> bool:
        parts = (part for folder in layout.models(self._answers) for part in layout.open_parts(folder))
        return any(map(layout.finished, parts))

    def _closed(self) -> int:
        """The status of a process that closes what is finished."""
        command = [sys.executable, "-m", "flows.serving.log.closing", str(self._answers.absolute())]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL)
        while (status := process.poll()) is None:
            if self._stop.wait(0.1):
                process.terminate()
                return process.wait()
        return status
