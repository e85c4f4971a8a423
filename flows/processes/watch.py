"""Look at something again and again while other work is done."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

EVERY = 0.3  # seconds between two looks


@contextmanager
def polled(look: Callable[[bool], None], name: str) -> Iterator[None]:
    """While the block runs, call look(False) from a thread again and again; at its end look(True), once."""
    done = threading.Event()

    def work() -> None:
        while not (last := done.wait(EVERY)):
            look(last)
        look(last)

    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
