"""An engine: what computes the answers of one model."""

from typing import Protocol

import numpy as np

from flows.serving.rows.batch import Arrays


class Engine(Protocol):
    """A model that is loaded. It is used by one thread at a time."""

    runtime: str
    """`onnx` or `keras`."""
    quick: bool
    """Whether a call that takes little time may be made in the event loop: nothing makes it wait."""
    problem: str
    """Why it does not answer now; "" if it does."""

    def answers(self, arrays: Arrays) -> np.ndarray:
        """Arrays of predictor.to_arrays -> float32 [rows, max(1, classes)]. Raises Problem if it cannot compute."""

    def close(self) -> None:
        """Free what it holds. It is not used any more."""
