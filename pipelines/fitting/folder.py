"""The folder of a trained model (pipelines/model/predictor.py reads it)."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.config.data import Data
from pipelines.config.settings import FORMAT
from pipelines.errors import TrainingError
from pipelines.fitting.settings import Train
from pipelines.hardware.device import Hardware
from pipelines.model import predictor
from pipelines.model.statistics import Fitted
from pipelines.table import row_groups, rows
from pipelines.training import compiled_fit
from pipelines.training.data_loader import described


def reader_of(split: Path) -> int:
    """The number of the reader that made the rows of a split."""
    return int((row_groups.metadata(split) or {}).get(rows.READER, b"1"))


def save(model: Any, data: Data, config: Train, fitted: Fitted, folder: Path, reader: int = 1) -> str:
    """Write the model folder; returns its model_hash. Raises TrainingError if a weight is not a finite number.

    reader: the number of the one that made the rows; the first has none in model.json.
    config: resolved (device.resolved); as declared for a model that no stage trains.
    """
    broken = [weight.path for weight in model.weights if not np.isfinite(weight.numpy()).all()]
    if broken:
        raise TrainingError(
            f"The weights {broken[0]} are not finite, so the model is not saved.",
            "Lower train.learning_rate, or look for extreme values in the data.",
        )
    partial = folder.with_name(".model.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / "architecture.json").write_text(
        json.dumps(json.loads(model.to_json()), indent=1, sort_keys=True) + "\n", encoding="utf-8"
    )
    model.save_weights(partial / "model.weights.h5")
    shutil.copyfile(predictor.__file__, partial / "predictor.py")
    about = {
        "format": FORMAT,
        "task": data.task,
        "target": data.target,
        "label": data.label,
        "classes": list(fitted.classes),
        "batch_size": compiled_fit.Plan(config.batch_size, config.micro_batch).validation_rows,
        "hardware": {key: getattr(config, key) for key in Hardware.model_fields},
        **described(data),
        **({"reader": reader} if reader > 1 else {}),
    }
    (partial / "model.json").write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    digest = predictor.write_manifest(partial)
    shutil.rmtree(folder, ignore_errors=True)
    partial.rename(folder)
    return digest
