"""Events: by what a label and an answer are of the same case.

Without `labels: key:` an event is the id of an answer. With it, it is the identity of the key columns as the model's
own reader takes them (pipelines/table/rows.py): the same in a label file, in the log and in the source, and that by
which `clean` splits.
"""

from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import ingest
from pipelines.config.data import Data
from pipelines.errors import DataError
from pipelines.ingest import Ingest
from pipelines.model_file import Declaration
from pipelines.table import rows

ID, LABEL = "id", "label"
INSTANT = pa.timestamp("us", "UTC")


@dataclass(frozen=True)
class Reader:
    """Reads the columns that name an event, and the label, as `ingest` would read them from the source."""

    key: tuple[str, ...]
    data: Data
    config: Ingest

    @property
    def columns(self) -> list[str]:
        """The columns of a label file that name an event."""
        return [part for name in self.key for part in self.config.instants.get(name, [name])] if self.key else [ID]

    def labelled(self, table: pa.Table, where: str) -> pa.Table:
        """Rows of a label file -> `event` and `label`, in the type of the target.

        Raises DataError for a value that cannot be read, a row without a label, and one that names no event.
        """
        whole = table.rename_columns([self.data.target if name == LABEL else name for name in table.column_names])
        found = pa.Table.from_batches(self._typed(whole, where), schema=rows.raw_schema(self.data)).combine_chunks()
        event = self._identified(found) if self.key else _names(whole[ID])
        label = pa.concat_arrays(found[self.data.target].chunks)
        for column, wants in ((label, "has no label"), (event, "names no event")):
            if column.null_count:
                raise DataError(f"{where}: row {1 + _first_null(column)} {wants}.", "Correct it: no label was taken.")
        return pa.table({"event": event, LABEL: label})

    def answered(self, batch: pa.RecordBatch) -> pa.Array:
        """The event of each answered row; null where a part of the key is missing."""
        if not self.key:
            return batch[ID]
        there = fields(batch)
        columns = {
            name: self.instant(there, name) if name in self.config.instants else there.get(name) for name in self.key
        }
        if None in columns.values():
            return pa.nulls(batch.num_rows, pa.string())
        raw = pa.table(columns | {self.data.target: pa.nulls(batch.num_rows, pa.string())})
        try:
            found = pa.Table.from_batches(self._typed(raw, "the log"), schema=rows.raw_schema(self.data))
        except DataError:  # a key column that no answer needs may hold anything
            return pa.concat_arrays([self._alone(raw.slice(place, 1)) for place in range(raw.num_rows)])
        return self._identified(found)

    def instant(self, there: dict[str, pa.Array], name: str) -> pa.Array | None:
        """A date that is made of several columns, from these or as it came itself; None if the log has neither."""
        parts = self.config.instants[name]
        ways = [[name], parts] if there.keys() >= set(parts) else [[name]]
        found = [self._instant({one: there[one] for one in way}, name) for way in ways if there.keys() >= set(way)]
        return pc.coalesce(*found) if found else None

    def _instant(self, columns: dict[str, pa.Array], name: str) -> pa.Array:
        alone = replace(self, key=(name,), data=self.data.model_copy(update={"columns": {name: "date"}}))
        count = len(next(iter(columns.values())))
        raw = pa.table(columns | {self.data.target: pa.nulls(count, pa.string())})
        batches = alone._typed(raw, "the log")
        return pa.concat_arrays([pa.nulls(0, pa.string()), *(one[name] for one in batches)]).cast(INSTANT)

    def _alone(self, row: pa.Table) -> pa.Array:
        try:
            return self._identified(pa.Table.from_batches(self._typed(row, "the log")))
        except DataError:
            return pa.nulls(1, pa.string())

    def _typed(self, raw: pa.Table, where: str) -> list[pa.RecordBatch]:
        """The columns of the key and the target, as raw.parquet has them."""
        there = set(raw.column_names)
        instants = {name: self.config.instants[name] for name in self.key if name in self.config.instants}
        instants = {name: parts for name, parts in instants.items() if name not in there}
        config = self.config.model_copy(update={"instants": instants})
        wanted = {*self.key, self.data.target, *(part for name in self.key for part in instants.get(name, []))}
        chosen = raw.select([name for name in raw.column_names if name in wanted]).combine_chunks().to_batches()
        first, found = 1, list[pa.RecordBatch]()
        for batch in chosen:
            found += ingest.ingest([batch], self.data, config, where, first)
            first += batch.num_rows
        return found

    def _identified(self, found: pa.Table) -> pa.Array:
        names = list(self.key)
        ids = [rows.id_column(rows.identify(batch, names)) for batch in found.to_batches()]
        event = pa.concat_arrays([*ids, pa.nulls(0, pa.string())])
        for name in names:
            event = pc.if_else(pc.is_null(found[name].combine_chunks()), pa.scalar(None, pa.string()), event)
        return event


def fields(batch: pa.RecordBatch) -> dict[str, pa.Array]:
    """The columns of logged rows, as they came."""
    if "row" not in batch.schema.names:
        return {}
    return {part.name: batch["row"].field(place) for place, part in enumerate(batch.schema.field("row").type)}


def _names(ids: pa.ChunkedArray) -> pa.Array:
    """Ids as text, null where there is none."""
    texts = pc.utf8_trim_whitespace(ids.cast(pa.string()))
    return pa.concat_arrays(pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts).chunks)


def _first_null(column: pa.Array) -> int:
    return int(pc.index(pc.is_null(column), True).as_py())


def reader(declared: Declaration) -> Reader:
    """The reader of a model's events. Only the key and the target are columns of it."""
    key = tuple(declared.labels.key)
    columns = {name: declared.data.columns[name] for name in key}
    kind = {"kind": "table", "columns": columns, "shape": [], "series": []}
    config = declared.ingest.model_copy(update={"ignore": [], "names": []})
    return Reader(key, declared.data.model_copy(update=kind), config)
