"""New: from a file of rows to models/<name>.yaml, with a reason beside every guess."""

import os
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from flows import commented, listed, profile, rehearsal, sniff
from flows import target as targets
from flows.draft import Draft
from flows.environment import Project
from flows.profile import Column
from pipelines import rows, settings, sources
from pipelines.check import Check
from pipelines.clean import Clean
from pipelines.errors import DataError, RequestError
from pipelines.ingest import Ingest
from pipelines.settings import Data

LOOKED_AT = 200_000  # rows, from the beginning of the file


@dataclass(frozen=True)
class Wanted:
    """What a person says: the rest is found out."""

    model: str
    data: Path
    target: str
    names: list[str]
    group: list[str]
    force: bool = False
    dry_run: bool = False


def new(project: Project, wanted: Wanted) -> dict[str, Any]:
    """Write models/<name>.yaml and .py, bring the file to data/incoming/<name>/, list the model in dvc.yaml.

    Everything is found out before anything is written. Raises RequestError for what was asked wrongly, DataError for
    a file that no model can be made of.
    """
    path = settings.FOLDER / f"{settings.check_name(wanted.model)}.yaml"
    if path.exists() and not (wanted.force or wanted.dry_run):
        raise RequestError(f"{path} is there already.", "Choose another name, or add --force to write it anew.")
    if not wanted.data.is_file():
        raise RequestError(f"{wanted.data} is no file.", "Give --data the path of a table.")
    draft = drafted(wanted, _source(project, wanted))
    text = _text(wanted, draft)
    answer = {"format": 1, "model": wanted.model, "path": str(path), "yaml": text, "written": not wanted.dry_run}
    if not wanted.dry_run:
        _bring(project, wanted)
        _write(path, text)
        if not path.with_suffix(".py").exists():
            _write(path.with_suffix(".py"), f'"""No code of its own: {path.name} says it all."""\n')
        listed.add(project, wanted.model)
    return answer


def drafted(wanted: Wanted, source: str) -> Draft:
    """All that is found out about the file. source: as the YAML will name it."""
    reading = sniff.sniff(wanted.data, wanted.names) if sources.format_of(wanted.data) == "csv" else sniff.Reading()
    table, more = head(wanted.data, reading)
    _check_names(table, [wanted.target, *wanted.group])
    found = targets.target(wanted.target, table[wanted.target], rows.MISSING, wanted.data.name)
    columns = profile.columns(table.drop_columns([wanted.target]), rows.MISSING)
    draft = Draft(source, reading, columns, found, len(table), more, wanted.group)
    if not draft.seen:
        raise DataError(
            f"{wanted.data} has no column to learn from beside {wanted.target!r}: {_reasons(columns)}.", "Add one."
        )
    return _rehearsed(draft, table, wanted.data.name)


def head(path: Path, reading: sniff.Reading) -> tuple[pa.Table, bool]:
    """The first rows of a file, as it has them, and whether there are more."""
    found, count = [], 0
    config = Ingest.model_validate({"source": "-", **reading.keys})
    for batch in sources.read(path, config.delimiter, config.encoding, config.names):
        found.append(batch)
        count += batch.num_rows
        if count > LOOKED_AT:
            return pa.Table.from_batches(found).slice(0, LOOKED_AT), True
    if not count:
        raise DataError(f"{path} holds no row.", "Put rows into it.")
    return pa.Table.from_batches(found), False


def _check_names(table: pa.Table, wanted: list[str]) -> None:
    rows.check_columns(table.column_names, table.column_names)
    for name in wanted:
        if name not in table.column_names:
            raise RequestError(f"There is no column {name!r}{settings.nearest(name, table.column_names)}.")


def _rehearsed(draft: Draft, table: pa.Table, where: str) -> Draft:
    """The draft with the seed and the limits that its own data need, and without what gives the target away."""
    while True:
        data = Data.model_validate(commented.plain(draft.data()))
        ingest = Ingest.model_validate(commented.plain(draft.ingest()))
        raw = rehearsal.typed(table, data, ingest, where)
        raw = rehearsal.without_rare(raw, draft.target)
        seed = rehearsal.best_seed(raw, draft.target.name, draft.group)
        clean = Clean.model_validate({"split": replace(draft, seed=seed).split()})
        found = rehearsal.rehearse(raw, data, clean)
        leaking = {name: score for name, score in found.leakage.items() if score > Check().leakage}
        if not leaking or len(leaking) == len(draft.seen):
            return replace(draft, seed=seed, found=found)
        columns = [_leaking(column, leaking) for column in draft.columns]
        draft = replace(draft, columns=columns)


def _leaking(column: Column, scores: dict[str, float]) -> Column:
    if column.name not in scores:
        return column
    return profile.left_out(column, f"gives the target away by itself (score {scores[column.name]:.4f}): a copy of it?")


def _reasons(columns: list[Column]) -> str:
    return "; ".join(f"{column.name!r}: {column.why}" for column in columns[:5]) or "it has no other"


def _text(wanted: Wanted, draft: Draft) -> str:
    first = "the first " if draft.more else ""
    head = (
        f"{wanted.model}: predicts {wanted.target!r}. Written by `ratchet new` on {datetime.now(UTC):%Y-%m-%d}\n"
        f"from {first}{draft.rows:,} rows of {wanted.data.name}. What stands behind a # is why.\n"
        f"Correct what is wrong: `ratchet plan {wanted.model}` says what would run again."
    )
    return commented.text(head, draft.sections())


def _source(project: Project, wanted: Wanted) -> str:
    """Where the model will read: the file in place if it lies in the project, else a folder that it is copied to."""
    if wanted.data.resolve().is_relative_to(project.root):
        return str(wanted.data.resolve().relative_to(project.root))
    return f"data/incoming/{wanted.model}/"


def _bring(project: Project, wanted: Wanted) -> None:
    """Copy the file into the folder of arrivals; its sum beside it says that it is whole."""
    if wanted.data.resolve().is_relative_to(project.root):
        return
    folder = project.root / "data" / "incoming" / wanted.model
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / f".{wanted.data.name}.partial"
    shutil.copyfile(wanted.data, partial)
    digest = sources.file_hash(partial)
    _write(folder / f"{wanted.data.name}.sha256", f"{digest}  {wanted.data.name}\n")
    os.replace(partial, folder / wanted.data.name)


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
