"""Does the ONNX file answer as the model does? Both get the same rows, and every answer is compared."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.onnx.not_carried import NotCarried
from pipelines.onnx.planted import Arrays

TOLERANCE = 1e-5  # as a share of the scale of the answers
SINGLE = 64  # rows that are also answered one by one


@dataclass
class Compared:
    """What a comparison has found so far. scale: of the answers; 1 for probabilities."""

    scale: float
    rows: int = 0
    largest_difference: float = 0.0  # NaN if only one of the two gives a number
    labels_changed: int = 0
    outside: int = 0  # rows whose answers differ by more than is allowed

    def add(self, expected: np.ndarray, found: np.ndarray) -> None:
        """Compare answers [rows, classes], or [rows, 1] of a regression."""
        if not len(expected):
            return
        nothing = np.isnan(expected) & np.isnan(found)
        difference = np.where(nothing, 0.0, np.abs(expected.astype(np.float64) - found))
        allowed = np.maximum(TOLERANCE * self.scale, np.spacing(np.abs(expected)))
        self.rows += len(expected)
        self.largest_difference = float(np.maximum(self.largest_difference, difference.max()))
        self.outside += int((~(difference <= allowed)).any(axis=1).sum())
        if expected.shape[1] > 1:
            best = np.sort(expected, axis=1)
            sure = best[:, -1] - best[:, -2] > TOLERANCE
            self.labels_changed += int((sure & (expected.argmax(axis=1) != found.argmax(axis=1))).sum())

    def content(self) -> dict[str, Any]:
        """For serving.json."""
        known = np.isfinite(self.largest_difference)
        return {
            "rows": self.rows,
            "largest_difference": float(f"{self.largest_difference:.2g}") if known else None,
            "scale": self.scale,
            "labels_changed": self.labels_changed,
        }

    def verdict(self) -> None:
        """Raises NotCarried if the answers differ, or there were none."""
        if not self.rows:
            raise NotCarried("there were no rows on which the ONNX file and Keras could be compared")
        if not np.isfinite(self.largest_difference):
            raise NotCarried(f"in some of {self.rows:,} rows only one of Keras and the ONNX file gives a number")
        if self.labels_changed:
            raise NotCarried(f"the ONNX file changes {self.labels_changed:,} of {self.rows:,} labels")
        if self.outside:
            raise NotCarried(
                f"the answers of the ONNX file differ by up to {self.largest_difference:.2g} in {self.outside:,} of "
                f"{self.rows:,} rows, and {TOLERANCE * self.scale:.2g} is allowed"
            )


def session(content: bytes) -> Any:
    """onnxruntime.InferenceSession of a model, on one thread of the CPU. Raises NotCarried if it cannot be loaded."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # of a kind for each of its many codes
        raise NotCarried(f"ONNX Runtime cannot load the file: {sentence(error)}") from error


def compare(predictor: Any, running: Any, batches: Iterable[Arrays], scale: float) -> Compared:
    """Compare the answers to all rows, and of some rows also the answers one by one.

    predictor: a Predictor. running: an ONNX session. scale: the standard deviation of a regression's target, else 1.
    Raises NotCarried if ONNX Runtime cannot compute them.
    """
    found, size, singles = Compared(scale), predictor.about["batch_size"], SINGLE
    for arrays in batches:
        count = len(next(iter(arrays.values())))
        for start in range(0, count, size):
            batch = {name: values[start : start + size] for name, values in arrays.items()}
            expected = np.asarray(predictor._answer(batch))
            found.add(expected, _run(running, batch))
            for row in range(min(singles, len(expected))):
                one = slice(row, row + 1)
                found.add(expected[one], _run(running, {name: values[one] for name, values in batch.items()}))
            singles = max(0, singles - len(expected))
    return found


def _run(running: Any, batch: Arrays) -> np.ndarray:
    try:
        return np.asarray(running.run(None, batch)[0])
    except Exception as error:
        raise NotCarried(f"ONNX Runtime cannot compute the file: {sentence(error)}") from error


def sentence(error: Exception) -> str:
    return " ".join(str(error).split())[:300].rstrip(".")
