"""Latency: how long one row takes by a variant, as a ratio to its parent, measured on this machine.

A measured figure stands in the ledger and in MLflow, never in an output of a stage: it is another one every time.
"""

import statistics
import time

import numpy as np

from flows.serving.engine.engine import Engine
from flows.serving.rows.batch import Arrays

ROUNDS, CALLS = 40, 8  # each takes this many calls in turn; the median of the rounds is not moved by a busy moment


def ratio(variant: Engine, parent: Engine, rows: Arrays) -> float | None:
    """The time of a call with one row over the parent's; below 1 the variant is faster. None for two runtimes.

    rows: the arrays of some rows, of which the first is asked.
    """
    if variant.runtime != parent.runtime:
        return None
    one = first(rows)
    for engine in (variant, parent):  # the first calls take longer
        _seconds(engine, one)
    taken = [(_seconds(variant, one), _seconds(parent, one)) for _ in range(ROUNDS)]
    mine, theirs = (statistics.median(values) for values in zip(*taken, strict=True))
    return round(mine / theirs, 3)


def first(rows: Arrays, count: int = 1) -> Arrays:
    """The first of some rows."""
    return {name: np.ascontiguousarray(values[:count]) for name, values in rows.items()}


def _seconds(engine: Engine, rows: Arrays) -> float:
    start = time.perf_counter()
    for _ in range(CALLS):
        engine.answers(rows)
    return time.perf_counter() - start
