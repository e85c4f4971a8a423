"""The wanted rows in the sources of a model and in every version of its data: who they are, and by what they show.

A value tells of a person if only their rows have it, and if it is long enough to be nobody else's by chance: a name, an
address, an exact amount. It may stand in a profile, a report or a log, where no row is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from flows.data.arrivals import scan
from flows.forget import reading
from flows.forget.wanted import Wanted
from flows.project.environment import Project
from pipelines import ingest
from pipelines.model_file import Declaration
from pipelines.readers import images, sources

LETTERS, DIGITS = 6, 5  # of a text and of a number that tell of a person
LARGEST = 1_000_000  # values that tell of a person: what more there are is not searched for
Rows = Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]  # as they are in the source, and typed


@dataclass
class Held:
    """row_ids: of the wanted rows. values: that tell of them, as text. columns, asked: the columns that the log has of
    a row, and the identities by them that only wanted rows have. events: by `labels: key:`. files: rows of each
    file."""

    row_ids: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    columns: list[str] = field(default_factory=list)
    asked: set[str] = field(default_factory=set)
    events: set[str] = field(default_factory=set)
    files: dict[Path, int] = field(default_factory=dict)

    def mask(self, wanted: Wanted, raw: pa.RecordBatch, typed: pa.RecordBatch) -> np.ndarray:
        """Which rows are wanted [rows, bool]: by their key in the source or as ingested, or by an identity known."""
        ids = np.array([one in self.row_ids for one in typed["row_id"].to_pylist()], bool)
        return np.asarray(wanted.mask(raw) | wanted.mask(typed) | ids)


def look(project: Project, declared: Declaration, wanted: Wanted, versions: Sequence[Path]) -> Held:
    """versions: files with rows as ingested, raw.parquet of every version of the data that is kept."""
    found = Held(columns=[] if declared.data.kind == "image" else list(declared.data.kept))
    found.events = wanted.events(declared.labels.key) if declared.labels.key else set()
    if wanted.columns == ("row_id",):
        found.row_ids |= {key for (key,) in wanted.keys}
    telling, asked = {str(value) for key in wanted.given for value in key if len(value) >= LETTERS}, set[str]()
    telling |= {value for key in wanted.keys for value in key if len(value) >= LETTERS}
    identity = reading.of(declared, found.columns) if found.columns and declared.data.kind == "table" else None
    for path, batches in _all(project, declared, versions):
        for raw, typed in batches:
            mask = found.mask(wanted, raw, typed)
            chosen = typed.filter(pa.array(mask))
            if not chosen.num_rows:
                continue
            found.files[path] = found.files.get(path, 0) + chosen.num_rows
            found.row_ids |= set(chosen["row_id"].to_pylist())
            telling |= {"/".join(path.parts[-2:])} if images.is_image(path) else set()
            telling |= set(_values(chosen)) if len(telling) < LARGEST else set()
            asked |= set(identity.identities(chosen)) if identity else set()
    if found.files:
        _without_others(project, declared, wanted, versions, found, telling, asked)
    found.values, found.asked = telling, asked
    return found


def _without_others(
    project: Project,
    declared: Declaration,
    wanted: Wanted,
    versions: Sequence[Path],
    found: Held,
    telling: set[str],
    asked: set[str],
) -> None:
    """Take out what other rows have too: it tells of nobody."""
    identity = reading.of(declared, found.columns) if asked else None
    for _, batches in _all(project, declared, versions):
        for raw, typed in batches:
            others = typed.filter(pa.array(~found.mask(wanted, raw, typed)))
            if others.num_rows:
                telling.difference_update(_values(others))
                asked.difference_update(identity.identities(others) if identity else ())


def files(project: Project, declared: Declaration) -> list[Path]:
    """The files of the source that lie inside the project; [] for a built-in set, and for a source that is followed."""
    source = declared.ingest.source
    if source.startswith("builtin:") or sources.followed(source):
        return []
    place = scan.place(project, source)
    return _tables(place) if place.is_dir() else [place] if place.is_file() else []


def folder(project: Project, declared: Declaration) -> Path:
    """The folder of the source's files."""
    place = scan.place(project, declared.ingest.source)
    return place if place.is_dir() else place.parent


def pinned(project: Project, model: str) -> list[Path]:
    """The pinned copies, in all working trees of this clone."""
    places = [root / sources.source_folder(model) for root in trees(project)]
    return [path for place in places if place.is_dir() for path in _tables(place)]


def trees(project: Project) -> list[Path]:
    """The working trees of this clone that may hold data of a model."""
    return list(dict.fromkeys([project.home, project.root, *([project.worktree] if project.worktree.is_dir() else [])]))


def rows_of(path: Path, place: Path, declared: Declaration) -> Rows:
    """The rows of one file of a source, as they are there and typed. place: the folder of the source."""
    config = declared.ingest
    if images.is_image(path):
        name = path.relative_to(place).as_posix()
        content: Iterator[pa.RecordBatch] = images.read(place, [name], declared.data.shape, config.resize)
    else:
        content = sources.read(path, config.delimiter, config.encoding, config.names, layout=config)
    first = 1
    for raw in content:
        for typed in ingest.ingest([raw], declared.data, config, str(path), first):
            yield raw, typed
        first += raw.num_rows


def _all(project: Project, declared: Declaration, versions: Sequence[Path]) -> Iterator[tuple[Path, Rows]]:
    for path in files(project, declared):
        yield path, rows_of(path, folder(project, declared), declared)
    for root in trees(project):
        place = root / sources.source_folder(declared.model)
        for path in _tables(place) if place.is_dir() else []:
            yield path, rows_of(path, place, declared)
    for path in versions:
        yield path, ((batch, batch) for batch in pq.ParquetFile(path).iter_batches())


def _tables(place: Path) -> list[Path]:
    """The files of a folder that a reader reads."""
    there = chain(place.iterdir(), images.listed(place))
    return sorted(path for path in there if path.is_file() and sources.format_of(path))


def _values(batch: pa.RecordBatch) -> Iterator[str]:
    """The values of some rows that are long enough, as text."""
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if name != "row_id" and (tell := _telling(column.type)) is not None:
            yield from filter(None, map(tell, column.unique().to_pylist()))


def _telling(kind: pa.DataType) -> Callable[[object], str] | None:
    """How a value becomes a text by which it can be found; "" for one that is too short."""
    if pa.types.is_string(kind):
        return lambda value: value if isinstance(value, str) and len(value) >= LETTERS else ""
    return _number if pa.types.is_floating(kind) else None


def _number(value: object) -> str:
    text = repr(value) if isinstance(value, float) else ""
    text = text.removesuffix(".0")
    digits = text.partition("e")[0].lstrip("-0.").replace(".", "")
    return text if len(digits) >= DIGITS and not text.endswith("000") else ""
