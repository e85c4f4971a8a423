"""New: from a file of rows to models/<name>.yaml, with a reason beside every guess."""

import difflib
import os
import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from flows.data.arrivals import checksums, scan
from flows.graph import model_list
from flows.new import column_types, commit, dialect, image_files, rehearsal, time_series, yaml_comments
from flows.new import target as targets
from flows.new.column_types import Column
from flows.new.dialect import Reading
from flows.new.draft import Draft, can_move
from flows.new.image_files import PictureDraft, Pictures
from flows.new.relations import find as relations
from flows.new.relations import problem
from flows.new.relations.sample import Sample
from flows.new.series import readings
from flows.new.series.readings import Grid
from flows.new.target import Target
from flows.new.text_files import meaning, options
from flows.new.time_series import SeriesDraft
from flows.new.told.decided import decided, look
from flows.project import whole_files
from flows.project.environment import Project
from pipelines import model_file, visible_text
from pipelines.check import Check
from pipelines.clean import Clean
from pipelines.config import settings, user_code
from pipelines.config.settings import Data
from pipelines.errors import DataError, RequestError
from pipelines.ingest import Ingest
from pipelines.readers import sources
from pipelines.readers.layout import NO_QUOTES
from pipelines.readers.meaning import value_kinds
from pipelines.readers.reader import Reader
from pipelines.safety import regular_files
from pipelines.table import rows

LOOKED_AT = 200_000  # rows, from the beginning of the file,
MOST_BYTES = 1 << 30  # or as many as take so much memory
MOST_FITTED = 50  # classes that a quick fit tells apart
LONGEST = 1000  # letters of a column's name
MOST_NAMES = 50  # of columns, in a message
INDEX = re.compile(r"__index_level_\d+__|Unnamed: \d+(_level_\d+)?|")  # as pandas names what has no name


@dataclass(frozen=True)
class Wanted:
    """What a person says: the rest is found out."""

    model: str
    data: Path
    target: str
    names: list[str]
    group: list[str]
    kind: str = ""  # table or sequence, where the rows could be either
    horizon: int = 1  # rows ahead, of a sequence
    force: bool = False
    dry_run: bool = False
    commit: bool = False
    given: dict[str, Any] = field(default_factory=dict)  # keys of `ingest:` that say how a file is written


def new(project: Project, wanted: Wanted) -> dict[str, Any]:
    """Write models/<name>.yaml and .py, bring the file to data/incoming/<name>/, list the model in dvc.yaml.

    Everything is found out before anything is written. Raises RequestError for what was asked wrongly, DataError for
    a file that no model can be made of.
    """
    path = settings.FOLDER / f"{settings.check_name(wanted.model)}.yaml"
    if path.exists() and not (wanted.force or wanted.dry_run):
        raise RequestError(f"{path} is there already.", "Choose another name, or add --force to write it anew.")
    if wanted.commit:
        if wanted.dry_run:
            raise RequestError("--dry-run writes nothing, so there is nothing to commit.", "Leave out one of them.")
        commit.check(project, wanted.model)
    if not (wanted.data.is_file() or wanted.data.is_dir()):
        missing = "is no file" if wanted.data.exists() else "does not exist"  # a pipe, a device
        raise RequestError(f"{wanted.data} {missing}.", "Give --data the path of a table, or a folder of images.")
    scan.check_name(wanted.data)
    with options.named():
        draft = drafted(wanted, _source(project, wanted))
    text = _text(wanted, draft)
    model_file.of(wanted.model, yaml_comments.plain(draft.sections()))  # what is written is valid
    if len(text.encode()) > settings.MOST_BYTES:
        raise DataError(
            f"The YAML of {wanted.data.name} would be larger than {settings.MOST_BYTES:,} bytes.",
            "Leave out columns in the source, or shorten their names and words.",
        )
    if not wanted.dry_run:
        _bring(project, wanted)
    files = [] if wanted.dry_run else _write(project, path, text)
    return {
        "format": 1,
        "model": wanted.model,
        "path": str(path),
        "yaml": text,
        "decided": decided(draft),
        "written": not wanted.dry_run,
        "commit": commit.commit(project, wanted.model, files) if wanted.commit else "",
    }


