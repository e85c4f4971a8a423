"""Clean: remove the rows that cannot be used, and put every other row into one split.

    python -m pipelines clean digits

    data/<model>/raw.parquet, quarantine.parquet, pin.json
        ->  train.parquet, validation.parquet, test.parquet, clean.json

No value changes here: only the model changes values. The split of a row depends only on the seed and the row, so new
rows, another order or copies never move an old row. By time a row may move on, from test over validation to train, but
never back (time_edges.py). Rows keep their order, except in the training split of a large table (shuffled.py). A row
without a target is removed (`validate` stops at one, unless the model's YAML says otherwise). The rows of a sequence
become windows (windows.py), each in the split of the row that it predicts.
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.config import settings, user_code
from pipelines.config.data import Data
from pipelines.config.section import Section
from pipelines.config.settings import FORMAT
from pipelines.config.stage import Stage
from pipelines.errors import DataError
from pipelines.table import id_sets, row_groups, rows, shuffled, splits, time_edges
from pipelines.table.series import windows
from pipelines.table.splits import SPLITS, Split, TimeSplit
from pipelines.table.time_edges import Edges


class Clean(Section):
    """Which rows are used, and for which split."""

    duplicates: Literal["drop", "keep"] = "drop"
    """Whether repeated rows are dropped."""
    event: list[str] = []
    """Columns that name an event. Of several rows of one event only the newest counts: that of the file that arrived
    last, and in a file the last one. A row that lacks one of these columns is an event of its own."""
    missing: Literal["keep", "drop"] = "keep"
    """Whether rows that lack a feature are dropped. If they are kept, the model fills the gap."""
    split: Split
    """How the rows are divided into training, validation and test. A sequence is split by time."""


STAGE = Stage("clean", Clean, after="validate", refuses_data=True)


def run(model: str) -> None:
    data = settings.load(model, "data", Data)
    config = settings.load(model, "clean", Clean)
    folder = Path("data") / model
    moving = config.split.moving if isinstance(config.split, TimeSplit) else None
    former = time_edges.carried(folder / "pin.json", moving) if moving else None
    report = clean(folder, data, config, user_code.chooser(model), former, f"models/{model}.yaml")
    check_report(report, data, config, f"models/{model}.yaml")
    (folder / "clean.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def clean(
    folder: Path,
    data: Data,
    config: Clean,
    keeps: user_code.Chooser | None = None,
    former: Edges | None = None,
    where: str = "the model's YAML",
) -> dict[str, Any]:
    """Write the three splits; returns the report: hashes, rows and targets of each split, rows removed and why.

    keeps: chooses the rows to use, by the model's own code; former: the edges of the version of the data before;
    where: the file that declares the split, for messages.
    """
    raw = folder / "raw.parquet"
    data_hash, repeated = id_sets.survey(raw)
    aside = id_sets.marked(raw, folder / "quarantine.parquet")
    leaving = Leaving((aside, older(raw, config.event) if config.event else repeated), keeps)
    config, edges = settled(raw, data, config, leaving, former, where)
    cut = shuffled.cut(raw, data)
    row_groups.check_space(folder, raw.stat().st_size + cut.room)
    removed: Counter[str] = Counter()
    targets: dict[str, dict[str, Any]] = {name: {} for name in SPLITS}
    with ExitStack() as stack:
        files = {name: stack.enter_context(writer(folder / f"{name}.parquet", data, cut.parts)) for name in SPLITS}
        kept = windowed if data.kind == "sequence" else alone
        for batch in kept(raw, data, config, leaving, removed):
            for name, chosen in splits.divide(batch, config.split).items():
                files[name].write(chosen)
                note(targets[name], chosen[data.target], data)
    return {
        "format": FORMAT,
        "data_hash": data_hash,
        **edges,
        "rows": {
            "raw": row_groups.rows(raw),
            "removed": {why: removed[why] for why in sorted(removed) if removed[why]},
        },
        "splits": {
            name: {
                "rows": files[name].rows,
                "hash": id_sets.survey(folder / f"{name}.parquet")[0],
                **{key: targets[name][key] for key in sorted(targets[name])},
            }
            for name in SPLITS
        },
    }


def older(raw: Path, event: list[str]) -> id_sets.Marks:
    """Which rows have a newer one of the same event. Files lie in the order of their arrival (the pin), so it is the
    last one that counts."""

    def read() -> Iterator[np.ndarray]:
        return (splits.events(batch, event) for batch in row_groups.batches(raw, ["row_id", *event]))

    return id_sets.followed(read, row_groups.rows(raw))


def writer(path: Path, data: Data, parts: int) -> AbstractContextManager[row_groups.Writer | shuffled.Ordered]:
    """The writer of a split, beside raw.parquet. parts: the number of parts of a large table, else 1."""
    schema = row_groups.with_metadata(rows.split_schema(data), row_groups.metadata(path.with_name("raw.parquet")))
    large = parts > 1 and path.stem == "train"
    return shuffled.Ordered(path, schema, parts) if large else row_groups.Writer(path, schema)


@dataclass(frozen=True)
class Leaving:
    """Reasons to leave rows out besides their values: set aside, a repeated row (or one of an event that has a newer
    one), or the model's own code."""

    marked: tuple[id_sets.Marks, id_sets.Marks]
    keeps: user_code.Chooser | None


