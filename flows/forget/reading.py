"""Some columns of a model, read as `ingest` reads them: from a source, from raw.parquet, and from the log alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from pipelines import ingest
from pipelines.config.data import Data
from pipelines.errors import DataError
from pipelines.ingest import Ingest
from pipelines.model_file import Declaration
from pipelines.table import rows

NO_TARGET = "(no target)"  # a column beside the others, because the reader wants a target


@dataclass(frozen=True)
class Reading:
    """names: the columns. data, config: as if a model had only these."""

    names: tuple[str, ...]
    data: Data
    config: Ingest

    def typed(self, batch: pa.RecordBatch) -> pa.RecordBatch | None:
        """The columns in the types of raw.parquet; None if a value cannot be read. A column that is not there is
        missing in every row."""
        columns = {name: _column(batch, name) for name in self.names}
        raw = pa.RecordBatch.from_pydict(columns | {NO_TARGET: pa.nulls(batch.num_rows, pa.string())})
        try:
            found = next(ingest.ingest([raw], self.data, self.config, "the rows"))
        except DataError:
            return None
        return found.select([found.schema.get_field_index(name) for name in self.names])

    def each(self, batch: pa.RecordBatch) -> list[pa.RecordBatch | None]:
        """The typed rows of a batch: in one piece, or row by row if one of them cannot be read."""
        if (found := self.typed(batch)) is not None or batch.num_rows < 2:
            return [found]
        return [self.typed(batch.slice(place, 1)) for place in range(batch.num_rows)]

    def identities(self, batch: pa.RecordBatch) -> list[str]:
        """The identity of each row by these columns (pipelines/table/rows.py); "" for one that cannot be read."""
        names = sorted(self.names)
        return [
            one
            for part in self.each(batch)
            for one in ([""] if part is None else [name.decode() for name in rows.identify(part, names).tolist()])
        ]


def of(declared: Declaration, names: Sequence[str]) -> Reading:
    """Reads these columns. One that no stage reads is text. A hashed column is hashed, and what is hashed stays so.
    Other private columns are read as they are written, because a mask or a bin names many people."""
    roles = {name: role(declared, name) for name in names}
    alone: dict[str, Any] = {"kind": "table", "task": "classification", "label": "text", "target": NO_TARGET}
    alone |= {"columns": roles, "shape": [], "series": [], "sensitive": []}
    hashed = {name: rule for name, rule in declared.ingest.private.items() if name in names and rule == "hash"}
    plain: dict[str, Any] = {"ignore": [], "instants": {}, "names": [], "private": hashed}
    return Reading(tuple(names), declared.data.model_copy(update=alone), declared.ingest.model_copy(update=plain))


def role(declared: Declaration, name: str) -> str:
    if name == declared.data.target:
        return "number" if declared.data.task == "regression" else "category"
    return str(declared.data.columns.get(name, "carried"))


def _column(batch: pa.RecordBatch, name: str) -> pa.Array:
    place = batch.schema.get_field_index(name)
    return batch.column(place) if place >= 0 else pa.nulls(batch.num_rows, pa.string())
