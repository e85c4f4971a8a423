"""New: from a file of rows to models/<name>.yaml, with a reason beside every guess."""

import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from flows.data.arrivals import checksums, scan
from flows.graph import model_list
from flows.new import column_types, commit, first_rows, image_files, rehearsal, yaml_comments
from flows.new import target as targets
from flows.new.column_types import Column
from flows.new.draft import Draft, can_move
from flows.new.image_files import PictureDraft, Pictures
from flows.new.relations import find as relations
from flows.new.relations import problem
from flows.new.relations.sample import Sample
from flows.new.series import readings, series_draft
from flows.new.series.readings import Grid
from flows.new.series.series_draft import SeriesDraft
from flows.new.target import Target
from flows.new.text_files import meaning, options
from flows.new.text_files.dialect import Reading
from flows.new.told.decided import decided, look
from flows.new.wanted import Wanted
from flows.project import whole_files
from flows.project.environment import Project
from pipelines import model_file, visible_text
from pipelines.check import Check
from pipelines.clean import Clean
from pipelines.config import settings
from pipelines.config.data import Data
from pipelines.errors import DataError, RequestError
from pipelines.ingest import Ingest
from pipelines.readers import sources
from pipelines.readers.meaning import value_kinds
from pipelines.safety import regular_files
from pipelines.table import rows

MOST_FITTED = 50  # classes that a quick fit tells apart
INDEX = re.compile(r"__index_level_\d+__|Unnamed: \d+(_level_\d+)?|")  # as pandas names what has no name


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
    table, more = first_rows.head(found.rows(), wanted.data)
    name = wanted.target or "label"
    first_rows.check_names(table, [name], Reading())
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
    table, more, reading = first_rows.read(wanted, reader)
    if not wanted.target:
        raise RequestError(
            "Say which column to predict: --target COLUMN.", f"There are {', '.join(table.column_names)}."
        )
    wanted = replace(wanted, target=first_rows.counted(wanted.target, table, reading))
    first_rows.check_names(table, [wanted.target, *wanted.group], reading)
    missing = reading.keys.get("missing", rows.MISSING)
    for name in (wanted.target, *wanted.group):
        if why := value_kinds.problem(table[name]):
            raise DataError(f"{wanted.data.name}: {name!r} holds {why}.")
    table, seen, reading = first_rows.understood(table, reading, wanted, more)
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
    if first_rows.means_something(column.name) or column.name == f"past_{target}":
        return column_types.left_out(
            column, "it has no name" if not column.name else "its name has a meaning of its own here"
        )
    return column if grid is None else series_draft.usable(column, grid, target)


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
