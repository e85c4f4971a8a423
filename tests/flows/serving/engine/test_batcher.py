"""The batcher: each request gets the answers to its own rows, and those that wait together are computed together."""

import asyncio
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.serving.engine.batcher import MOST, Batcher, Pace
from flows.serving.problem import Problem

FAST, SLOW = Pace(0.0, 0.0), Pace(1.0, 0.0)
BAD, FORBIDDEN = 13.0, 14.0


@dataclass
class Doubling:
    """An engine that doubles numbers, fails with some, and notes what it was called with."""

    quick: bool = True
    seconds: float = 0.0
    calls: list[int] = field(default_factory=list)  # rows of each
    threads: set[int] = field(default_factory=set)
    closed: bool = False
    runtime: str = "onnx"
    problem: str = ""

    def answers(self, arrays: dict[str, np.ndarray]) -> np.ndarray:
        self.calls.append(len(arrays["numbers"]))
        self.threads.add(threading.get_ident())
        time.sleep(self.seconds)
        if (arrays["numbers"] == BAD).any():
            raise RuntimeError("a secret value")
        if (arrays["numbers"] == FORBIDDEN).any():
            raise Problem(503, "model", "No", "no")
        return (2 * arrays["numbers"]).astype(np.float32)

    def close(self) -> None:
        self.closed = True


async def asked(batcher: Batcher, numbers: list[float]) -> list[float] | int:
    """The answers, or the status of the problem."""
    try:
        found = await batcher.answers({"numbers": np.array(numbers, float).reshape(-1, 1)}, len(numbers))
    except Problem as problem:
        return -1 if "secret" in problem.detail else problem.status
    return [float(value) for value in found[:, 0]]


def together(engine: Doubling, pace: Pace, requests: list[list[float]]) -> list[list[float] | int]:
    async def every() -> list[list[float] | int]:
        batcher = Batcher(engine, pace)
        found = await asyncio.gather(*(asked(batcher, numbers) for numbers in requests))
        batcher.close()
        return list(found)

    return asyncio.run(every())


def wanted(numbers: list[float]) -> list[float] | int:
    if BAD in numbers:
        return 500
    return 503 if FORBIDDEN in numbers else [2 * number for number in numbers]


@pytest.mark.parametrize("pace", [FAST, SLOW], ids=["in the loop", "in a thread"])
@settings(max_examples=20)
@given(requests=st.lists(st.lists(st.integers(0, 15).map(float), min_size=1, max_size=5), max_size=40))
def test_each_request_gets_its_own_answers_and_a_bad_row_harms_no_other(pace, requests):
    assert together(Doubling(), pace, requests) == [wanted(numbers) for numbers in requests]


@pytest.mark.parametrize("pace", [FAST, SLOW], ids=["in the loop", "in a thread"])
def test_what_arrives_together_is_computed_together_up_to_a_number_of_rows(pace):
    engine = Doubling()
    together(engine, pace, [[1.0, 2.0]] * 100)
    assert sum(engine.calls) == 200
    assert max(engine.calls) == MOST
    assert len(engine.calls) == 4


def test_one_that_comes_alone_does_not_wait():
    engine = Doubling(seconds=0.05)

    async def first_and_then_others() -> None:
        batcher = Batcher(engine, SLOW)
        first = asyncio.create_task(asked(batcher, [1.0]))
        await asyncio.sleep(0.02)
        await asyncio.gather(first, *(asked(batcher, [2.0]) for _ in range(9)))
        batcher.close()

    asyncio.run(first_and_then_others())
    assert engine.calls == [1, 9]


def test_a_slow_call_leaves_the_event_loop_free():
    engine = Doubling(seconds=0.1)

    async def turns() -> int:
        batcher, count = Batcher(engine, SLOW), 0
        waiting = asyncio.create_task(asked(batcher, [1.0]))
        while not waiting.done():
            await asyncio.sleep(0.001)
            count += 1
        batcher.close()
        return count

    assert asyncio.run(turns()) > 5
    assert threading.get_ident() not in engine.threads


def test_an_engine_that_may_wait_is_never_called_in_the_event_loop():
    engine = Doubling(quick=False)
    together(engine, FAST, [[1.0]])
    assert threading.get_ident() not in engine.threads


def test_who_has_gone_is_not_computed():
    engine = Doubling(seconds=0.05)

    async def gone() -> None:
        batcher = Batcher(engine, SLOW)
        tasks = [asyncio.create_task(asked(batcher, [float(number)])) for number in range(3)]
        await asyncio.sleep(0.01)  # the three are on their way
        late = [asyncio.create_task(asked(batcher, [float(number)])) for number in range(3)]
        await asyncio.sleep(0.01)
        late[1].cancel()
        await asyncio.gather(*tasks, *late, return_exceptions=True)
        batcher.close()

    asyncio.run(gone())
    assert engine.calls == [3, 2]
    assert engine.closed
