"""Rows of a rival that was made with another reader: matched, and read for it as it reads them.

A reader gives a row its values and so its identity. Where a candidate has another reader than a rival, the pinned data
are read by both at once. Each of the candidate's test rows then has the identities that the rival knows it by, and the
values that the rival was trained on.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from flows.data import two_readers
from flows.registry import reading
from flows.registry.model_registry import ModelVersion
from flows.tracking.evidence_files import Kept
from pipelines.config.data import Data
from pipelines.model_file import Declaration
from pipelines.readers.meaning import values
from pipelines.table import row_groups, rows


@dataclass(frozen=True)
class Known:
    """The candidate's test rows as a rival knows them. test: a split file of its values, by the candidate's identities.

    pairs: row_id of the candidate -> row_id of the rival; rows that only the rival tells apart have several.
    """

    test: Path
    pairs: pd.DataFrame

    def kept(self, found: Kept) -> Kept:
        """What was kept with the rival, by the candidate's identities; a row that it was fitted on counts as such."""
        split = self.pairs["theirs"].map(found.rows)
        known = self.pairs.assign(split=split, last=split == "test").dropna(subset="split")
        first = known.sort_values("last", kind="stable").drop_duplicates("row_id")
        return replace(found, rows=first.set_index("row_id")["split"])


def reader_of(version: ModelVersion) -> int:
    """The number of a version's reader; one of an older Ratchet has the first."""
    return int(version.tags.get(reading.TAG, "1"))


def known(declared: Declaration, version: ModelVersion, test: Path, place: Path) -> Known | None:
    """The candidate's test rows as a version knows them; None if both have one reader. place: a folder for a file."""
    number, data = reader_of(version), declared.data
    if number == declared.ingest.reader:
        return None
    ids = pa.Table.from_batches(row_groups.batches(test, ["row_id"]))["row_id"].combine_chunks()
    found = [_both(data, batches, ids) for batches in two_readers.side_by_side(declared, number)]
    pairs = pd.concat([one for one, _ in found], ignore_index=True).drop_duplicates()
    path = test
    if data.kind != "sequence":  # whose rows are windows; their values differ in words at most
        path = place / f"test-of-version-{version.version}.parquet"
        there = pa.concat_tables([two for _, two in found])
        first = pc.index_in(ids, there["row_id"].combine_chunks())
        row_groups.write(path, rows.raw_schema(data), there.take(first).combine_chunks().to_batches())
    return Known(path, pairs)


def _both(data: Data, batches: tuple[pa.RecordBatch, pa.RecordBatch], ids: pa.Array) -> tuple[pd.DataFrame, pa.Table]:
    """Of the rows with one of these identities: both of their identities, and the other reader's values."""
    ours, theirs = batches
    here = pc.is_in(ours["row_id"], ids)
    mine, other = ours["row_id"].filter(here), pa.Table.from_batches([theirs]).filter(here)
    pairs = pd.DataFrame({"row_id": mine.to_pylist(), "theirs": other["row_id"].to_pylist()})
    place = other.schema.get_field_index("row_id")
    return pairs, other.set_column(place, rows.ROW_ID, pa.chunked_array([mine]))


def translated(predictions: pd.DataFrame, declared: Declaration) -> pd.DataFrame:
    """A rival's answers with the words for classes that the candidate's reader has: True may be true now."""
    if declared.data.task != "classification" or declared.data.label != "text":
        return predictions
    rules = declared.ingest.rules
    names = {name: f"probability_{_word(name.removeprefix('probability_'), rules)}" for name in _shares(predictions)}
    shares = predictions[list(names)].rename(columns=names)
    shares = shares.T.groupby(level=0, sort=False).sum().T  # classes that have become one
    found = predictions.drop(columns=list(names)).assign(
        prediction=[_word(str(word), rules) for word in predictions["prediction"]],
        actual=[_word(str(word), rules) for word in predictions["actual"]],
    )
    return pd.concat([found, shares], axis=1)


def _word(word: str, rules: values.Rules) -> str:
    return values.text(word, rules) or word


def _shares(predictions: pd.DataFrame) -> list[str]:
    return [str(name) for name in predictions if str(name).startswith("probability_")]
