"""Does the file answer as the model does? Both got the same rows, and every answer is compared."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from flows.export.format import LABELS_INT8, LARGEST, LARGEST_INT8, NotCarried


@dataclass(frozen=True)
class Compared:
    """rows: the kept ones; planted: those with gaps. largest_difference: of both; NaN if only one of the two gives a
    number. labels_changed: of the kept rows; None for a regression. allowed: the largest difference that may be."""

    rows: int
    planted: int
    largest_difference: float
    labels_changed: int | None
    allowed: float
    labels_allowed: int

    def content(self) -> dict[str, Any]:
        """For people and manifest.json."""
        names = ("rows", "planted", "labels_changed", "allowed", "labels_allowed")
        return {"largest_difference": float(f"{self.largest_difference:.2g}")} | {
            name: getattr(self, name) for name in names
        }

    def verdict(self) -> None:
        """Raises NotCarried if the answers differ by more than is allowed."""
        every = f"{self.rows:,} kept rows and {self.planted:,} with gaps"
        if np.isnan(self.largest_difference):
            raise NotCarried(f"of {every} there is one for which only one of the model and the file gives a number")
        if self.largest_difference > self.allowed:
            raise NotCarried(
                f"its answers differ from those of the model by up to {self.largest_difference:.2g} on {every}, "
                f"and {self.allowed:.2g} is allowed"
            )
        if (self.labels_changed or 0) > self.labels_allowed:
            raise NotCarried(
                f"it changes {self.labels_changed:,} of {self.rows:,} labels, and {self.labels_allowed:,} is allowed"
            )


def compare(expected: np.ndarray, found: np.ndarray, rows: int, unit: float, int8: bool) -> Compared:
    """Compare answers [rows, classes], or [rows, 1] of a regression. rows: the kept ones, which come first; unit: see
    features.unit. Raises NotCarried if there are not as many answers."""
    if expected.shape != found.shape:
        raise NotCarried(f"it gives answers of the shape {list(found.shape)}, and the model {list(expected.shape)}")
    nothing = np.isnan(expected) & np.isnan(found)
    difference = np.where(nothing, 0.0, np.abs(expected.astype(np.float64) - found))
    largest = float(difference.max(initial=0.0))
    rounded = float(np.spacing(np.abs(expected[~np.isnan(expected)]).max(initial=0.0)))  # the last bit of an answer
    share = LARGEST_INT8 if int8 else LARGEST
    return Compared(
        rows=rows,
        planted=len(expected) - rows,
        largest_difference=largest,
        labels_changed=_changed(expected[:rows], found[:rows]) if expected.shape[1] > 1 else None,
        allowed=max(share * unit, 2 * rounded),
        labels_allowed=int(LABELS_INT8 * rows) if int8 else 0,
    )


def _changed(expected: np.ndarray, found: np.ndarray) -> int:
    """Labels that differ, but where the model's own two best classes differ by no more than the last bits."""
    best = np.sort(expected, axis=1)
    sure = best[:, -1] - best[:, -2] > LARGEST
    return int((sure & (expected.argmax(axis=1) != found.argmax(axis=1))).sum())
