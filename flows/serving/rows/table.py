"""Tables: rows of numbers, words and dates."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from flows.serving.problem import Problem
from flows.serving.rows import cells, declared
from flows.serving.rows.batch import Arrays, Batch
from flows.serving.rows.declared import Declared
from flows.serving.rows.meaning import Meaning


class TableRows:
    """The rows of a table -> arrays. The functions of the columns are made once."""

    def __init__(
        self,
        about: Mapping[str, Any],
        meaning: Meaning,
        known: Mapping[str, frozenset[str]],
        columns: Declared,
    ):
        """about: model.json. known: the words that the model has seen, by column."""
        self._columns, self._meaning = columns, meaning
        self._numbers = [(name, cells.number(name, meaning)) for name in about["numbers"]]
        self._words = [(name, cells.word(name, meaning, known[name])) for name in about["categories"]]
        self._dates = [(name, cells.date(name, meaning)) for name in about.get("dates", [])]
        self._roles = {name: "number" for name, _ in self._numbers} | {name: "date" for name, _ in self._dates}

    def read(self, rows: Sequence[Any], before: int = 0) -> Batch:
        """rows: JSON objects. before: how many rows of the request come before these. Raises Problem."""
        numbers: list[float] = []
        words: list[str] = []
        dates: list[float] = []
        unknown, raw = [], []
        for place, row in enumerate(rows, before):
            if not isinstance(row, dict):
                raise declared.no_object(place, row)
            unknown.append(self._row(place, row, numbers, words, dates))
            raw.append(self._columns.kept(row, self._meaning))
        return Batch(self._arrays(len(raw), numbers, words, dates), len(raw), unknown, raw)

    def _row(
        self, place: int, row: dict[str, Any], numbers: list[float], words: list[str], dates: list[float]
    ) -> tuple[str, ...]:
        """Appends the cells of one row; returns the columns whose word is not known."""
        strange = []
        name = ""
        try:
            for name, number in self._numbers:
                numbers.append(number(row[name]))
            for name, word in self._words:
                text, new = word(row[name])
                words.append(text)
                if new:
                    strange.append(name)
            for name, date in self._dates:
                dates.append(date(row[name]) if name in row else self._joined(place, name, row))
        except KeyError:
            raise self._columns.absent(place, self._absent(row), row) from None
        except cells.UNREADABLE as error:
            raise self._columns.misfit(place, name, row[name], error, self._roles.get(name, "category")) from error
        return tuple(strange)

    def _joined(self, place: int, name: str, row: dict[str, Any]) -> float:
        """A date that is made of several columns. Raises KeyError where one of these is not there."""
        parts = [row[part] for part in self._meaning.instants[name]]
        try:
            return cells.seconds(self._meaning.joined(parts, name))
        except cells.UNREADABLE as error:
            raise self._unjoined(place, name, parts, error) from error

    def _unjoined(self, place: int, name: str, parts: list[Any], error: Exception) -> Problem:
        hidden = not self._columns.sensitive.isdisjoint([name, *self._meaning.instants[name]])
        return self._columns.misfit(place, name, parts, error, "date", hidden)

    def _absent(self, row: dict[str, Any]) -> list[str]:
        """The needed columns that a row lacks; of a date that is made of others, these."""
        needed = [name for name, _ in (*self._numbers, *self._words)]
        for name, _ in self._dates:
            needed += [name] if name in row else self._meaning.instants.get(name, [name])
        return [name for name in needed if name not in row]

    def _arrays(self, rows: int, numbers: list[float], words: list[str], dates: list[float]) -> Arrays:
        found = {}
        if self._numbers:
            found["numbers"] = np.array(numbers, np.float64).reshape(rows, len(self._numbers))
        if self._words:
            found["categories"] = np.array(words, object).reshape(rows, len(self._words))
        if self._dates:
            found["dates"] = np.array(dates, np.float64).reshape(rows, len(self._dates))
        return found
