"""A reader turns one kind of file into rows. formats/ has one module for each kind."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from pipelines.readers.layout import Layout


@dataclass(frozen=True)
class Options:
    """How a file is read, as its model declares it.

    names: of the columns of a CSV file without a header. layout: how text is written. labelled: whether images need
    labels.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    names: Sequence[str] = ()
    labelled: bool = True
    layout: Layout = field(default_factory=Layout)


@dataclass(frozen=True)
class Reader:
    name: str
    read: Callable[[Path, Options], Iterator[pa.RecordBatch]]
    suffixes: tuple[str, ...] = ()  # in lower case, by which such a file is known,
    claims: Callable[[Path], bool] = lambda path: False  # or by its whole name
    text: bool = False  # lines of text, which may be gzipped: then .gz follows the suffix
    named: bool = False  # whether it takes names of columns
    rows: Callable[[Path], int] | None = None  # how many there are, if the file says so
    shape: Callable[[Path], list[int]] | None = None  # [height, width, channels], of a file of images
    repair: str = "Correct the file, or `ingest:` in the model's YAML."