def _write(project: Project, path: Path, text: str) -> list[Path]:
    """The YAML, a Python file beside it if there is none, and the name in dvc.yaml; returns the files of `new`."""
    code, empty = path.with_suffix(".py"), f'"""No code of its own: {path.name} says it all."""\n'
    whole_files.write(path, text)
    if not code.exists():
        whole_files.write(code, empty)
    model_list.add(project, path.stem)
    ours = code.read_bytes() == empty.encode()  # also if an earlier `new` wrote it
    return [path, *([code] if ours else []), Path("dvc.yaml")]


def drafted(wanted: Wanted, source: str) -> Draft:
    """All that is found out about the data. source: as the YAML will name it."""
    if (found := image_files.found(wanted.data)) is not None:
        return of_pictures(wanted, source, found)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # of small products: threads would only wait for each other
        return of_table(wanted, source)


def of_pictures(wanted: Wanted, source: str, found: Pictures) -> Draft:
    table, more = head(found.rows(), wanted.data)
    name = wanted.target or "label"
    _check_names(table, [name], Reading())
    target = targets.target(name, table[name], rows.MISSING, wanted.data.name)
    splits = tuple(table["split"].unique().to_pylist()) if "split" in table.column_names else ()
    draft = PictureDraft(source, Reading(), [], target, len(table), more, pictures=found, splits=splits)
    return _rehearsed(wanted.model, draft, table, wanted.data.name)


def of_table(wanted: Wanted, source: str) -> Draft:
    reader = sources.reader_of(wanted.data)
    if reader is None or reader.shape is not None:
        raise RequestError(f"{wanted.data.name} cannot be read; known: {sources.KNOWN}.", _instead(wanted.data))
    if wanted.given and not (reader.text or "missing" in wanted.given):
        raise RequestError(f"{options.option(next(iter(wanted.given)))} is for text files.", "Leave it out.")
    table, more, reading = read(wanted, reader)
    if not wanted.target:
        raise RequestError(
            "Say which column to predict: --target COLUMN.", f"There are {', '.join(table.column_names)}."
        )
    wanted = replace(wanted, target=_counted(wanted.target, table, reading))
    _check_names(table, [wanted.target, *wanted.group], reading)
    missing = reading.keys.get("missing", rows.MISSING)
    for name in (wanted.target, *wanted.group):
        if why := value_kinds.problem(table[name]):
            raise DataError(f"{wanted.data.name}: {name!r} holds {why}.")
    table, seen, reading = understood(table, reading, wanted, more)
    found = targets.target(wanted.target, seen[wanted.target], missing, wanted.data.name)
    columns = meaning.columns(seen.drop_columns([wanted.target]), reading, missing)
    usable = [_no_index(_usable(column, wanted.target, None), seen) for column in columns]
    sampled = _sampled(wanted.model, Draft(source, reading, usable, found, len(table)), table)
    if sampled and found.label == "integer" and (why := problem.ordered(sampled)):
        found = targets.as_amount(found, why)
        sampled = _sampled(wanted.model, Draft(source, reading, usable, found, len(table)), table)
    grid = readings.found(seen, columns, wanted.target, wanted.horizon) if _may_be_a_series(wanted, found) else None
    if wanted.kind == "sequence" and grid is None:
        raise DataError(
            f"The rows of {wanted.data.name} lie on no regular grid of time.",
            "A sequence needs a column of instants (or their parts: year, month, day ...), most of them one step after "
            "the one before: seconds, or a day, business day, week, month, quarter or year.",
        )
    columns = [_usable(column, wanted.target, grid) for column in columns if not grid or column.name not in grid.parts]
    if grid is not None:
        columns = [readings.role(column, seen) if column.name in grid.series else column for column in columns]
    columns = [_no_index(column, seen) for column in columns]
    about = (source, reading, columns, found, len(table), more, wanted.group)
    draft = Draft(*about) if grid is None else SeriesDraft(*about, grid=grid, horizon=wanted.horizon)
    if grid is None:
        draft = _related(draft, seen, sampled, missing)
    if grid is None and not draft.seen:
        raise DataError(
            f"{wanted.data} has no column to learn from beside {wanted.target!r}: {_reasons(columns)}.", "Add one."
        )
    return _judged(_rehearsed(wanted.model, draft, table, wanted.data.name), sampled)


