"""Entities: columns whose values come again, such as the customers of visits, or a house that was listed twice.

Rows of one entity on both sides of a split let a model repeat what it has seen. Where they also repeat the target, the
test would measure memory alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipelines.table import repeats

FEWEST = 50  # entities
MOST_EACH = 20.0  # rows of one, on average: more are a category
LEAST_AGAIN = 0.02  # of the rows: so many are of an entity that has another row
ALIKE = 0.8  # the intraclass correlation from which rows of an entity repeat the target
NEIGHBOURS = 4  # whole numbers put together: if rows stay half as alike, the column is a measurement
USED = 0.5  # of the numbers from the least to the largest
MOST_FEATURES = 50  # that are compared


@dataclass(frozen=True)
class Entities:
    """entities: how many. again: the share of the rows whose entity has another row. target: how alike in it."""

    name: str
    entities: int
    again: float
    target: float

    @property
    def repeat_target(self) -> bool:
        return self.target >= ALIKE


def find(
    names: list[str],
    codes: dict[str, np.ndarray],
    target: np.ndarray,
    numbers: Callable[[str], np.ndarray | None],
    features: list[str],
) -> list[Entities]:
    """Those of the columns `names` whose rows are alike, in the features or in the target, most entities first.

    codes: of the columns and of the features [rows], -1 for none. target: floats, or codes of
    classes [rows]. numbers: a column's values as floats [rows]; None if they are words.
    """
    found = []
    for name in [name for name in names if _come_again(codes[name])]:
        others = [codes[other] for other in features[:MOST_FEATURES] if other != name]
        alike = _alike(others, target, codes[name])
        if alike is not None and _names_things(numbers(name), others, target, alike):
            if alike[1] < ALIKE and not _in_use(numbers(name)):
                continue
            counts = np.bincount(codes[name][codes[name] >= 0])
            again = float(counts[counts > 1].sum()) / len(codes[name])
            found.append(Entities(name, int((counts > 0).sum()), again, alike[1]))
    return sorted(found, key=lambda one: -one.entities)


def _come_again(codes: np.ndarray) -> bool:
    counts = np.bincount(codes[codes >= 0])
    counts = counts[counts > 0]
    again = float(counts[counts > 1].sum()) / len(codes)
    return bool(len(counts) >= FEWEST and counts.mean() <= MOST_EACH and again >= LEAST_AGAIN)


def _alike(features: list[np.ndarray], target: np.ndarray, codes: np.ndarray) -> tuple[float, float] | None:
    """How alike the rows of a value are: in the features on average, and in the target. None if in neither."""
    known = [value for column in features if (value := repeats.intraclass(column, codes)) is not None]
    most = float(np.mean(known)) if len(known) >= repeats.LEAST_COLUMNS else 0.0
    same = repeats.intraclass(target, codes) or 0.0
    return (most, same) if max(most, same) > repeats.ALIKE else None


def _in_use(values: np.ndarray | None) -> bool:
    """Whether most numbers of the range are in use, as where things were numbered; words always are."""
    if values is None:
        return True
    different = np.unique(values)
    step = max(1.0, float(np.diff(different).min())) if len(different) > 1 else 1.0
    return len(different) >= USED * (np.ptp(different) / step + 1)


def _names_things(
    values: np.ndarray | None, features: list[np.ndarray], target: np.ndarray, alike: tuple[float, float]
) -> bool:
    """Whether the values are names: of numbers that measure something, neighbours are nearly as alike."""
    if values is None:
        return True
    if np.isnan(values).any() or (values != np.round(values)).any():
        return False
    near = np.unique(values, return_inverse=True)[1] // NEIGHBOURS
    beside = _alike(features, target, near)
    return beside is None or max(beside) <= max(alike) / 2
