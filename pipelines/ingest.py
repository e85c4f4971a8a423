"""Ingest: read the pinned data, and give every row its types and its identity.

python -m pipelines ingest digits

data/<model>/pin.json [, data/<model>/source/**]  ->  data/<model>/raw.parquet
"""

import io
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
from pydantic import Field, field_validator

from pipelines import visible_text
from pipelines.config import settings, words
from pipelines.config.data import Data
from pipelines.config.stage import Stage
from pipelines.errors import DataError, IntegrityError
from pipelines.readers import dates, images, sources, text_errors
from pipelines.readers.dates import Dates
from pipelines.readers.layout import Layout
from pipelines.readers.meaning import marks, numbers, value_columns, value_kinds, values
from pipelines.readers.private import Private
from pipelines.table import row_groups, rows

Batches = Iterable[pa.RecordBatch]
ROW_BYTES = 100  # of disk, for each row, beside its values
TOLD = 1 << 30  # bytes of disk: a larger need is shown


class Ingest(Dates, Layout, Private):
    """Where the data come from, and how to read them."""

    source: str = Field(min_length=1)
    """Where the data come from: `builtin:<name>`, a path, or an address. See [Sources](#sources)."""
    delimiter: str = Field(",", min_length=1, max_length=1)
    """The character between two cells of a CSV file."""
    encoding: str = "utf-8"
    """The encoding of a text file."""
    names: list[str] = []
    """The names of the columns, for CSV files without a header."""
    resize: Literal["none", "nearest", "box", "bilinear", "bicubic", "lanczos"] = "none"
    """How an image of another size is brought to `data.shape`. With `none` it is refused."""
    missing: list[str] = rows.MISSING
    """The texts that stand for a missing value."""
    marks: dict[str, list[str | int | float]] = {}
    """Values that stand for a missing one in single columns, such as `{temperature: [-200], born: ["1900-01-01"]}`."""
    quiet: float = Field(10.0, ge=0, le=86_400)
    """Seconds for which a text file whose last line has no end must not have grown: then it counts as complete."""
    ignore: list[str] = []
    """Columns of the source to leave out."""
    may_lose: float = Field(0.1, ge=0, le=1)
    """The share of the pinned rows that may be gone at once from a folder of `data/incoming/`, as when a file is
    replaced under its own name. A delivery that loses more is refused."""
    reader: int = Field(1, ge=1, le=values.READER)
    """Which rules say what a value means; see [Readers](rows.md#readers). `ratchet new` writes the newest, `ratchet
    upgrade-reader` brings a model to it."""

    @property
    def rules(self) -> values.Rules:
        """What matters for a single row."""
        dated = (self.dates, self.timezone or "", self.ambiguous)
        written = (self.decimal, self.thousands, self.marks)
        return values.Rules(self.reader, tuple(self.missing), *dated, *written, self.hidden, self.key)

    @field_validator("names")
    @classmethod
    def _each_once(cls, names: list[str]) -> list[str]:
        if twice := next((name for name in names if names.count(name) > 1), ""):
            raise ValueError(f"{twice!r} is listed twice")
        if "" in names:
            raise ValueError("a column has no name: give it one, and list it under `ignore` if you do not want it")
        return names

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str) -> str:
        try:
            io.TextIOWrapper(io.BytesIO(), encoding=name)  # it also refuses codecs that are no text encodings
        except (LookupError, ValueError) as error:
            raise ValueError(f"{name!r} is not an encoding: write one such as utf-8 or latin-1") from error
        return name


STAGE = Stage("ingest", Ingest, refuses_data=True)


def run(model: str) -> None:
    data = settings.load(model, "data", Data)
    config = settings.load(model, "ingest", Ingest)
    pin = sources.read_pin(model)
    if pin["source"] != config.source:
        raise IntegrityError(
            f"models/{model}.yaml reads {config.source!r}, but {sources.pin_path(model)} pins {pin['source']!r}.",
            f"Pin the new source: `ratchet run {model}`.",
        )
    if pin.get("reader", config.reader) != config.reader:
        raise IntegrityError(
            f"models/{model}.yaml has reader {config.reader}, but {sources.pin_path(model)} reader {pin['reader']}.",
            f"Pin the data for this reader: `ratchet run {model}`.",
        )
    folder = Path("data") / model
    needed = disk_need(pin)
    if needed > TOLD:
        visible_text.note(f"about {needed / 1e9:.1f} GB of disk for this and the later stages")
    row_groups.check_space(folder, needed)
    about = {rows.READER: str(config.reader)} if config.reader > 1 else None
    schema = row_groups.with_metadata(rows.raw_schema(data), about)
    with row_groups.Writer(folder / "raw.parquet", schema) as out:
        for where, content in pinned(model, data, pin, config):
            for batch in ingest(content, data, config, where):
                out.write(batch)
        if not out.rows:
            raise DataError(f"{config.source} holds no rows.", "Put rows into the source and run again.")


def disk_need(pin: dict[str, Any]) -> int:
    """Bytes that this stage and the later ones will write for the pinned files; rounded up.

    The rows are stored twice, before and after the split. An identity takes 32 letters in both, and 20 bytes more
    during the search for copies; the rest of ROW_BYTES is for the predictions. Packed files count with their
    unpacked size.
    """
    files = pin.get("files", [])
    return sum(2 * entry.get("unpacked", entry["bytes"]) + ROW_BYTES * entry.get("rows", 0) for entry in files)