def _sampled(model: str, draft: Draft, table: pa.Table) -> Sample | None:
    """Some rows of a table that has columns to learn from, and not very many classes."""
    if not draft.seen or len(draft.target.kept) > MOST_FITTED:
        return None
    return rehearsal.sampled(table, *_parsed(model, draft), draft.target)


def _parsed(model: str, draft: Draft) -> tuple[Data, Ingest]:
    data = settings.parse(model, "data", yaml_comments.plain(draft.data()), Data)
    return data, settings.parse(model, "ingest", yaml_comments.plain(draft.ingest()), Ingest)


def _related(draft: Draft, table: pa.Table, sampled: Sample | None, missing: list[str]) -> Draft:
    """The draft with what the columns say of each other, and of the target. table: as it is meant."""
    found = relations.find(table, draft.columns, draft.target, sampled, draft.group, missing)
    moments = found.moments if found.moments is not None and can_move(found.moments) else None
    return replace(draft, columns=found.columns, group=found.group, moments=moments, relations=found)


def _judged(draft: Draft, sampled: Sample | None) -> Draft:
    """The draft with what a constant answer and a quick fit of its columns reach."""
    if sampled is None or draft.relations is None:
        return draft
    left = sampled.without([column.name for column in draft.left_out] + draft.group)
    if draft.target.classes:
        return replace(draft, judged=problem.of_classes(left, draft.metrics, draft.uneven))
    return replace(draft, judged=problem.of_numbers(left, draft.metrics))


def read(wanted: Wanted, reader: Reader) -> tuple[pa.Table, bool, Reading]:
    """The first rows, whether there are more, and how they are read.

    Quotes that close nowhere are letters like others, where several lines have some and all lines are rows without.
    """
    if not reader.named:
        reading = Reading(wanted.given)
        return *head(_batches(wanted.data, reading), wanted.data), reading
    reading = dialect.sniff(wanted.data, wanted.names, wanted.target, wanted.given)
    try:
        return *head(_batches(wanted.data, reading), wanted.data), reading
    except DataError as error:
        without = reading.with_key("quote", NO_QUOTES, "a quote is not closed, so they are letters like others")
        if "quote" in reading.keys or not dialect.has_quotes(wanted.data, reading.keys.get("encoding", "utf-8")):
            raise
        with suppress(DataError):
            return *head(_batches(wanted.data, without), wanted.data), without
        raise error


def _batches(path: Path, reading: Reading) -> Iterable[pa.RecordBatch]:
    config = Ingest.model_validate({"source": "-", **yaml_comments.plain(reading.keys)})
    return sources.read(path, config.delimiter, config.encoding, config.names, layout=config)


def understood(table: pa.Table, reading: Reading, wanted: Wanted, more: bool) -> tuple[pa.Table, pa.Table, Reading]:
    """The rows as the file has them, the same as they are meant, and the reading with the keys that say so."""
    given, missing = wanted.given, reading.keys.get("missing", rows.MISSING)
    if sources.reader_of(wanted.data) == sources.READERS["csv"]:
        table, reading = meaning.rows(table, reading, given)
    seen, reading = meaning.numbers(table, reading, wanted.target, given, missing)
    if not more and sources.reader_of(wanted.data) == sources.READERS["csv"]:
        table, seen, reading = meaning.total(table, seen, reading, given)
    if "decimal" in reading.keys and sources.reader_of(wanted.data) == sources.READERS["lines"]:
        table, _ = head(_batches(wanted.data, reading), wanted.data)
    seen, reading = meaning.instants(seen, reading, wanted.target, missing)
    seen, reading = meaning.without_marks(seen, reading, missing)
    return table, seen, reading


