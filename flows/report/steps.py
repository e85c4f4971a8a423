"""Says what a long command is at, every few seconds, on a terminal and in a pipe."""

import threading
import time
from collections.abc import Callable
from typing import Self

EVERY = 5.0  # seconds from one line to the next


class Steps:
    """`with Steps(notice) as at: at("reading")`. notice: shows a line. A command that ends before has no line."""

    def __init__(self, notice: Callable[[str], None], every: float = EVERY):
        self._notice, self._every = notice, every
        self._start, self._what = time.monotonic(), "begins"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="steps", daemon=True)

    def __call__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _tell(self) -> None:
        while not self._ended.wait(self._every):
            self._notice(f"{time.monotonic() - self._start:6.0f} s  {self._what}")
