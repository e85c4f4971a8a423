"""A sample of a set of rows, by which two sets can be compared later: how many rows of one were in the other.

A row_id is a hash, so the smallest ones are a random choice, and the same rows give the same sample. Up to 400 rows the
sample is the whole set and the share is exact; beyond that it is known to about 2.5 points.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MOST = 400
LETTERS = 10  # of a row_id that are kept


@dataclass(frozen=True)
class RowSample:
    """rows: of the whole set; ids: the beginnings of its smallest row ids, in order."""

    rows: int
    ids: tuple[str, ...]

    def content(self) -> dict[str, Any]:
        """As JSON, for a line of the ledger."""
        return {"rows": self.rows, "ids": list(self.ids)}

    @property
    def _whole(self) -> bool:
        return self.rows <= len(self.ids)

    def share_in(self, other: "RowSample") -> float:
        """The share of these rows that are among the rows of `other`, from 0 to 1."""
        last = [sample.ids[-1] for sample in (self, other) if sample.ids and not sample._whole]
        mine = [row for row in self.ids if row <= min(last)] if last else list(self.ids)
        return len(set(mine) & set(other.ids)) / len(mine) if mine else 0.0


def of(row_ids: Iterable[str]) -> RowSample:
    known = sorted({row[:LETTERS] for row in row_ids})
    return RowSample(len(known), tuple(known[:MOST]))


def read(content: Any) -> RowSample | None:
    """From a line of the ledger; None where it has none."""
    return RowSample(int(content["rows"]), tuple(content["ids"])) if content else None
