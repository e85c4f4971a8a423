"""The same rows in many types, and in every format that is read: what has to mean the same."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import ingest
from pipelines.config.data import Data
from pipelines.readers import sources

AT = [datetime(2026, 1, 1, hour, minute, tzinfo=UTC) for hour in range(4) for minute in (0, 15, 30)]
NUMBERS = [0.1, 2.0, None, -200.0, 1e-7, 3.25, 1e10, 7.0, 1234.5, 0.0, -1.5, 42.0]
FLAGS = [True, False, None] * 4
CODES = [1, 2, None, 44] * 3
CLOSED = [None, datetime(1900, 1, 1), datetime(2026, 5, 1), datetime(2026, 5, 2, 12, 30)] * 3
NOTES = ["a b", " ä", "x,y", "", 'q"', "NA"] * 2
INDIA = timezone(timedelta(hours=5, minutes=30))


def _as(form: Callable[[Any], Any], cells: list[Any], kind: pa.DataType | None = None) -> pa.Array:
    return pa.array([None if cell is None else form(cell) for cell in cells], kind)


TYPES: dict[str, tuple[str, list[pa.Array]]] = {  # name -> role, and the same values in several types
    "flag": (
        "category",
        [pa.array(FLAGS), _as(str, FLAGS), _as(lambda flag: str(flag).upper(), FLAGS, pa.large_string())],
    ),
    "code": (
        "category",
        [
            *(pa.array(CODES, kind) for kind in (pa.int8(), pa.float64(), pa.float32(), pa.decimal128(9, 0))),
            _as(lambda code: f"{code}.0", CODES),
            _as(str, CODES).dictionary_encode(),
            _as(lambda code: str(code).encode(), CODES),
        ],
    ),
    "number": (
        "number",
        [
            pa.array(NUMBERS),
            pa.array(NUMBERS, pa.float32()),
            _as(lambda number: Decimal(str(number)), NUMBERS, pa.decimal128(38, 10)),
            _as(repr, NUMBERS, pa.large_string()),
        ],
    ),
    "whole": ("number", [pa.array(CODES, kind) for kind in (pa.int64(), pa.uint8(), pa.float64(), pa.float16())]),
    "truth": ("number", [pa.array(FLAGS), _as(float, FLAGS), _as(str, FLAGS)]),
    "at": (
        "date",
        [
            *(pa.array(AT, kind) for kind in (pa.timestamp("us", "UTC"), pa.timestamp("ns", "Asia/Tokyo"))),
            pa.array(AT, pa.timestamp("s")),
            _as(datetime.isoformat, AT),
            _as(lambda at: at.astimezone(INDIA).isoformat(" "), AT, pa.large_string()),
        ],
    ),
    "day": ("date", [_as(datetime.date, AT), _as(datetime.date, AT, pa.date64()), _as(lambda at: str(at.date()), AT)]),
    "closed": (  # 1900-01-01 stands for a missing value
        "date",
        [pa.array(CLOSED), pa.array(CLOSED, pa.timestamp("ms")), _as(str, CLOSED), _as(datetime.isoformat, CLOSED)],
    ),
    "note": ("carried", [pa.array(NOTES), pa.array(NOTES, pa.large_string())]),
    "y": ("", [pa.array([0, 1] * 6, pa.int16()), pa.array([0.0, 1.0] * 6), pa.array(["0", "1"] * 6)]),
}
DATA = Data.model_validate(
    {
        "kind": "table",
        "task": "classification",
        "target": "y",
        "label": "integer",
        "columns": {name: role for name, (role, _) in TYPES.items() if role},
    }
)
CONFIG = ingest.Ingest.model_validate(
    {"source": "-", "reader": 2, "timezone": "UTC", "missing": ["", "NA", "-200", "1900-01-01"]},
)


def tables() -> list[pa.Table]:
    """The same rows, each time with the next type of every column."""
    most = max(len(found) for _, found in TYPES.values())
    return [pa.table({name: found[turn % len(found)] for name, (_, found) in TYPES.items()}) for turn in range(most)]


def written(table: pa.Table, folder: Path) -> list[Path]:
    """The table as a file of every format."""
    folder.mkdir()
    pq.write_table(table, folder / "rows.parquet")
    plain = pa.table({name: _printed(table[name]) for name in table.column_names})
    frame = plain.to_pandas()
    frame.to_csv(folder / "rows.csv", index=False)
    frame.to_csv(folder / "rows.tsv", index=False, sep="\t")
    lines = [json.dumps({name: _json(value) for name, value in row.items()}) for row in plain.to_pylist()]
    (folder / "rows.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("rows.csv", "rows.tsv", "rows.jsonl"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
    return sorted(folder.iterdir())


def _printed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """What a program does before it writes text: it decodes bytes, and prints a number of few bits in its decimals."""
    if column.type == pa.binary():
        return column.cast(pa.string())
    return column.cast(pa.string()).cast(pa.float64()) if column.type == pa.float32() else column


def _json(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def ingested(path: Path) -> pa.Table:
    """The rows of a file, with their identities."""
    content = sources.read(path, ",", "utf-8")
    return pa.Table.from_batches(ingest.ingest(content, DATA, CONFIG, path.name))
