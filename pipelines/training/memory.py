"""Memory: where a batch does not fit, the training begins again with half of it at a time.

The effective batch stays (accumulation.py). It begins anew, and not in the middle, so that a verification which is told
the micro-batch gives the same bytes; memory is exhausted in the first steps or never.
"""

import re
from collections.abc import Callable
from typing import TypeVar

from pipelines.errors import TrainingError

T = TypeVar("T")
WORDS = ("RESOURCE_EXHAUSTED", "failed to allocate the scratch space")  # of XLA and TensorFlow; of cuDNN
FRAME = re.compile(r"\{\{.*?\}\}\s*|^\(\d+\) [A-Z_]+: ")  # where in a graph, and which of several errors


def exhausted(error: BaseException) -> bool:
    """Whether a device ran out of memory."""
    return "ResourceExhausted" in type(error).__name__ or any(words in str(error) for words in WORDS)


def fitting(train: Callable[[int], T], batch_size: int, micro: int, say: Callable[[str], None]) -> T:
    """What train(rows at once) returns, with as many of `micro` rows as fit.

    Raises TrainingError if not even one row fits.
    """
    while True:
        try:
            return train(micro)
        except Exception as error:
            if not exhausted(error):
                raise
            reason = _reason(error)
        if micro == 1:
            raise TrainingError(
                f"A single row does not fit into the device's memory ({reason}).",
                "Make the network smaller, or train on a device with more memory.",
            )
        smaller = below(batch_size, micro)
        say(f"{micro} rows at once do not fit into memory: training again with {smaller} at once ({reason})")
        micro = smaller


def _reason(error: BaseException) -> str:
    """The line that says what was too much: not the first one, if TensorFlow tells of a graph, nor one of its stack."""
    lines = [FRAME.sub("", " ".join(line.split())) for line in str(error).split("\n") if 'File "' not in line]
    telling = ("OOM", "memory", "Memory", "allocate")
    return next((line for line in lines if any(word in line for word in telling)), lines[0])[:200]


def below(batch_size: int, micro: int) -> int:
    """The next smaller part of a batch: its largest divisor up to half of `micro`."""
    return next(size for size in range(max(1, micro // 2), 0, -1) if batch_size % size == 0)
