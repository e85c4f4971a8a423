"""Sample: some rows of a table as numbers and codes, for the quick looks of `ratchet new`."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from flows.new import column_types
from pipelines.config.data import Data
from pipelines.readers.meaning import value_kinds

ROWS = 20_000  # from all parts of the table: enough for every look, and read in a second


@dataclass(frozen=True)
class Sample:
    """numbers: floats [rows], NaN for none. words: codes [rows] of `spelled`, -1 for none. target: floats, or codes of
    `classes`. dates: whether there is one [rows, bool].

    Only rows with a target that the model will learn, in the order of the file.
    """

    numbers: dict[str, np.ndarray]
    words: dict[str, np.ndarray]
    target: np.ndarray
    classes: list[Any]
    dates: dict[str, np.ndarray] = field(default_factory=dict)
    spelled: dict[str, list[str]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return len(self.target)

    def take(self, most: int) -> "Sample":
        """At most so many rows, from all parts."""
        if self.rows <= most:
            return self
        some = chosen(self.rows, most)
        parts = [
            {name: column[some] for name, column in part.items()} for part in (self.numbers, self.words, self.dates)
        ]
        return Sample(parts[0], parts[1], self.target[some], self.classes, parts[2], self.spelled)

    def without(self, names: Collection[str]) -> "Sample":
        """The sample without some columns."""
        parts = [{n: c for n, c in part.items() if n not in names} for part in (self.numbers, self.words, self.dates)]
        return Sample(parts[0], parts[1], self.target, self.classes, parts[2], self.spelled)


@dataclass(frozen=True)
class Cells:
    """All rows of a table. codes: of each column's values [rows], -1 for none."""

    table: pa.Table
    missing: list[str]
    codes: dict[str, np.ndarray]

    @classmethod
    def of(cls, table: pa.Table, missing: list[str]) -> "Cells":
        return cls(table, missing, {name: _codes(table[name], missing) for name in table.column_names})

    def numbers(self, name: str) -> np.ndarray:
        """A column's values as floats [rows], NaN for what is none."""
        cells = column_types.cells(self.table[name], self.missing)
        return np.asarray(pd.to_numeric(cells, errors="coerce").to_numpy(float))


def _codes(values: pa.ChunkedArray, missing: list[str]) -> np.ndarray:
    if value_kinds.problem(values):  # lists and the like, which are left out, still tell rows apart
        values = pa.chunked_array([pa.array([None if one is None else str(one) for one in values.to_pylist()])])
    text = column_types.words(values, missing)
    whole = (values if text is None else text).combine_chunks()
    coded = whole if pa.types.is_dictionary(whole.type) else whole.dictionary_encode()
    return np.asarray(coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)).astype(np.int64)


def chosen(count: int, most: int) -> np.ndarray:
    """The places of at most so many of the rows, in order: drawn, because a file may have a rhythm."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def of(raw: pa.Table, data: Data, classes: list[Any]) -> Sample:
    """raw: typed rows. classes: those that are learned, most frequent first; [] where the target is a number."""
    target = raw[data.target].to_pandas()
    if classes:
        codes = pd.Index(classes).get_indexer(target).astype(np.int64)
        known = codes >= 0
    else:
        codes = target.to_numpy(float)
        known = ~np.isnan(codes)
    numbers = {name: raw[name].to_numpy().astype(float)[known] for name in data.numbers}
    spelled = {name: pd.factorize(raw[name].to_pandas()) for name in data.categories}
    words = {name: found[0][known] for name, found in spelled.items()}
    dates = {name: raw[name].is_valid().to_numpy()[known] for name in data.dates}
    return Sample(numbers, words, codes[known], classes, dates, {name: [*found[1]] for name, found in spelled.items()})
