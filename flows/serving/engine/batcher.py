"""The batcher: requests that have arrived while the last batch was computed are computed together.

It never waits for more. A call that takes little time is made in the event loop, another one in a thread.
"""

import asyncio
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from flows.serving.engine.engine import Engine
from flows.serving.problem import Problem
from flows.serving.rows.batch import Arrays

MOST = 64  # rows in a batch
QUICK_SECONDS = 0.001  # a call that may hold up the event loop; to change threads takes a tenth of it


@dataclass(frozen=True)
class Pace:
    """What a call of an engine takes, in seconds: at all, and for each row."""

    call: float
    row: float

    def seconds(self, rows: int) -> float:
        """The time for so many rows."""
        return self.call + rows * self.row


@dataclass(frozen=True)
class Waiting:
    """Rows that are to be computed."""

    arrays: Arrays
    size: int
    result: "asyncio.Future[np.ndarray]"


class Batcher:
    """Computes rows of one version, in the order in which they came. It belongs to one event loop."""

    def __init__(self, engine: Engine, pace: Pace):
        self._engine, self._pace = engine, pace
        self._waiting: deque[Waiting] = deque()
        self._busy = False  # whether a batch is being computed, or is about to be
        self._thread = ThreadPoolExecutor(1, "answers")  # starts with its first work

    async def answers(self, arrays: Arrays, size: int) -> np.ndarray:
        """The answers to `size` rows [size, outputs]. Raises Problem."""
        loop = asyncio.get_running_loop()
        result: asyncio.Future[np.ndarray] = loop.create_future()
        self._waiting.append(Waiting(arrays, size, result))
        if not self._busy:
            self._busy = True
            loop.call_soon(self._next, loop)  # after the requests that have arrived already
        return await result

    @property
    def problem(self) -> str:
        """Why the engine does not answer now; "" if it does."""
        return self._engine.problem

    def close(self) -> None:
        """End after the computation that is under way, if somebody who has gone had asked for it. Nobody waits."""
        self._thread.shutdown()
        self._engine.close()

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = self._taken()
        if not batch:
            self._busy = False
            return
        quick = self._engine.quick and self._pace.seconds(sum(one.size for one in batch)) <= QUICK_SECONDS
        if not quick:
            loop.run_in_executor(self._thread, _computed, self._engine, batch).add_done_callback(
                lambda done: self._hand_out(loop, batch, done.result())
            )
            return
        self._hand_out(loop, batch, _computed(self._engine, batch))

    def _taken(self) -> list[Waiting]:
        """The next rows: whole requests, up to MOST rows, or a single one that has more."""
        batch: list[Waiting] = []
        rows = 0
        while self._waiting and (not batch or rows + self._waiting[0].size <= MOST):
            one = self._waiting.popleft()
            if not one.result.done():  # who asked may be gone
                batch.append(one)
                rows += one.size
        return batch

    def _hand_out(
        self, loop: asyncio.AbstractEventLoop, batch: list[Waiting], results: list[np.ndarray | Problem]
    ) -> None:
        for one, result in zip(batch, results, strict=True):
            if one.result.done():
                continue
            if isinstance(result, Problem):
                one.result.set_exception(result)
            else:
                one.result.set_result(result)
        loop.call_soon(self._next, loop)


def _computed(engine: Engine, batch: list[Waiting]) -> list[np.ndarray | Problem]:
    """The answers to each request; where they cannot be computed together, to each alone."""
    if len(batch) == 1:
        return [_alone(engine, batch[0].arrays)]
    try:
        joined = {name: np.concatenate([one.arrays[name] for one in batch]) for name in batch[0].arrays}
        found = engine.answers(joined)
    except Exception:  # whose rows it were shows when each is computed alone
        return [_alone(engine, one.arrays) for one in batch]
    ends = np.cumsum([one.size for one in batch]).tolist()
    return [found[end - one.size : end] for one, end in zip(batch, ends, strict=True)]


def _alone(engine: Engine, arrays: Arrays) -> np.ndarray | Problem:
    try:
        return engine.answers(arrays)
    except Problem as problem:
        return problem
    except Exception as error:  # of a runtime: its text may hold values of the rows
        return Problem(
            500, "model", "The model cannot compute an answer", f"The model failed with {type(error).__name__}."
        )