def alone(
    raw: Path, data: Data, config: Clean, leaving: Leaving, removed: Counter[str], words: tuple[str, ...] = ()
) -> Iterator[pa.RecordBatch]:
    """The rows that stay, without windows. removed: counts the reasons of the others. words: reasons to ignore."""
    start = 0
    for batch in row_groups.batches(raw):
        here = (start, start + batch.num_rows)
        start = here[1]
        reason = reasons(batch, data, config, *(marks.between(*here) for marks in leaving.marked))
        reason[np.isin(reason, words)] = ""
        if leaving.keeps is not None:
            reason[(reason == "") & ~leaving.keeps(batch)] = "own code"
        removed.update(word for word in reason.tolist() if word)
        yield batch.filter(pa.array(reason == ""))


def windowed(raw: Path, data: Data, config: Clean, leaving: Leaving, removed: Counter[str]) -> Iterator[pa.RecordBatch]:
    """The windows that stay. A row that lacks values is still part of other rows' windows."""

    def read() -> Iterator[pa.RecordBatch]:
        removed.clear()  # it is read more than once
        return alone(raw, data, config, leaving, removed, ("missing target", "missing value"))

    lost: Counter[str] = Counter()
    for table in windows.windows(read, data, raw.parent, lost):
        whole = np.ones(table.num_rows, bool)
        if config.missing == "drop":
            for name in (*data.past_numbers, *data.past_categories):
                whole &= windows.present(table[name]).all(axis=1)
        lost["missing value"] += int((~whole).sum())
        yield from table.filter(pa.array(whole)).combine_chunks().to_batches()
    removed.update(lost)


def settled(
    raw: Path, data: Data, config: Clean, leaving: Leaving, former: Edges | None, where: str
) -> tuple[Clean, dict[str, Any]]:
    """The settings with fixed instants, and the edges for the report; a split that does not move stays as it is.

    They come from the rows that a split can hold. Of a sequence these are the rows with a target: those of its
    beginning, which have no window, count too. Raises DataError for what is no date, and for too few rows.
    """
    split = config.split
    if not isinstance(split, TimeSplit) or (moving := split.moving) is None:
        return config, {}
    ignored = ("missing value",) if data.kind == "sequence" else ()
    read = alone(raw, data, config, leaving, Counter(), ignored)
    times = np.concatenate([np.empty(0, np.int64), *(splits.times(batch, moving.column) for batch in read)])
    edges = time_edges.settle(times, moving, former, where, moving.column in data.sensitive)
    return config.model_copy(update={"split": split.at(edges)}), {"edges": edges.content(moving)}


def note(seen: dict[str, Any], target: pa.Array, data: Data) -> None:
    """Add the targets of some rows to a split's record: rows of each class, or the smallest and largest number."""
    if data.task == "classification":
        counts = Counter(seen.get("classes", {})) + Counter(str(value) for value in target.to_pylist())
        seen["classes"] = dict(sorted(counts.items()))
    elif len(target):
        low, high = pc.min_max(target).as_py().values()
        seen["smallest"] = min(low, seen.get("smallest", low))
        seen["largest"] = max(high, seen.get("largest", high))


def reasons(batch: pa.RecordBatch, data: Data, config: Clean, aside: np.ndarray, repeated: np.ndarray) -> np.ndarray:
    """Why each row is removed [rows]: an empty word for one that stays. aside, repeated: [rows, bool]; with `event`
    repeated are the rows of an event that has a newer one."""
    reason = np.full(batch.num_rows, "", dtype="<U20")
    if config.missing == "drop":
        for name in data.shown:
            reason[_is_null(batch[name])] = "missing value"
    reason[_is_null(batch[data.target])] = "missing target"
    if config.event:
        reason[repeated] = "replaced"
    elif config.duplicates == "drop":
        reason[repeated] = "duplicate"
    reason[aside] = "quarantined"
    return reason


def _is_null(column: pa.Array) -> np.ndarray:
    return np.asarray(pc.is_null(column).to_numpy(zero_copy_only=False))


def check_report(report: dict[str, Any], data: Data, config: Clean, where: str) -> None:
    """Raises DataError if a split is empty or lacks a class of another split, or if all targets are equal."""
    again = _repair(config, where)
    found = report["splits"]
    for name in SPLITS:
        if not found[name]["rows"]:
            removed = ", ".join(f"{count} {why}" for why, count in report["rows"]["removed"].items()) or "none"
            raise DataError(f"The {name} split is empty: {report['rows']['raw']} raw rows, removed: {removed}.", again)
    if data.task == "classification":
        _check_classes({name: found[name]["classes"] for name in SPLITS}, data, again)
    elif found["train"]["smallest"] == found["train"]["largest"]:
        raise DataError(
            f"The target {data.target!r} is {found['train']['smallest']} in every training row: there is nothing to "
            "learn.",
            "Add rows with another value to the source.",
        )


def _check_classes(classes: dict[str, dict[str, int]], data: Data, again: str) -> None:
    every = sorted(set().union(*classes.values()))
    if len(every) < 2:
        raise DataError(
            f"The target {data.target!r} has one class, {every[0]!r}: there is nothing to learn.",
            "Add rows of another class to the source.",
        )
    for name, present in classes.items():
        if absent := [label for label in every if label not in present]:
            raise DataError(f"The {name} split has no row of class {', '.join(map(repr, absent))}.", again)


def _repair(config: Clean, where: str) -> str:
    if isinstance(config.split, TimeSplit) and config.split.moving:
        return f"Write larger windows under clean.split in {where} (validation, test), or add rows."
    if isinstance(config.split, TimeSplit):
        return f"Move clean.split.validation_from or test_from in {where}, or add rows."
    return f"Change clean.split.seed (now {config.split.seed}) or the shares in {where}, or add rows."
