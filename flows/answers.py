"""Answers: a file of predictions, Parquet or CSV as its name says, written batch by batch."""

from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.csv

from pipelines import rows, tables
from pipelines.settings import Data


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


def writer(path: Path, schema: pa.Schema) -> Writer:
    return tables.Writer(path, schema) if path.suffix.lower() == ".parquet" else _Csv(path, schema)


class _Csv:
    """UTF-8 with a header, every number in as few digits as give it back, text in quotes."""

    def __init__(self, path: Path, schema: pa.Schema):
        self.rows, self._path, self._schema = 0, path, schema

    def __enter__(self) -> "_Csv":
        self._file = pyarrow.csv.CSVWriter(self._path, self._schema)
        return self

    def write(self, batch: pa.RecordBatch) -> None:
        self._file.write_batch(batch)
        self.rows += batch.num_rows

    def __exit__(self, kind: object, *_: object) -> None:
        self._file.close()
