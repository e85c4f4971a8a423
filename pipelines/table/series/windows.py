"""Windows: the rows of time series, each with the values known `horizon` steps before it.

A row of a split file is a window: the target and its time, and for every other column the `window` values that end
`horizon` rows earlier, on a regular grid of `step` seconds or on a calendar; values without an observation are missing.
So a window has no value of its own time or later, and each can be predicted alone.

Rows may come in any order. They are cut by time into ranges on disk, each small enough for memory. From earlier ranges
only the rows stay that a window can still reach.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config.data import Data
from pipelines.errors import DataError
from pipelines.table import rows
from pipelines.table.series import calendar_steps, step_grid

HELD_ROWS = 1_000_000  # in one range, about
BINS = 65_536  # of time, for counting the rows before the cut
CHUNK_CELLS = 1 << 20  # values of one column in the windows that are made at once

Read = Callable[[], Iterable[pa.RecordBatch]]  # reads the rows anew, batch by batch
REPAIR = "Correct the source, or `data: step:` and `series:` in the model's YAML."


def windows(
    read: Read, data: Data, folder: Path, removed: Counter[str], held: int = HELD_ROWS, every: bool = False
) -> Iterator[pa.Table]:
    """Raw rows -> windows (rows.split_schema), by time and then by series, whatever the order of the rows.

    removed: counts the rows left out, by reason. every: predict rows without a target too. Raises DataError for a row
    without a time, off the grid of its series, or at a time that its series already has.
    """
    edges = _edges(read, data, held)
    grid = Grid(data, every)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".windows-") as place:
        for part in _cut(read, data, edges, Path(place)):
            yield from grid.windows(part, removed)


def instants(column: pa.Array) -> np.ndarray:
    """ISO text in UTC -> microseconds since 1970 [rows]. The text is as `ingest` writes it, and none is missing."""
    return np.asarray(column.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy(zero_copy_only=False))


def _timed(batch: pa.RecordBatch, data: Data) -> np.ndarray:
    times = batch[data.time]
    if times.null_count:
        row = batch["row_id"][pc.index(times.is_null(), True).as_py()].as_py()
        raise DataError(
            f"Row {row} has no time: its column {data.time!r} is empty.",
            "Correct the source, or set such rows aside with a rule of level quarantine.",
        )
    return instants(times)


def _edges(read: Read, data: Data, held: int) -> np.ndarray:
    """The first instants of all ranges but the first: about `held` rows lie between one and the next."""
    bounds = [(found.min(), found.max(), len(found)) for b in read() if len(found := _timed(b, data))]
    if not bounds or sum(count for *_, count in bounds) <= held:
        return np.empty(0, np.int64)
    low, high = min(first for first, *_ in bounds), max(last for _, last, _ in bounds)
    width = max(1, -(-(high - low + 1) // BINS))
    counts = np.zeros(BINS + 1, np.int64)
    for batch in read():
        counts += np.bincount((_timed(batch, data) - low) // width, minlength=len(counts))
    before = np.cumsum(counts) - counts
    first = np.flatnonzero(np.diff(before // held)) + 1
    return np.asarray(low + first * width)


def _cut(read: Read, data: Data, edges: np.ndarray, place: Path) -> Iterator[pa.Table]:
    """The rows of each range, one range after the other; a single range is never written to disk."""
    if not len(edges):
        found = list(read())
        yield from [pa.Table.from_batches(found)] if found else []
        return
    paths = [place / f"{index}.arrow" for index in range(len(edges) + 1)]
    schema = rows.raw_schema(data)
    files = [pa.ipc.new_file(path, schema) for path in paths]
    for batch in read():
        where = np.searchsorted(edges, _timed(batch, data), side="right")
        for index in np.unique(where):
            files[index].write_batch(batch.filter(pa.array(where == index)))
    for path, file in zip(paths, files, strict=True):
        file.close()
        with pa.memory_map(str(path)) as source:
            yield pa.ipc.open_file(source).read_all()
        path.unlink()


def _before(at: int, steps: int, step: float | str) -> int:
    """An instant at least so many steps before `at`."""
    if not isinstance(step, str):
        return at - steps * round(step * 1e6)
    return at - (steps + 1) * calendar_steps.LONGEST[step]


@dataclass
class Grid:
    """The grid of every series, and the last rows of the ranges read so far."""

    data: Data
    every: bool = False  # whether rows without a target have windows too
    starts: dict[str, int] = field(default_factory=dict)  # of each series: its first instant, in microseconds
    kept: pa.Table | None = None  # rows of earlier ranges that a window can reach

    @property
    def reach(self) -> int:
        """Steps from the predicted row to before the first one that it looks at."""
        return max(self.data.window + self.data.horizon, *(steps + 1 for steps in self.data.lags.values()), 0)

    def windows(self, part: pa.Table, removed: Counter[str]) -> Iterator[pa.Table]:
        """part: the rows of the next range, some at least; those of `kept` are not predicted again."""
        known = [] if self.kept is None else [self.kept]
        table = pa.concat_tables([*known, part]).combine_chunks()
        fresh = np.arange(table.num_rows) >= table.num_rows - part.num_rows
        times, names = instants(table[self.data.time].combine_chunks()), self._names(table)
        every, series = np.unique(names, return_inverse=True)
        for code in np.unique(series[fresh]):
            self.starts.setdefault(every[code], int(times[fresh & (series == code)].min()))
        starts, reach = np.array([self.starts[name] for name in every], np.int64)[series], self.reach
        place = step_grid.places(times, starts, self.data.step)
        self._check_grid(table, times - starts, place, names)
        place -= place.min()
        key = series * (place.max() + reach) + place + reach  # rises with the place; series do not touch
        order = np.argsort(key, kind="stable")
        self._check_single(table, key[order], order, names)
        wanted = self._predicted(table, fresh, times, series, removed)
        yield from self._made(table, wanted, key, order, removed)
        self.kept = table.filter(pa.array(times > _before(int(times.max()), reach, self.data.step)))

    def _names(self, table: pa.Table) -> np.ndarray:
        """The series of each row: text [rows]."""
        if not self.data.series:
            return np.full(table.num_rows, "")
        parts = [pc.fill_null(table[name].combine_chunks(), "") for name in self.data.series]
        return np.asarray(pc.binary_join_element_wise(*parts, "\x1f").to_numpy(zero_copy_only=False).astype(str))

    def _check_grid(self, table: pa.Table, since: np.ndarray, place: np.ndarray, names: np.ndarray) -> None:
        off = place == calendar_steps.NOWHERE
        if off.any():
            row = int(off.argmax())
            told = self._told(table, row, names)
            if isinstance(self.data.step, str):
                raise DataError(f"{told} lies on a weekend, but data.step is business day.", REPAIR)
            raise DataError(
                f"{told} is off the grid: {since[row] / 1e6:g} s after the first row of its "
                f"series, but data.step is {self.data.step:g} s.",
                REPAIR,
            )

    def _check_single(self, table: pa.Table, key: np.ndarray, order: np.ndarray, names: np.ndarray) -> None:
        twice = np.flatnonzero(np.diff(key) == 0)
        if len(twice):
            row, word = int(order[twice[0] + 1]), self.data.step
            what = f"lies in a {word} that has a row already" if isinstance(word, str) else "occurs more than once"
            raise DataError(f"{self._told(table, row, names)} {what} in its series.", REPAIR)

    def _told(self, table: pa.Table, row: int, names: np.ndarray) -> str:
        series = f" of the series {names[row]!r}".replace("\\x1f", ", ") if self.data.series else ""
        return f"The time {table[self.data.time][row].as_py()}{series} (row {table['row_id'][row].as_py()})"

    def _predicted(
        self, table: pa.Table, fresh: np.ndarray, times: np.ndarray, series: np.ndarray, removed: Counter[str]
    ) -> np.ndarray:
        """The places in the table of the rows that have windows, by time and then by series."""
        known = np.ones(table.num_rows, bool) if self.every else table[self.data.target].is_valid().to_numpy()
        removed["missing target"] += int((fresh & ~known).sum())
        found = np.flatnonzero(fresh & known)
        return found[np.lexsort((series[found], times[found]))]

    def _made(
        self, table: pa.Table, wanted: np.ndarray, key: np.ndarray, order: np.ndarray, removed: Counter[str]
    ) -> Iterator[pa.Table]:
        """The windows before the wanted rows, some at a time."""
        back = self.data.horizon + np.arange(self.data.window)[::-1]
        ordered = key[order]
        size = max(1, CHUNK_CELLS // self.data.window)

        def seen(looked: np.ndarray) -> pa.Array:
            """The places in the table of the rows with these keys; null where there is none."""
            at = np.searchsorted(ordered, looked)
            absent = ordered[np.minimum(at, len(ordered) - 1)] != looked
            return pa.array(order[np.where(absent, 0, at)], mask=absent)

        for start in range(0, len(wanted), size):
            chosen = wanted[start : start + size]
            lags = {name: seen(key[chosen] - steps) for name, steps in self.data.lags.items()}
            made = self._window(table, pa.array(chosen), seen((key[chosen][:, None] - back).reshape(-1)), lags)
            empty = self._empty(made)
            removed["empty window"] += int(empty.sum())
            yield made.filter(pa.array(~empty))

    def _window(self, table: pa.Table, chosen: pa.Array, seen: pa.Array, lags: dict[str, pa.Array]) -> pa.Table:
        schema, data = rows.split_schema(self.data), self.data
        columns = {
            name: table[name].combine_chunks().take(chosen) for name in schema.names if name in table.schema.names
        }
        for name in (*data.past_numbers, *data.past_categories):
            values = table[data.target if name == data.past_target else name].combine_chunks().take(seen)
            columns[name] = pa.FixedSizeListArray.from_arrays(values, data.window)
        columns |= {name: table[data.target].combine_chunks().take(places) for name, places in lags.items()}
        return pa.table([columns[name] for name in schema.names], schema=schema)

    def _empty(self, made: pa.Table) -> np.ndarray:
        """Whether a window has no known value [rows, bool]."""
        names = (*self.data.past_numbers, *self.data.past_categories)
        return np.logical_and.reduce([(~present(made[name])).all(axis=1) for name in names])


def present(column: pa.ChunkedArray) -> np.ndarray:
    """Whether each value of a column of windows is there: bool [rows, window]."""
    one = column.combine_chunks()
    flat = one.flatten().is_valid().to_numpy(zero_copy_only=False)
    return np.asarray(flat).reshape(len(one), one.type.list_size)
