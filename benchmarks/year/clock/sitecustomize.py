"""The clock of a file: with this folder on PYTHONPATH each Python process shows the time of BENCHMARK_CLOCK.

That file holds the seconds between this clock and the real one. Only what says the time of day is changed: waiting and
monotonic clocks stay as they are.
"""

import os
import threading
import time

LOOK = 0.02  # seconds between two looks at the file
PATH = os.environ.get("BENCHMARK_CLOCK", "")


def ahead() -> float:
    with open(PATH) as file:
        return float(file.read())


class Clock:
    """The time of this process. It follows the file in a thread, which a forked child starts again."""

    def __init__(self) -> None:
        import time_machine

        self.ahead = ahead()
        self.traveller = time_machine.travel(time.time() + self.ahead, tick=True).start()
        os.register_at_fork(after_in_child=self.start)
        self.start()

    def start(self) -> None:
        threading.Thread(target=self.follow, name="clock", daemon=True).start()

    def follow(self) -> None:
        while True:
            time.sleep(LOOK)
            now = ahead()
            if now != self.ahead:
                self.traveller.shift(now - self.ahead)
                self.ahead = now


if PATH:
    Clock()
