"""A function of many pieces, in several processes, in the order of the pieces.

Only a few pieces more than there are processes are in memory at a time, however many there are.
"""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import Any, TypeVar

import psutil

from pipelines.errors import RatchetError

PROCESS_BYTES = 1 << 30  # of memory for a process with TensorFlow, a model and a few pieces
AHEAD = 2  # pieces that wait, beside the one of each process
Given = TypeVar("Given")
Found = TypeVar("Found")


def fitting() -> int:
    """As many processes as there are cores and as the free memory has room for; at least one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(cores, psutil.virtual_memory().available // PROCESS_BYTES))


def read_ahead(pieces: Iterator[Given], count: int) -> tuple[int, Iterator[Given]]:
    """How many of the first `count` pieces there are, and all pieces. An error among them is raised in its place."""
    errors: list[RatchetError] = []
    good = _until_error(pieces, errors)
    first = list(islice(good, count))
    return len(first), chain(first, good, _raised(errors))


def _raised(errors: list[RatchetError]) -> Iterator[Any]:
    yield from ()
    if errors:
        raise errors[0]


def each(function: Callable[[Given], Found], pieces: Iterator[Given], count: int) -> Iterator[Found]:
    """What the function makes of each piece. count: of processes, which start when they are needed.

    Raises what the function raises for the first piece that fails, and only then what `pieces` raises; RatchetError if
    a process dies.
    """
    waiting: deque[Future[Found]] = deque()
    errors: list[RatchetError] = []
    with ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _follow) as pool:
        try:
            for piece in _until_error(pieces, errors):
                waiting.append(pool.submit(function, piece))
                if len(waiting) >= count + AHEAD:
                    yield _result(waiting.popleft())
            while waiting:
                yield _result(waiting.popleft())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    if errors:
        raise errors[0]


def _until_error(pieces: Iterator[Given], errors: list[RatchetError]) -> Iterator[Given]:
    """The pieces before the first error, which is noted."""
    try:
        yield from pieces
    except RatchetError as error:
        errors.append(error)


def _result(future: "Future[Found]") -> Found:
    try:
        return future.result()
    except BrokenProcessPool as error:
        raise RatchetError(
            "A process that answers rows has ended before its rows were answered, perhaps for lack of memory.",
            "Free memory, or predict with `--workers 1`.",
        ) from error


def _follow() -> None:
    """End this process when its parent ends, however it ends."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=wait, name="parent", daemon=True).start()
