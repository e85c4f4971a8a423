"""Sets of row identities that may not fit in memory: read in passes, each for one range of identities.

At most about `HELD` identities are held at once, whatever the size of the files.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from pipelines import tables

HELD = 4_000_000

Reader = Callable[[], Iterable[list[str]]]  # reads all identities, batch by batch, each time it is called


def ranges(total: int, held: int = HELD) -> Iterator[tuple[bytes, bytes]]:
    """Bounds that cut all identities into ranges of about `held` each, in ascending order."""
    passes = -(-total // held) or 1
    edges = [b"%04x" % (index * 65536 // passes) for index in range(passes)]
    yield from zip(edges, [*edges[1:], b"g"], strict=True)  # "g" comes after every hexadecimal digit


def within(read: Reader, low: bytes, high: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The identities from `low` to below `high`, in file order, and the numbers of their rows."""
    ids, places, start = [np.empty(0, "S32")], [np.empty(0, int)], 0
    for batch in read():
        found = np.array(batch, "S32")
        inside = (found >= low) & (found < high)
        ids.append(found[inside])
        places.append(start + np.flatnonzero(inside))
        start += len(found)
    return np.concatenate(ids), np.concatenate(places)


def of(path: Path) -> Reader:
    """Reads the row ids of a table."""
    return lambda: (batch["row_id"].to_pylist() for batch in tables.batches(path, ["row_id"]))


def survey(path: Path, held: int = HELD) -> tuple[str, np.ndarray]:
    """The hash of a table's rows, whatever their order, and which rows repeat an earlier one [rows, bool]."""
    total = tables.rows(path)
    digest, repeated = hashlib.sha256(), np.ones(total, bool)
    for low, high in ranges(total, held):
        ids, places = within(of(path), low, high)
        repeated[places[np.unique(ids, return_index=True)[1]]] = False
        digest.update(np.sort(ids).tobytes())
    return digest.hexdigest(), repeated


def marked(path: Path, among: Path, held: int = HELD) -> np.ndarray:
    """Which rows of a table have an identity that the table `among` also has [rows, bool]."""
    result = np.zeros(tables.rows(path), bool)
    for low, high in ranges(max(tables.rows(path), tables.rows(among)), held):
        ids, places = within(of(path), low, high)
        result[places] = np.isin(ids, within(of(among), low, high)[0])
    return result


def share_known(read: Reader, known: Reader, totals: tuple[int, int], held: int = HELD) -> float:
    """The share of the identities of `read`, of which there are some, that are also among `known`.

    totals: how many each has.
    """
    seen = 0
    for low, high in ranges(max(totals), held):
        seen += int(np.isin(within(read, low, high)[0], within(known, low, high)[0]).sum())
    return seen / totals[0]