def _counted(target: str, table: pa.Table, reading: Reading) -> str:
    """The target, which may be counted where the file has no names: 1 is the first column, -1 the last."""
    names = table.column_names
    if target in names or not reading.why.get("names") or not re.fullmatch(r"-?[1-9]\d*", target):
        return target
    place = int(target)
    return names[place - 1 if place > 0 else place] if abs(place) <= len(names) else target


def head(batches: Iterable[pa.RecordBatch], path: Path) -> tuple[pa.Table, bool]:
    """The first rows, as the source has them, and whether there are more."""
    found, count, size = [], 0, 0
    for batch in batches:
        found.append(batch)
        count, size = count + batch.num_rows, size + batch.nbytes
        if count > LOOKED_AT or size > MOST_BYTES:
            return pa.Table.from_batches(found).slice(0, LOOKED_AT), True
    if not count:
        raise DataError(f"{path} holds no row.", "Put rows into it.")
    return pa.Table.from_batches(found), False


def _check_names(table: pa.Table, wanted: list[str], reading: Reading) -> None:
    """wanted: the target, and what rows are grouped by. Raises RequestError for a name that cannot be meant."""
    there = table.column_names
    rows.check_columns(there, there)
    for name in wanted:
        if name not in there:
            raise RequestError(f"There is no column {name!r}{_near(name, there)}.", _read_as(there, reading))
        if _means_something(name):
            raise RequestError(f"The column {name!r} has a name with a meaning of its own here.", "Rename it.")
    for name in there:
        if len(name) > LONGEST:
            raise DataError(
                f"A column has a name of {len(name):,} letters: {name[:40]}...", "Shorten it in the source."
            )
    if wanted[0] in wanted[1:]:
        raise RequestError(f"{wanted[0]!r} is the --target, and cannot be a --group too.", "Choose another one.")


def _near(name: str, there: list[str]) -> str:
    """The end of a sentence about an unknown column: a similar one, or all of them in their order."""
    near = difflib.get_close_matches(name, there, n=1)
    shown = ", ".join(there[:MOST_NAMES]) + (f" and {len(there) - MOST_NAMES} more" if len(there) > MOST_NAMES else "")
    return f" (did you mean {near[0]!r}?)" if near and not name.lstrip("-").isdecimal() else f" (known: {shown})"


def _read_as(there: list[str], reading: Reading) -> str:
    """What else may be wrong with how a text was read, where a column is not in it."""
    if reading.why.get("names"):
        return (
            "The first line was taken for a row: where it holds names, one of them is to be the --target. Where it "
            "does not, --target may count: 1 is the first column, -1 the last."
        )
    parted = "Cells are parted by a comma, a semicolon, a tab or |: here are none. Another sign: --delimiter."
    return parted if len(there) == 1 else ""


def _means_something(name: str) -> bool:
    return name in ("", "row_id") or name.startswith(user_code.OWN)


def _rehearsed(model: str, draft: Draft, table: pa.Table, where: str) -> Draft:
    """The draft with the seed and the limits that its own data need, and without what gives the target away."""
    while True:
        data, ingest = _parsed(model, draft)
        raw = rehearsal.typed(table, data, ingest, where)
        raw = rehearsal.without_rare(raw, draft.target)
        draft = replace(draft, seed=rehearsal.best_seed(raw, draft.target.name, draft.group))
        clean = settings.parse(model, "clean", yaml_comments.plain(draft.clean()), Clean)
        try:
            found = rehearsal.rehearse(raw, data, clean)
        except DataError as error:
            if draft.moments is None:
                raise _too_few(error, draft) from error
            draft = replace(draft, moments=None)  # a split by time may leave a class out
            continue
        leaking = {name: score for name, score in found.leakage.items() if score > Check().leakage}
        if not leaking or len(leaking) == len(draft.seen):
            return replace(draft, found=found)
        columns = [_leaking(column, leaking) for column in draft.columns]
        draft = replace(draft, columns=columns)


