"""A batch: the rows of a request as the arrays that a model takes."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Batch:
    """Some rows, all for one version."""

    arrays: Arrays
    """As predictor.to_arrays makes them: the first axis is the rows."""
    size: int
    """How many rows."""
    unknown: list[tuple[str, ...]]
    """For each row, the columns whose word the model has never seen."""
    raw: list[dict[str, Any]]
    """Of each row, the declared columns as they came."""
    times: list[str] = field(default_factory=list)
    """Of forecasts, the instant that each is for; [] if the rows are none."""


def joined(batches: list[Batch]) -> Batch:
    """Several batches of one version, one after the other. batches: one at least."""
    if len(batches) == 1:
        return batches[0]
    names = batches[0].arrays
    return Batch(
        {name: np.concatenate([batch.arrays[name] for batch in batches]) for name in names},
        sum(batch.size for batch in batches),
        [columns for batch in batches for columns in batch.unknown],
        [row for batch in batches for row in batch.raw],
        [time for batch in batches for time in batch.times],
    )
