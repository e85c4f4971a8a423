"""A file of predictions, Parquet or CSV as its name says, written batch by batch."""

from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from pipelines.config.data import Data
from pipelines.table import row_groups, rows


class Writer(Protocol):
    """rows: so many have been written."""

    rows: int

    def __enter__(self) -> "Writer": ...
    def __exit__(self, kind: object, *_: object) -> None: ...
    def write(self, batch: pa.RecordBatch) -> None: ...


def schema(data: Data, classes: list[str | int], about: dict[str, str]) -> pa.Schema:
    """row_id, of a sequence series and time, the prediction in the target's type, and a float32 for each class.

    about: what a Parquet file tells of the model that predicted.
    """
    place = [*data.series, data.time] if data.kind == "sequence" else []
    known = [("row_id", pa.string()), *((name, pa.string()) for name in place), ("prediction", rows.target_type(data))]
    return pa.schema([*known, *((f"probability_{name}", pa.float32()) for name in classes)], metadata=about)


def beside(schema: pa.Schema, kept: pa.Schema) -> pa.Schema:
    """The schema of the answers, and then the kept columns."""
    return pa.schema([*schema, *kept], metadata=schema.metadata)


def writer(path: Path, schema: pa.Schema) -> Writer:
    return row_groups.Writer(path, schema) if path.suffix.lower() == ".parquet" else _Csv(path, schema)


FORMULA = r"^[=+\-@\t\r]"  # how a cell begins that a spreadsheet computes, or runs (OWASP, "CSV Injection")
NUMBER = r"^[+-]?[0-9.,]+([eE][+-]?[0-9]+)?$"  # which is none, though it begins so


class _Csv:
    """UTF-8 with a header, every number in as few digits as give it back, text in quotes; ' before what a spreadsheet
    would take for a formula."""

    def __init__(self, path: Path, schema: pa.Schema):
        self.rows, self._path, self._schema = 0, path, schema

    def __enter__(self) -> "_Csv":
        names = _harmless(pa.array(self._schema.names)).to_pylist()
        self._written = pa.schema([field.with_name(name) for field, name in zip(self._schema, names, strict=True)])
        self._file = pyarrow.csv.CSVWriter(self._path, self._written)
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        columns = [_harmless(column) if pa.types.is_string(column.type) else column for column in batch.columns]
        self._file.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._written))
        self.rows += batch.num_rows

    def __exit__(self, kind: object, *_: object) -> None:
        self._file.close()


def _harmless(texts: pa.Array) -> pa.Array:
    begins, number = pc.match_substring_regex(texts, FORMULA), pc.match_substring_regex(texts, NUMBER)
    return pc.if_else(pc.and_not(begins, number), pc.binary_join_element_wise("'", texts, ""), texts)
