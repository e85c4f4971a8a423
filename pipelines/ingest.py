"""Ingest: read what is pinned, give every row its type and its identity.

python -m pipelines ingest digits

data/<model>/pin.json [, data/<model>/source/*]  ->  data/<model>/raw.parquet
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from pipelines import rows, settings, sources, tables
from pipelines.errors import DataError, IntegrityError
from pipelines.settings import Data, Section


class Ingest(Section):
    source: str  # builtin:<name>, or the path of a file or folder inside the project
    delimiter: str = ","
    encoding: str = "utf-8"
    missing: list[str] = rows.MISSING  # cells that hold no value
    ignore: list[str] = []  # columns of the source that are left out


def run(model: str) -> None:
    data = settings.load(model, "data", Data)
    config = settings.load(model, "ingest", Ingest)
    pin = sources.read_pin(model)
    if pin["source"] != config.source:
        raise IntegrityError(
            f"models/{model}.yaml reads {config.source!r}, and {sources.pin_path(model)} pins {pin['source']!r}.",
            f"Run `ratchet run {model}`, which pins the new source.",
        )
    folder = Path("data") / model
    schema = rows.raw_schema(data)
    written = tables.write(folder / "raw.parquet", schema, ingest(pinned(model, pin, config), data, config))
    if not written:
        (folder / "raw.parquet").unlink()
        raise DataError(f"{config.source} holds no rows.", "Put rows into the source and run again.")


def ingest(content: Iterator[pa.RecordBatch], data: Data, config: Ingest) -> Iterator[pa.RecordBatch]:
    """Raw rows as the source has them -> declared types, with `row_id`. Raises DataError at the first misfit."""
    wanted = pa.schema([field for field in rows.raw_schema(data) if field.name != "row_id"])
    first = 1
    for batch in content:
        kept = [name for name in batch.schema.names if name not in config.ignore]
        batch_typed = rows.typed(batch.select(kept), wanted, config.missing, first)
        ids = pa.array(rows.identify(batch_typed, wanted.names), pa.string())
        yield pa.RecordBatch.from_arrays([ids, *batch_typed.columns], schema=rows.raw_schema(data))
        first += batch.num_rows


def pinned(model: str, pin: dict, config: Ingest) -> Iterator[pa.RecordBatch]:
    """The rows that the pin names. Raises IntegrityError if they are not the ones that were pinned."""
    if pin["kind"] == "builtin":
        table = sources.builtin(pin["name"])
        if (found := sources.builtin_hash(table)) != pin["sha256"]:
            raise IntegrityError(
                f"The built-in set {pin['name']!r} of this scikit-learn is not the pinned one ({found[:12]}, "
                f"pinned {pin['sha256'][:12]}).",
                f"Install the locked packages, or delete {sources.pin_path(model)} to pin what is there now.",
            )
        yield from table.combine_chunks().to_batches()
        return
    for path in sources.check_files(model, pin):
        yield from sources.read(path, config.delimiter, config.encoding)
