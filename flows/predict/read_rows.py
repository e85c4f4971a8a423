"""Rows that are to be predicted, read as `ingest` reads rows to learn from.

The reader, types, missing marks and identities are those of `ingest`. What differs is which columns have to be there:
those that the model sees. A target, a carried column or an ignored one may be absent, and any other may be there.
"""

import csv
import difflib
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import pyarrow as pa

from flows.data.arrivals import scan
from flows.predict.answering.pieces import Part
from flows.predict.kept import FILE, Kept, with_files
from pipelines.config.data import Data
from pipelines.errors import DataError
from pipelines.ingest import Ingest
from pipelines.readers import compressed, images, sources, text_errors
from pipelines.readers.layout import rows_of
from pipelines.readers.meaning import marks, numbers
from pipelines.table import rows


@dataclass
class Unseen:
    """Rows of a file, or of a folder of files.

    kept: is shown each batch as the file has it. look: is shown each batch as it was read, and gives it back. ignored:
    columns that were there and that the model does not know.
    """

    source: Path
    data: Data
    config: Ingest
    kept: Kept | None = None
    look: Callable[[pa.RecordBatch], pa.RecordBatch] = lambda batch: batch
    ignored: dict[str, None] = field(default_factory=dict)

    def parts(self) -> Iterator[Part]:
        """The rows as the files have them, but only columns that are declared, in the order of the source: of a folder
        by the names of its files.

        Raises DataError for the first file or column that does not fit, and if there is no row.
        """
        count = 0
        for where, content in self._contents():
            first = 1
            for batch in self._fitted(where, content):
                yield Part(where, first, batch)
                first += batch.num_rows
            count += first - 1
        if not count:
            raise DataError(f"{self.source} holds no rows.", "Name a file that has some.")

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The same rows as `ingest` would write them. Raises DataError also for a value that does not fit."""
        for part in self.parts():
            for batch in part.typed(self.data, self.config):
                if self.kept:
                    self.kept.identify(batch["row_id"])
                yield self.look(batch)

    def _contents(self) -> Iterator[tuple[str, Iterable[pa.RecordBatch]]]:
        """Each file's name and its rows."""
        folder, pictures = self.source if self.source.is_dir() else self.source.parent, []
        for path in self._files():
            if sources.format_of(path) == "image":
                pictures.append(path.relative_to(folder).as_posix())
            else:
                names, (delimiter, encoding) = self._names(path), (self.config.delimiter, self.config.encoding)
                yield path.name, sources.read(path, delimiter, encoding, names, labelled=False, layout=self.config)
        images.check_places(name for name in pictures if "/" in name)
        for place, group in groupby(pictures, key=lambda name: name.rpartition("/")[0]):
            found = list(group)
            read = images.read(folder, found, self.data.shape, self.config.resize)
            yield f"{place or folder.name}/", with_files(read, found)

    def _files(self) -> list[Path]:
        if not self.source.is_dir():
            return [self.source]
        found = [path for path in scan.listed(self.source, [self.source]) if not scan.withdrawn(path)]
        if not found:
            raise DataError(f"{self.source} holds no file that can be read ({sources.KNOWN}).", "Name another.")
        return found

    def _names(self, path: Path) -> list[str]:
        """The columns of a CSV file without a header, where the model was trained on such files.

        One to be predicted may lack the target, or have a header all the same.
        """
        declared = self.config.names
        if not declared or not ((reader := sources.reader_of(path)) and reader.named):
            return []
        first = _first_cells(path, self.config)
        if set(self.needed) <= set(first):
            return []
        return [n for n in declared if len(first) != len(declared) - 1 or n != self.data.target]

    @property
    def needed(self) -> list[str]:
        """The columns that have to be there: all that the model sees, as a file has them."""
        past = [self.data.target, *self.data.series] if self.data.kind == "sequence" else []
        columns = dict.fromkeys([*self.data.shown, *past])
        parts = {name: self.config.instants.get(name, [name]) for name in columns}
        return list(dict.fromkeys(part for found in parts.values() for part in found))

    def _fitted(self, where: str, content: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The columns that are declared, and no other; those that need not be there as if their cells were empty."""
        schema, needed = rows.raw_schema(self.data), self.needed
        beside = [schema.field(name) for name in (*self.data.carried, self.data.target) if name not in needed]
        known, ours = {*needed, *(one.name for one in beside)}, [FILE] if self.data.kind == "image" else []
        left = {*self.config.ignore, *self.config.dropped}
        for batch in content:
            self._check(where, batch.schema.names)
            if self.kept:
                self.kept.read(where, batch)
            places = [place for place, name in enumerate(batch.schema.names) if name in known]
            extra = [name for name in batch.schema.names if name not in {*known, *left, *ours}]
            self.ignored |= dict.fromkeys(extra)
            chosen = batch.select(places)
            for one in beside:
                chosen = _with(chosen, one, self.config)
            yield chosen

    def _check(self, where: str, names: list[str]) -> None:
        """Raises DataError for columns that are missing."""
        absent = [name for name in self.needed if name not in names]
        if not absent:
            return
        if text_errors.looks_like(self.config.delimiter, names):
            raise DataError(
                f"{where} has only one column, {names[0][:60]!r}.",
                f"Separate its cells by {self.config.delimiter!r}, as in the files that the model was trained on.",
            )
        near = difflib.get_close_matches(absent[0], names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {_listed(names)}"
        raise DataError(
            f"{where} has no column {_listed(absent)}, which the model needs ({hint}).",
            "Add it. A cell may be empty if its value is not known.",
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:10]))
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"


def _first_cells(path: Path, config: Ingest) -> list[str]:
    """The cells of a CSV file's first row; [] where the reader will say what is wrong with it."""
    delimiter = "\t" if ".tsv" in path.name.lower() else config.delimiter
    try:
        with io.TextIOWrapper(compressed.opened(path), text_errors.codec(config.encoding)) as file:
            lines = rows_of(text_errors.lines(path, file), config, delimiter)
            found = (cells for _, cells in text_errors.records(lines, delimiter, config.quote_char))
            first = next(filter(None, found), [])
        return [cell.strip() for cell in first[: len(first) - config.trailing_delimiters]]
    except (OSError, EOFError, UnicodeError, csv.Error, DataError):
        return []


def _with(batch: pa.RecordBatch, one: pa.Field, config: Ingest) -> pa.RecordBatch:
    """The batch with this column, of which no model sees a value: one that cannot be read is missing."""
    place = batch.schema.get_field_index(one.name)  # -1 if there is none, or more than one
    if place < 0:
        twice = batch.schema.names.count(one.name)
        return batch if twice else batch.append_column(one.name, pa.nulls(batch.num_rows, one.type))
    return batch.set_column(place, one.name, _readable(batch.column(place), one, config))


def _readable(column: pa.Array, one: pa.Field, config: Ingest) -> pa.Array:
    try:
        return _typed(column, one, config)
    except DataError:
        if pa.types.is_nested(column.type):
            return pa.nulls(len(column), one.type)
        coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        values = [_or_none(coded.dictionary.slice(place, 1), one, config) for place in range(len(coded.dictionary))]
        return pa.concat_arrays([*values, pa.nulls(0, one.type)]).take(coded.indices)


def _or_none(value: pa.Array, one: pa.Field, config: Ingest) -> pa.Array:
    try:
        return _typed(value, one, config)
    except DataError:
        return pa.nulls(1, one.type)


def _typed(column: pa.Array, one: pa.Field, config: Ingest) -> pa.Array:
    batch, schema = pa.RecordBatch.from_arrays([column], [one.name]), pa.schema([one])
    batch = numbers.read(marks.without(batch, config.marks, config), schema, config, config.missing, 1)
    return rows.typed(batch, schema, config.missing).column(0)