def _too_few(error: DataError, draft: Draft) -> DataError:
    what, known = error.what, draft.relations
    if known and known.equal == "keep":
        what += f" Only {known.different:,} rows are different, and equal ones lie in one split."
    return DataError(what, "Bring more rows, or put rare classes together in the source.")


def _leaking(column: Column, scores: dict[str, float]) -> Column:
    if column.name not in scores:
        return column
    return column_types.left_out(
        column, f"gives the target away by itself (score {scores[column.name]:.4f}): a copy of it?"
    )


def _usable(column: Column, target: str, grid: Grid | None) -> Column:
    """The column, left out if its name has another meaning, or if it is a second date in a series."""
    if _means_something(column.name) or column.name == f"past_{target}":
        return column_types.left_out(
            column, "it has no name" if not column.name else "its name has a meaning of its own here"
        )
    return column if grid is None else time_series.usable(column, grid, target)


def _no_index(column: Column, table: pa.Table) -> Column:
    """The column, left out if it is an index that pandas wrote: it counts rows, and its name says so."""
    if column.role != "number" or not INDEX.fullmatch(column.name):
        return column
    values = pd.to_numeric(column_types.cells(table[column.name], rows.MISSING), errors="coerce")
    counts = values.notna().all() and values.is_unique and bool((values == values.round()).all())
    why = "an index that pandas wrote beside the columns, different in every row"
    return column_types.left_out(column, why) if counts else column


def _may_be_a_series(wanted: Wanted, found: Target) -> bool:
    return wanted.kind != "table" and found.task == "regression"


def _instead(path: Path) -> str:
    return sources.OTHERS.get(path.suffix.lower(), "Save it as CSV in UTF-8.")


def _reasons(columns: list[Column]) -> str:
    return "; ".join(f"{column.name!r}: {column.why}" for column in columns[:5]) or "it has no other"


def _text(wanted: Wanted, draft: Draft) -> str:
    first = "the first " if draft.more else ""
    head = (
        f"{wanted.model}: predicts {draft.target.name!r}. Written by `ratchet new` on {datetime.now(UTC):%Y-%m-%d}\n"
        f"from {first}{draft.rows:,} rows of {wanted.data.name}. What stands behind a # is why.\n"
        f"Correct what is wrong: `ratchet plan {wanted.model}` says what would run again."
    )
    head += "".join(f"\nLook at this: {visible_text.line(sentence)}." for sentence in look(draft))
    return yaml_comments.text(head, draft.sections())


def _source(project: Project, wanted: Wanted) -> str:
    """Where the model will read: in place what lies under data/, else a folder to which it is copied."""
    if wanted.data.resolve().is_relative_to(project.root / "data"):
        return str(wanted.data.resolve().relative_to(project.root))
    return f"data/incoming/{wanted.model}/"


def _bring(project: Project, wanted: Wanted) -> None:
    """Copy file or folder to where the model's data arrive; a file's sum beside it says that it is whole."""
    if wanted.data.resolve().is_relative_to(project.root / "data"):
        return
    folder = project.root / "data" / "incoming" / wanted.model
    if wanted.data.is_dir():
        for path in scan.listed(wanted.data, [wanted.data]):
            target = folder / path.relative_to(wanted.data)
            target.parent.mkdir(parents=True, exist_ok=True)
            regular_files.copy(path, target, [wanted.data])
        return
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{wanted.data.name}.partial"
    digest = regular_files.copy(wanted.data, partial)
    whole_files.write(folder / f"{wanted.data.name}.sha256", checksums.ours(digest, wanted.data.name))
    os.replace(partial, folder / wanted.data.name)
