"""The rows of a sequence as windows that are to be predicted, and those that come after the last known ones.

Every row has a forecast of which something is known in its window, with a target or without. Beyond the rows that are
there, each series has its next `horizon` steps forecast, from its last known target on: what a forecast is for.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flows.predict.read_rows import Unseen
from pipelines import ingest
from pipelines.config.data import Data
from pipelines.table import row_groups, rows
from pipelines.table.series import step_grid, windows

Key = tuple[Any, ...]  # what tells a series from others


@dataclass
class Ahead:
    """The windows of some rows. left_out: rows without one, and why; added: rows that were not there."""

    unseen: Unseen
    folder: Path  # for the rows, which are read more than once
    left_out: Counter[str] = field(default_factory=Counter)
    added: int = 0

    @property
    def data(self) -> Data:
        return self.unseen.data

    def batches(self) -> Iterator[pa.RecordBatch]:
        """By time, and then by series. Raises DataError as Unseen.batches, and for a row off the grid of its series."""
        path = self.folder / "raw.parquet"
        row_groups.write(path, rows.raw_schema(self.data), self.unseen.batches())
        added = list(self._added(path))
        self.added = sum(batch.num_rows for batch in added)
        read = lambda: chain(row_groups.batches(path), added)  # noqa: E731
        for table in windows.windows(read, self.data, self.folder, self.left_out, every=True):
            yield from table.combine_chunks().to_batches()

    def _added(self, path: Path) -> Iterator[pa.RecordBatch]:
        """The next steps of each series that are not there."""
        last, starts = self._last_known(path), self._starts(path)
        steps = range(1, self.data.horizon + 1)
        wanted = {(*key, step_grid.later(at, number, self.data.step)) for key, at in last.items() for number in steps}
        places = self._places(wanted, starts)
        for batch in row_groups.batches(path, [*self.data.series, self.data.time]):
            for place in self._places(set(_keyed(batch, self.data)), starts):
                places.pop(place, None)
        coming = places.values()
        if not coming:
            return
        *series, times = zip(*sorted(coming, key=lambda entry: (entry[-1], *map(str, entry[:-1]))), strict=True)
        cells = {name: pa.array(found, pa.string()) for name, found in zip(self.data.series, series, strict=True)}
        cells[self.data.time] = pa.array(times, pa.timestamp("us", "UTC"))
        names = [name for name in rows.raw_schema(self.data).names if name != "row_id"]
        batch = pa.RecordBatch.from_pydict({name: cells.get(name, pa.nulls(len(times))) for name in names})
        config = self.unseen.config.model_copy(update={"ignore": [], "instants": {}})
        yield from ingest.ingest([batch], self.data, config, "the next steps")  # which also gives them an identity

    def _places(self, keyed: set[Key], starts: dict[Key, int]) -> dict[Key, Key]:
        """Series and instant of each row, by its series and the number of its step: two rows of one step are one."""
        if not keyed:
            return {}
        found = sorted(keyed, key=str)
        times, first = (np.array(of, np.int64) for of in ([k[-1] for k in found], [starts[k[:-1]] for k in found]))
        steps = step_grid.places(times, first, self.data.step).tolist()
        return {(*key[:-1], step): key for key, step in zip(found, steps, strict=True)}

    def _starts(self, path: Path) -> dict[Key, int]:
        """The first instant of each series, in microseconds since 1970."""
        starts: dict[Key, int] = {}
        for batch in row_groups.batches(path, [*self.data.series, self.data.time]):
            for *key, at in _keyed(batch, self.data):
                starts[tuple(key)] = min(at, starts.get(tuple(key), at))
        return starts

    def _last_known(self, path: Path) -> dict[Key, int]:
        """When the target of each series was last known, in microseconds since 1970."""
        last: dict[Key, int] = {}
        for batch in row_groups.batches(path, [*self.data.series, self.data.time, self.data.target]):
            known = batch.filter(pc.and_(batch[self.data.target].is_valid(), batch[self.data.time].is_valid()))
            for *key, at in _keyed(known, self.data):
                last[tuple(key)] = max(at, last.get(tuple(key), at))
        return last


def _keyed(batch: pa.RecordBatch, data: Data) -> Iterator[tuple[Any, ...]]:
    """The series of each row that has a time, and then that, in microseconds since 1970."""
    timed = batch.filter(batch[data.time].is_valid())
    columns = [timed[name].to_pylist() for name in data.series]
    yield from zip(*columns, windows.instants(timed[data.time]).tolist(), strict=True)
