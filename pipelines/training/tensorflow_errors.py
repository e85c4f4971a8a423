"""Failures of TensorFlow that have a cause which a person can do something about, told as such."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.errors import TrainingError, UnreachableError


@contextmanager
def told() -> Iterator[None]:
    """Raises TrainingError for an operation with no deterministic form, UnreachableError for a worker that is gone."""
    try:
        yield
    except Exception as error:
        kind, text = type(error).__name__, " ".join(str(error).split())
        if kind in ("UnimplementedError", "InvalidArgumentError") and "determinis" in text.lower():
            raise TrainingError(
                f"An operation has no deterministic form on this device: {text[:300]}.",
                "Declare `train: deterministic: false`: two trainings may then differ, and `ratchet verify` says so.",
            ) from error
        if kind in ("UnavailableError", "AbortedError", "DeadlineExceededError"):
            # a pool of threads that TensorFlow left open ends here: at the end of Python it would print a traceback
            traceback.clear_frames(error.__traceback__)
            raise UnreachableError(
                f"A worker of this training cannot be reached any more: {text[:300]}.",
                "Start all workers again: they continue after the last finished epoch.",
            ) from error
        raise
