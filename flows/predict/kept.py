"""The user's own columns beside the answers (`ratchet predict --keep`): as the file has them, row by row."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import words
from pipelines.config.data import Data
from pipelines.errors import DataError, RequestError

EVERY = "all"
FILE = "file"  # the column that an image has: its path below the source
OURS = ("row_id", "prediction")
PLAIN = (pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating, pa.types.is_string, pa.types.is_timestamp)


@dataclass
class Kept:
    """wanted: names of columns, also several with commas between them, or `all`. texts: whether the answers go to a CSV
    file. Rows of a table are taken in their order; those of a sequence, whose answers have another, by their row_id."""

    data: Data
    wanted: list[str]
    texts: bool = False
    schema: pa.Schema = field(default_factory=lambda: pa.schema([]))
    _waiting: list[pa.Table] = field(default_factory=list)
    _read: bool = False

    def read(self, where: str, batch: pa.RecordBatch) -> None:
        """Note the rows of a batch of the file `where`, as the file has them.

        Raises RequestError for a column that is not there, DataError for one that cannot be kept.
        """
        if not self.wanted:
            return
        names = batch.schema.names
        if not self._read:
            self._read = True
            chosen = [self._column(where, batch, name) for name in self._chosen(names)]
            self.schema = pa.schema([field for field, _ in chosen])
        columns = [self._same(where, batch, field) for field in self.schema]
        self._waiting.append(pa.Table.from_arrays(columns, schema=self.schema))

    def identify(self, ids: pa.Array) -> None:
        """The row_ids of the rows that were read last."""
        if self._waiting and self.data.kind == "sequence":
            self._waiting[-1] = self._waiting[-1].append_column("row_id", ids)

    def of(self, answered: pa.Table) -> list[pa.ChunkedArray]:
        """The kept columns of rows that were answered: the next ones, or those with the same row_id."""
        if not self._waiting or not self.schema.names:
            return []
        every = pa.concat_tables(self._waiting)
        if self.data.kind == "sequence":
            self._waiting = [every]
            places = pc.index_in(answered["row_id"], every["row_id"].combine_chunks())
            return list(every.select(self.schema.names).take(places).columns)
        self._waiting = [every.slice(answered.num_rows)]
        return list(every.slice(0, answered.num_rows).columns)

    def _chosen(self, names: list[str]) -> list[str]:
        chosen = list(dict.fromkeys(name for one in self.wanted for name in _named(one, names)))
        there = [*self.data.series, self.data.time] if self.data.kind == "sequence" else []  # in the answers anyway
        for name in chosen:
            if name in OURS or (name.startswith("probability_") and self.data.task == "classification"):
                raise RequestError(
                    f"--keep {name}: the answers have a column of this name.", "Rename it, or name the others."
                )
        return [name for name in chosen if name not in there]

    def _column(self, where: str, batch: pa.RecordBatch, name: str) -> tuple[pa.Field, pa.Array]:
        """A column, in a type that the file of answers can hold."""
        if batch.schema.names.count(name) > 1:
            raise DataError(f"{where} has the column {name!r} twice.", "Rename one of them.")
        found = batch.column(batch.schema.get_field_index(name))
        if pa.types.is_dictionary(found.type):
            found = found.dictionary_decode()
        if self.texts and not any(plain(found.type) for plain in PLAIN):
            try:
                found = found.cast(pa.string())
            except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
                raise DataError(
                    f"{where}, column {name!r}: a CSV file cannot hold {found.type}.", "Write to .parquet instead."
                ) from error
        return pa.field(name, found.type), found

    def _same(self, where: str, batch: pa.RecordBatch, wanted: pa.Field) -> pa.Array:
        """A column in the type that it had in the first file."""
        if wanted.name not in batch.schema.names:
            raise _missing(wanted.name, batch.schema.names, where)
        found = self._column(where, batch, wanted.name)[1]
        try:
            return found.cast(wanted.type)
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:
            raise DataError(
                f"{where}, column {wanted.name!r}: it is {found.type}, and {wanted.type} in the file before.",
                "Predict these files one by one, or leave the column out of --keep.",
            ) from error


def _named(one: str, names: list[str]) -> list[str]:
    """The columns that one word of the command names."""
    if one in names:
        return [one]
    if one == EVERY:
        return [name for name in names if name not in OURS]
    parts = [part.strip() for part in one.split(",") if part.strip()]
    for part in parts:
        if part not in names:
            raise _missing(part, names, "the file")
    return parts


def _missing(name: str, names: list[str], where: str) -> RequestError:
    return RequestError(
        f"--keep {name}: there is no such column in {where}{words.nearest(name, names)}.",
        f"Write names with commas between them, or `--keep {EVERY}`.",
    )


def with_files(content: Iterator[pa.RecordBatch], names: list[str]) -> Iterator[pa.RecordBatch]:
    """The rows of images, with the path of each. names: in their order."""
    first = 0
    for batch in content:
        yield batch.append_column(FILE, pa.array(names[first : first + batch.num_rows], pa.string()))
        first += batch.num_rows


def beside(answers: pa.Table, schema: pa.Schema, kept: Kept) -> pa.Table:
    """The answers, in their schema, and the kept columns of the same rows."""
    table = answers.cast(schema)
    for one, column in zip(kept.schema, kept.of(table), strict=True):
        table = table.append_column(one, column)
    return table
