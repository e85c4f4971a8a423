"""Predictions: what a model answers to the rows of a split, as a table beside the true values, and its scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.config.data import Data
from pipelines.errors import DataError, TrainingError
from pipelines.model import temporal
from pipelines.model.metrics import Answers
from pipelines.model.predictor import Predictor
from pipelines.table import row_groups, rows

if TYPE_CHECKING:  # half a second to import, and needed only where rows are at hand
    import pandas as pd


def predictions_schema(data: Data, classes: list[Any]) -> pa.Schema:
    """row_id, actual and prediction in the target's type, a float32 for each class; for a sequence also `naive`."""
    target = rows.target_type(data)
    known = [("row_id", pa.string()), ("actual", target), ("prediction", target)]
    if data.kind == "sequence":
        known.append(("naive", target))
    return pa.schema([*known, *((f"probability_{name}", pa.float32()) for name in classes)])


def parts(predictor: Predictor, path: Path, data: Data) -> Iterator[pd.DataFrame]:
    """The same, some rows at a time."""
    for piece in even(row_groups.batches(path), predictor.about["batch_size"]):
        frame = piece.to_pandas()
        found = predictor.predict(frame)
        found.insert(1, "actual", frame[data.target].to_numpy())
        if data.kind == "sequence":
            found["naive"] = temporal.baseline_of_rows(frame, data)
        yield found


def even(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[pa.Table]:
    """The same rows in pieces of a multiple of `size`, so that row groups do not decide how rows are batched."""
    rest: list[pa.Table] = []
    for batch in batches:
        table = pa.concat_tables([*rest, pa.Table.from_batches([batch])])
        whole = table.num_rows // size * size
        if whole:
            yield table.slice(0, whole)
        rest = [table.slice(whole)]
    if rest and rest[0].num_rows:
        yield rest[0]


def score(predictions: pd.DataFrame, data: Data, names: list[str]) -> dict[str, float]:
    """The declared metrics of a table of predictions, by scikit-learn.

    Raises TrainingError for predictions that are no numbers, DataError for rows that a metric cannot score.
    """
    found = Answers.read(predictions, data.label)
    if not np.isfinite(found.predicted if found.probabilities is None else found.probabilities).all():
        raise TrainingError("The model's predictions are not finite numbers.", "Check the training's learning curve.")
    if unknown := set(predictions["actual"].unique().tolist()) - set(found.classes) if found.classes else None:
        raise DataError(
            f"The test split has classes that the model does not know: {sorted(unknown)}.",
            "Train again on data with these classes.",
        )
    scores = {name: round(found.score(name), 9) for name in names}
    if broken := [name for name, value in scores.items() if not np.isfinite(value)]:
        raise DataError(
            f"The metric {broken[0]} has no value on these {len(found.actual)} test rows.",
            "Use more test rows, or another metric under evaluate.metrics.",
        )
    return scores | (skill(predictions) if "naive" in predictions else {})


def skill(predictions: pd.DataFrame) -> dict[str, float]:
    """`skill`: 1 - the mean absolute error / that of the naive forecast, on rows with such a forecast; 0 is no better.

    Empty if the naive forecast is always right, or there is none.
    """
    from sklearn.metrics import mean_absolute_error

    known = predictions.dropna(subset="naive")
    if not len(known) or not (theirs := mean_absolute_error(known["actual"], known["naive"])):
        return {}
    return {"skill": round(1 - float(mean_absolute_error(known["actual"], known["prediction"])) / float(theirs), 9)}


def answers(path: Path) -> pd.DataFrame:
    """A table of predictions without its row ids, which need more memory than all other columns; never held twice."""
    import pandas as pd

    names = [name for name in pq.read_schema(path).names if name != "row_id"]
    return pd.DataFrame({name: _column(path, name) for name in names}, copy=False)


def _column(path: Path, name: str) -> Any:
    """One column: numbers as an array [rows], text as pandas holds it."""
    kind = pq.read_schema(path).field(name).type
    parts = (column for (column,) in row_groups.batches(path, [name]))
    if pa.types.is_string(kind):
        return pa.chunked_array(list(parts), kind).to_pandas()
    values, start = np.empty(row_groups.rows(path), kind.to_pandas_dtype()), 0
    for part in parts:
        values[start : start + len(part)] = part.to_numpy(zero_copy_only=False)
        start += len(part)
    return values
