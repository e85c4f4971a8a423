"""Gather: the summary of one column, from its values a few rows at a time."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from pipelines.table.summary import numbers
from pipelines.table.summary.columns import NUMBERS, WORDS, Column

HELD = 250_000  # numbers of a column in memory; more of them become several lines


@dataclass
class Gathered:
    """The values of one column of one group so far."""

    group: str
    name: str
    kind: str
    answer: bool = False
    version: int = 0
    named: Collection[str] = ()
    """The words that are counted one by one."""
    rows: int = 0
    missing: int = 0
    unknown: int = 0
    unreadable: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    _held: list[np.ndarray] = field(default_factory=list)
    _done: list[Column] = field(default_factory=list)

    def add_numbers(self, values: np.ndarray, unreadable: int = 0) -> None:
        """values: [rows], NaN where one is missing or unreadable."""
        known = values[~np.isnan(values)]
        self._count(len(values), len(values) - len(known), unreadable)
        self._held.append(known)
        if sum(map(len, self._held)) >= HELD:
            self._done.append(self._line())
            self._held, self.rows, self.missing, self.unreadable = [], 0, 0, 0

    def add_words(self, words: Mapping[str, int], missing: int, unknown: int = 0, unreadable: int = 0) -> None:
        """words: the rows with each word; missing: those without one."""
        self._count(sum(words.values()) + missing, missing, unreadable)
        self.unknown += unknown
        self.counts.update({word: count for word, count in words.items() if word in self.named})

    def add_dates(self, rows: int, missing: int, unreadable: int = 0) -> None:
        self._count(rows, missing, unreadable)

    def columns(self) -> Iterator[Column]:
        """The lines of its summary, one at least."""
        yield from self._done
        if self.rows or not self._done:
            yield self._line()

    def _count(self, rows: int, missing: int, unreadable: int) -> None:
        self.rows, self.missing = self.rows + rows, self.missing + missing
        self.unreadable += unreadable

    def _line(self) -> Column:
        line = Column(
            self.group,
            self.name,
            self.kind,
            self.rows,
            self.missing,
            self.unknown,
            self.unreadable,
            self.answer,
            self.version,
        )
        if self.kind == NUMBERS:
            return _with_numbers(line, np.concatenate([np.empty(0), *self._held]))
        words = sorted(self.named) if self.kind == WORDS else []
        return replace(line, words=words, counts=[self.counts[word] for word in words])


def _with_numbers(line: Column, values: np.ndarray) -> Column:
    found = numbers.of(values)
    points, below = found.points.tolist(), found.below.tolist()
    return replace(line, total=float(values.sum()), points=points, below=below, exact=found.exact)
