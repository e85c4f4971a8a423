"""Sets of row identities that may not fit in memory: cut into ranges on disk, each small enough for memory.

About HELD identities are in memory at once, whatever the size of the files, and every file is read once. The ranges are
unnamed files beside the data, which vanish with the process.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.table import row_groups, rows

HELD = 500_000
RECORD = np.dtype([("id", "S16"), ("place", "<i8")])  # of one row: its identity in bytes, and its number
FOLDER = Path("data")  # its disk has room for large files; the system's temporary folder may be in memory

Reader = Callable[[], Iterable[np.ndarray]]  # reads all identities, batch by batch: bytes [rows] of 32 digits


class Marks:
    """Which rows of a table are marked: a bit for each."""

    def __init__(self, total: int):
        self._bits = np.zeros(total // 8 + 1, np.uint8)
        self.total, self.count = total, 0

    def add(self, places: np.ndarray) -> None:
        """places: numbers of rows, each only once in all calls."""
        np.bitwise_or.at(self._bits, places >> 3, np.left_shift(1, places & 7).astype(np.uint8))
        self.count += len(places)

    def between(self, start: int, stop: int) -> np.ndarray:
        """Whether each of these rows is marked [stop - start, bool]."""
        bits = np.unpackbits(self._bits[start >> 3 : (stop >> 3) + 1], bitorder="little")
        return bits[start & 7 :][: stop - start].astype(bool)


def of(path: Path) -> Reader:
    """Reads the row ids of a table."""
    return lambda: (rows.ids_of(batch["row_id"]) for batch in row_groups.batches(path, ["row_id"]))


def ranges(total: int, held: int = HELD) -> int:
    """The number of ranges for so many identities."""
    return -(-total // held) or 1


def cut(read: Reader, total: int, count: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The identities, one range after the other, in ascending order of the ranges and in file order within.

    Gives them as bytes [rows] of 16, and the numbers of their rows. total: the number of identities, if known; it only
    decides about disk space.
    """
    if count == 1:
        found = np.concatenate([np.empty(0, RECORD), *_records(read)])
        yield found["id"], found["place"]
        return
    folder = FOLDER if FOLDER.is_dir() else Path(tempfile.gettempdir())
    row_groups.check_space(folder, total * RECORD.itemsize)
    with ExitStack() as stack:
        files = [stack.enter_context(tempfile.TemporaryFile(dir=folder)) for _ in range(count)]
        for found in _records(read):
            first = np.frombuffer(found["id"].tobytes(), ">u2").reshape(len(found), 8)[:, 0]
            bucket = first.astype(np.int64) * count >> 16
            order = np.argsort(bucket, kind="stable")
            edges = np.searchsorted(bucket[order], np.arange(count + 1))
            for file, low, high in zip(files, edges, edges[1:], strict=False):
                file.write(found[order[low:high]].tobytes())
        for file in files:
            file.seek(0)
            found = np.frombuffer(file.read(), RECORD)
            file.truncate(0)
            yield found["id"], found["place"]


def _records(read: Reader) -> Iterator[np.ndarray]:
    start = 0
    for ids in read():
        found = np.empty(len(ids), RECORD)
        found["id"] = np.frombuffer(bytes.fromhex(ids.tobytes().decode()), "S16")
        found["place"] = np.arange(start, start + len(ids))
        start += len(ids)
        yield found


def survey(path: Path, held: int = HELD) -> tuple[str, Marks]:
    """The hash of a table's rows, whatever their order (rows.content_hash), and which rows repeat an earlier one."""
    total = row_groups.rows(path)
    digest, repeated = hashlib.sha256(), Marks(total)
    for ids, places in cut(of(path), total, ranges(total, held)):
        first = np.unique(ids, return_index=True)[1]
        later = np.ones(len(ids), bool)
        later[first] = False
        repeated.add(places[later])
        digest.update(np.sort(ids).tobytes().hex().encode())
    return digest.hexdigest(), repeated


def followed(read: Reader, total: int, held: int = HELD) -> Marks:
    """Which rows have an identity that a later row also has. total: how many there are."""
    found = Marks(total)
    for ids, places in cut(read, total, ranges(total, held)):
        last = len(ids) - 1 - np.unique(ids[::-1], return_index=True)[1]
        before = np.ones(len(ids), bool)
        before[last] = False
        found.add(places[before])
    return found


def marked(path: Path, among: Path, held: int = HELD) -> Marks:
    """Which rows of a table have an identity that the table `among` also has."""
    totals = row_groups.rows(path), row_groups.rows(among)
    result = Marks(totals[0])
    if totals[1]:
        for (ids, places), (known, _) in together((of(path), of(among)), totals, held):
            result.add(places[np.isin(ids, known)])
    return result


def shares_known(readers: Sequence[Reader], totals: Sequence[int], held: int = HELD) -> list[float]:
    """For each table but the first: the share of its identities that an earlier table also has.

    totals: the number of identities in each; only the first may have none.
    """
    shared = [0] * len(readers)
    for parts in together(readers, totals, held):
        ids = [found for found, _ in parts]
        for index in range(1, len(ids)):
            shared[index] += int(np.isin(ids[index], np.concatenate(ids[:index])).sum())
    return [count / total for count, total in zip(shared[1:], totals[1:], strict=True)]


def together(readers: Sequence[Reader], totals: Sequence[int], held: int = HELD) -> Iterator[Any]:
    """Tables cut in the same way: for each range the result of `cut` for every table."""
    count = ranges(max(totals), held)
    yield from zip(*(cut(read, total, count) for read, total in zip(readers, totals, strict=True)), strict=True)
