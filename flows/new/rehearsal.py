"""Rehearsal: the first stages, tried in a temporary folder on the rows that were looked at.

So what `ratchet new` writes is known to work: columns fit their types, every class is in every split, and the limits of
`check` are set where the data are.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from flows.new import recipe
from flows.new.relations import sample
from flows.new.relations.sample import Sample
from flows.new.target import Target
from flows.project import scratch
from pipelines import check, clean, ingest
from pipelines.check import Check
from pipelines.clean import Clean
from pipelines.config.data import Data
from pipelines.errors import DataError
from pipelines.ingest import Ingest
from pipelines.table import row_groups, rows
from pipelines.table.splits import HashSplit
from pipelines.validate import QUARANTINE

ENOUGH = 50_000  # rows from which the first seed of a split is as good as any
SEEDS = 20  # of a split that are tried with so many rows; of fewer more, which differ more
MOST_SEEDS = 1000
TENTHS = 10  # of a number that is predicted: treated as classes here


@dataclass(frozen=True)
class Rehearsed:
    rows: dict[str, int]  # of each split
    removed: dict[str, int]  # rows, by reason
    overlap: dict[str, float]  # by split, as `check` reports it
    leakage: dict[str, float]  # by feature
    classes: dict[str, int] = field(default_factory=dict)  # test rows of each class; empty for a regression
    repeated: float = 0.0  # share of all rows that have the features of a row before them, and another target


def sampled(table: pa.Table, data: Data, config: Ingest, target: Target) -> Sample | None:
    """Some rows as numbers and codes; None if they do not fit their types: `typed` says of all rows which."""
    some = table.take(sample.chosen(len(table), sample.ROWS)) if len(table) > sample.ROWS else table
    try:
        return sample.of(typed(some, data, config, ""), data, list(target.kept))
    except DataError:
        return None


def typed(table: pa.Table, data: Data, config: Ingest, where: str) -> pa.Table:
    """The rows as raw.parquet will hold them. Raises DataError for the first value that does not fit."""
    return pa.Table.from_batches(
        ingest.ingest(table.to_batches(max_chunksize=row_groups.GROUP_ROWS), data, config, where), rows.raw_schema(data)
    )


def without_rare(raw: pa.Table, target: Target) -> pa.Table:
    """The rows that the drafted rules do not set aside for their class."""
    if not target.rare:
        return raw
    return raw.filter(pc.is_in(raw[target.name], pa.array(target.kept, raw.schema.field(target.name).type)))


def rehearse(raw: pa.Table, data: Data, config: Clean) -> Rehearsed:
    """raw: as of `typed`. Raises DataError if the splits cannot be made so."""
    with scratch.folder("new") as folder:
        with row_groups.Writer(folder / "raw.parquet", raw.schema) as out:
            for batch in raw.to_batches():
                out.write(batch)
        with row_groups.Writer(folder / "quarantine.parquet", QUARANTINE):
            pass
        report = clean.clean(folder, data, config)
        clean.check_report(report, data, config, "the new model's YAML")
        checked = check.check(folder, data, Check())
    split_rows = {name: found["rows"] for name, found in report["splits"].items()}
    removed, classes = report["rows"]["removed"], report["splits"]["test"].get("classes", {})
    found = Rehearsed(split_rows, removed, checked["overlap"], checked["leakage"], classes)
    apart = data.kind == "table" and not getattr(config.split, "key", [])  # rows of a group lie in one split
    return replace(found, repeated=_repeated(raw, data)) if apart else found


def _repeated(raw: pa.Table, data: Data) -> float:
    """The share of the rows that have the features of another row, and another target. Equal rows share a row_id, so
    that they lie in one split."""
    once = ~pd.Series(raw["row_id"].to_pandas()).duplicated().to_numpy() & raw[data.target].is_valid().to_numpy()
    ids = np.concatenate([rows.identify(batch, data.features) for batch in raw.filter(pa.array(once)).to_batches()])
    return (len(ids) - len(np.unique(ids))) / len(raw)


def best_seed(raw: pa.Table, target: str, key: list[str]) -> int:
    """The seed of a split by hash under which validation and test have the most even share of every class.

    A split by hash is not stratified: with few rows one seed serves a rare class much better than another.
    """
    if len(raw) >= ENOUGH:
        return 0
    batches = raw.to_batches()
    ids = np.concatenate([rows.identify(b, key) if key else rows.ids_of(b["row_id"]) for b in batches])
    values = raw[target].to_pandas()
    if pd.api.types.is_float_dtype(values):
        values = pd.qcut(values, TENTHS, labels=False, duplicates="drop")
    codes = pd.factorize(values, use_na_sentinel=False)[0]
    seeds = range(min(MOST_SEEDS, SEEDS * ENOUGH // max(1, len(raw))))
    split = HashSplit(validation=recipe.VALIDATION, test=recipe.TEST)
    return min(seeds, key=lambda seed: _unevenness(rows.fractions(seed, ids), codes, split))


def _unevenness(position: np.ndarray, codes: np.ndarray, split: HashSplit) -> float:
    """How far the rarest match is from what its share of the rows should be, in standard deviations; without end where
    a class is missing."""
    worst, total = 0.0, np.bincount(codes)
    for low, high in ((0.0, split.test), (split.test, split.test + split.validation)):
        count = np.bincount(codes[(position >= low) & (position < high)], minlength=len(total))
        expected: Any = total * (high - low)
        if not count.all():
            return math.inf
        worst = max(worst, float((np.abs(count - expected) / np.sqrt(expected)).max()))
    return worst
