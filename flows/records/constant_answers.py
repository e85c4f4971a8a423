"""Constant answers: what a model reaches that answers every test row alike, beside the metrics of a run.

The answer comes from the training rows: the share of each class, or the better of mean and median. A metric says little
without it: an accuracy of 0.95 is nothing where 95 of 100 rows are of one class.
"""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.config.data import Data
from pipelines.model.metrics import METRICS


def scores(folder: Path, data: Data, names: list[str]) -> dict[str, float]:
    """By those of the metrics that rows alone decide. folder: with the split files of the model's data."""
    train, test = (_targets(folder / f"{split}.parquet", data.target) for split in ("train", "test"))
    known = [name for name in names if name in METRICS]
    if data.task == "regression":
        return {name: _of_numbers(name, train.to_numpy(), test.to_numpy()) for name in known}
    return {name: _of_classes(name, train, test) for name in known}


def _targets(path: Path, name: str) -> pa.ChunkedArray:
    return pq.read_table(path, columns=[name], memory_map=False)[name]


def _of_numbers(name: str, train: np.ndarray, test: np.ndarray) -> float:
    metric = METRICS[name]
    answers = [np.full(len(test), value) for value in (np.median(train), train.mean())]
    found = [metric.score(test, answer, None, []) for answer in answers]
    return round(float(max(found) if metric.greater_is_better else min(found)), 9)


def _of_classes(name: str, train: pa.ChunkedArray, test: pa.ChunkedArray) -> float:
    classes, counts = np.unique(train.to_pandas(), return_counts=True)
    prior = np.tile(counts / counts.sum(), (len(test), 1))
    answer = np.full(len(test), classes[counts.argmax()])
    return round(float(METRICS[name].score(test.to_pandas().to_numpy(), answer, prior, classes.tolist())), 9)
