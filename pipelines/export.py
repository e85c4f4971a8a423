"""Export: the whole model as one ONNX file, if ONNX carries it and the file answers as the model does.

    python -m pipelines export digits

    data/<model>/model/, train.parquet, test.parquet  ->  data/<model>/serving/: serving.json, maybe model.onnx

The test rows are for the comparison of the two, and the training rows say how large a difference is. A model that ONNX
does not carry is no error: serving.json says why, and Keras serves it.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines import visible_text
from pipelines.config.stage import Stage
from pipelines.errors import IntegrityError
from pipelines.hardware import device
from pipelines.model.predictor import check_manifest
from pipelines.onnx.build import build
from pipelines.table import row_groups

if TYPE_CHECKING:  # half a second to import, and needed only where rows are at hand
    import pandas as pd

STAGE = Stage("export", after="train", preload="networks", numeric=True, after_gate=True)
PIECE_BYTES = 16 << 20  # of rows that are held at once


def run(model: str) -> None:
    folder = Path("data") / model
    try:
        check_manifest(folder / "model")
    except (ValueError, OSError) as error:
        repair = "Restore it with `dvc checkout --force`, or make it anew with `dvc repro --force`."
        raise IntegrityError(f"{error}.", repair) from error
    about = json.loads((folder / "model" / "model.json").read_text(encoding="utf-8"))
    device.prepare(device.of_model(folder / "model", "cpu"), seed=0)
    scale = None if about["classes"] else spread(folder / "train.parquet", about["target"])
    found = build(folder / "model", folder / "serving", tables(folder / "test.parquet"), scale)
    visible_text.note(f"runtime: {found['runtime']}{found['why'] and ', because '}{found['why']}")


def spread(train: Path, target: str) -> float | None:
    """The standard deviation of the target in the training rows; None if it is constant."""
    parts = [batch[target].to_numpy(zero_copy_only=False) for batch in row_groups.batches(train, [target])]
    return float(np.std(np.concatenate(parts), dtype=np.float64)) or None


def tables(path: Path) -> "Iterator[pd.DataFrame]":
    """The rows of a split, some at a time."""
    for batch in row_groups.batches(path):
        rows = max(1, PIECE_BYTES * batch.num_rows // max(1, batch.nbytes))
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows).to_pandas()
