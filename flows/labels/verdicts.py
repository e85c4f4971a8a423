"""Verdicts: which labels count, and why the others are kept aside."""

from collections.abc import Collection
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

FUTURE = "from the future"
EARLY = "known before it happened"
UNKNOWN = "a class that nobody knows"
TWICE = "twice"
CONTRADICTING = "contradicting"
REASONS = (FUTURE, EARLY, UNKNOWN, TWICE, CONTRADICTING)


def of(rows: pa.Table, kept: pa.Table, at: datetime, classes: Collection[str] | None) -> np.ndarray:
    """Why each row does not count [rows]; "" for one that does.

    rows: event, label, happened, known, without nulls. kept: the same of the labels that count so far. at: now.
    classes: texts of those that the model knows, None where nobody can say.
    """
    now, aside = pa.scalar(at, rows["known"].type), np.full(rows.num_rows, "", object)
    later = pc.or_(pc.greater(rows["known"], now), pc.greater(rows["happened"], now))
    early = pc.less(rows["known"], rows["happened"])
    if classes is not None:
        texts = pa.array(list(classes), pa.string())
        aside[_mask(pc.invert(pc.is_in(rows["label"].cast(pa.string()), value_set=texts)))] = UNKNOWN
    aside[_mask(early)] = EARLY
    aside[_mask(later)] = FUTURE
    good = aside == ""
    aside[good] = _among(rows.filter(pa.array(good)), kept)
    return aside


def _among(rows: pa.Table, kept: pa.Table) -> np.ndarray:
    """The same for labels that are well formed, by what others say of the same event at the same instant."""
    names = ["event", "known", "label"]
    same = kept.filter(pc.is_in(kept["event"], value_set=rows["event"].combine_chunks()))
    both = pa.concat_tables([same.select(names), rows.select(names)]).to_pandas()
    twice = both.duplicated(names)
    against = both.groupby(["event", "known"], sort=False)["label"].transform("nunique") > 1
    found = np.where(twice, TWICE, np.where(against, CONTRADICTING, "")).astype(object)
    return found[same.num_rows :]


def _mask(found: pa.ChunkedArray) -> np.ndarray:
    return np.asarray(found.to_numpy(zero_copy_only=False), bool) if isinstance(found, pa.Array) else found.to_numpy()