def ingest(content: Batches, data: Data, config: Ingest, where: str, first: int = 1) -> Iterator[pa.RecordBatch]:
    """The rows of one file as they are -> declared types, with `row_id`. first: the number of their first row.

    Raises DataError at the first misfit, naming the file `where`, the row, the column and the value.
    """
    schema = rows.raw_schema(data)
    told = [field.with_metadata(rows.SENSITIVE) if field.name in config.private else field for field in schema]
    wanted = pa.schema([field for field in told if field.name != "row_id"])  # whose values no message shows
    rules = config.rules
    for batch in content:
        try:
            found = _typed(batch, wanted, config, rules, first, data)
        except DataError as error:
            raise DataError(f"{where}: {error.what}", error.do) from error
        ids = rows.id_column(rows.identify(found, wanted.names))
        yield pa.RecordBatch.from_arrays([ids, *found.columns], schema=schema)
        first += batch.num_rows


def hidden(content: Batches, data: Data, config: Ingest, where: str) -> Iterator[pa.RecordBatch]:
    """The rows of one file as they are, but for private columns: these as `ingest` would write them, or left out.

    Reading the result again gives the same rows. Raises DataError as `ingest` does.
    """
    first, rules, schema = 1, config.rules, rows.raw_schema(data)
    fields = [schema.field(name).with_metadata(rows.SENSITIVE) for name in config.hidden]
    for batch in content:
        rows.check_once(batch.schema.names)
        there = [field for field in fields if field.name in batch.schema.names]
        some = marks.without(batch.select([field.name for field in there]), config.marks, config)
        try:
            found = value_columns.typed(some, pa.schema(there), roles(data), rules, first)
        except DataError as error:
            raise DataError(f"{where}: {error.what}", error.do) from error
        kept = [name for name in batch.schema.names if name not in config.dropped]
        columns = [found[name] if name in config.hidden else batch[name] for name in kept]
        yield pa.RecordBatch.from_arrays(columns, names=kept)
        first += batch.num_rows


def _typed(
    batch: pa.RecordBatch, wanted: pa.Schema, config: Ingest, rules: values.Rules, first: int, data: Data
) -> pa.RecordBatch:
    names = batch.schema.names
    if unknown := [name for name in config.ignore if name not in names]:
        raise DataError(
            f"There is no column {unknown[0]!r} to leave out{words.nearest(unknown[0], names)}.",
            "Correct `ingest: ignore:` in the model's YAML.",
        )
    wanted_there = {*wanted.names} & {*names}
    if hint := "" if wanted_there else text_errors.looks_like(config.delimiter, names):
        raise DataError(f"The file has only one column, {names[0][:60]!r}.", hint)
    kept = [index for index, name in enumerate(names) if name not in (*config.ignore, *config.dropped)]
    chosen = batch.select(kept)
    rows.check_once(chosen.schema.names)
    known = wanted.names if config.reader > 1 else [*data.numbers, *data.dates]  # of the first, any may be a category
    value_kinds.check(chosen.schema, [name for name in known if name in chosen.schema.names])
    if config.marks:
        chosen = marks.without(chosen, config.marks, config)
    if moments := [name for name in data.dates if config.reader == 1 or name in config.instants]:
        chosen = dates.read(chosen, moments, config, first, wanted.names, [*data.sensitive, *config.private])
    if config.reader > 1:
        return value_columns.typed(chosen, wanted, roles(data), rules, first)
    chosen = numbers.read(chosen, wanted, config, config.missing, first)
    return rows.typed(chosen, wanted, config.missing, first)


def roles(data: Data) -> dict[str, str]:
    """What the columns of the source hold but an image, by the names that meaning/values.py has for it."""
    return {**data.columns, data.target: "number" if data.task == "regression" else data.label}


def pinned(model: str, data: Data, pin: dict[str, Any], config: Ingest) -> Iterator[tuple[str, Batches]]:
    """The pinned data: each file's name and its rows. Raises IntegrityError if they differ from the pin."""
    if pin["kind"] != "builtin":
        folder, pictures = sources.source_folder(model), []
        for path in sources.check_files(model, pin):
            if sources.format_of(path) == "image":
                pictures.append(path.relative_to(folder).as_posix())
            else:
                yield path.name, sources.read(path, config.delimiter, config.encoding, config.names, layout=config)
        images.check_places(pictures)
        for place, names in groupby(pictures, key=lambda name: name.rpartition("/")[0]):
            yield f"{place}/", images.read(folder, list(names), data.shape, config.resize)
        return
    table = sources.builtin(pin["name"])
    if (found := sources.builtin_hash(table)) != pin["sha256"]:
        raise IntegrityError(
            f"The built-in set {pin['name']!r} of this scikit-learn is not the pinned one ({found[:12]}, "
            f"pinned {pin['sha256'][:12]}).",
            f"Install the locked packages, or delete {sources.pin_path(model)} to pin the current set.",
        )
    yield pin["source"], table.to_batches()
