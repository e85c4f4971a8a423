"""Evaluate: predict the test split with the saved model, and score it.

python -m pipelines evaluate digits

data/<model>/model/, data/<model>/test.parquet  ->  metrics.json, predictions.parquet, evaluation.png
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from pipelines import visible_text
from pipelines.answering.predictions import answers, parts, predictions_schema, score
from pipelines.config import settings
from pipelines.config.data import Data
from pipelines.config.section import Section
from pipelines.config.settings import FORMAT
from pipelines.config.stage import Stage
from pipelines.errors import IntegrityError
from pipelines.hardware import device
from pipelines.hardware.device import Choice, Hardware
from pipelines.model.predictor import Predictor, check_manifest
from pipelines.table import row_groups

if TYPE_CHECKING:  # half a second to import, and needed only where rows are at hand
    import pandas as pd


DEVICE = "device"  # in the schema of predictions
MOST_POINTS = 20_000  # up to so many points are drawn one by one


class Evaluate(Section):
    """How the trained model is scored on the test split."""

    metrics: list[str] = Field(min_length=1)
    """The metrics of the test split. For a sequence `skill` is added."""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """Where the predictions are computed."""


STAGE = Stage("evaluate", Evaluate, after="train", preload="networks", numeric=True)


def run(model: str) -> None:
    data = settings.load(model, "data", Data)
    config = settings.load(model, "evaluate", Evaluate)
    folder = Path("data") / model
    with device.turn(Hardware(device=config.device), f"the evaluation of {model}"):
        predictor, used = load(folder / "model", config.device)
        print(f"device: {used.told}", flush=True)
        write(predictor, folder, data, used.device)
    predictions = answers(folder / "predictions.parquet")
    scores = score(predictions, data, config.metrics)
    draw(predictions, data, folder / "evaluation.png")
    text = json.dumps({"format": FORMAT, "test": scores}, indent=2, allow_nan=False)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")


def write(predictor: Predictor, folder: Path, data: Data, used: str) -> None:
    """Write predictions.parquet of the test split; its schema names the device if it was a GPU."""
    path, schema = folder / "predictions.parquet", predictions_schema(data, predictor.about["classes"])
    schema = schema.with_metadata({DEVICE: used}) if used != "cpu" else schema
    with row_groups.Writer(path, schema) as out:
        for found in parts(predictor, folder / "test.parquet", data):
            table = pa.Table.from_pandas(found, schema, preserve_index=False).combine_chunks()
            for batch in table.to_batches():
                out.write(batch)


def device_of(path: Path) -> str:
    """The kind of device, "cpu" or "gpu", that computed a table of predictions."""
    return (pq.read_schema(path).metadata or {}).get(DEVICE.encode(), b"cpu").decode()


def load(folder: Path, wanted: str) -> tuple[Predictor, Choice]:
    """The model, with its recorded arithmetic, on the wanted device: auto, cpu or gpu.

    Raises IntegrityError if the folder has changed since it was sealed, TrainingError if there is no such device.
    """
    repair = "Restore it with `dvc checkout --force`, or make it anew with `dvc repro --force`."
    try:
        check_manifest(folder)
    except (ValueError, OSError) as error:
        raise IntegrityError(f"{error}.", repair) from error
    choice = device.prepare(device.of_model(folder, wanted), seed=0)
    return Predictor(folder), choice


def predict(predictor: Predictor, path: Path, data: Data) -> pd.DataFrame:
    """row_id, actual, prediction and probabilities of every row of a split, in its order."""
    import pandas as pd

    return pd.concat(parts(predictor, path, data), ignore_index=True)


def draw(predictions: pd.DataFrame, data: Data, path: Path) -> None:
    """The confusion matrix of a classification, or predicted against actual of a regression."""
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcdefaults()  # whatever the user's matplotlibrc says
    from matplotlib.figure import Figure

    matplotlib.rcParams["text.parse_math"] = False  # a class may be called $5
    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.add_subplot(title=f"{visible_text.line(data.target)}: {len(predictions):,} test rows")
    (_draw_confusion if data.task == "classification" else _draw_residuals)(axes, predictions)
    with visible_text.unwarned():
        figure.savefig(path, dpi=100, metadata={"Software": None})  # no version: the same bytes


def _draw_confusion(axes: Any, predictions: pd.DataFrame) -> None:
    from sklearn.metrics import ConfusionMatrixDisplay

    both = [predictions[name].map(_written) for name in ("actual", "prediction")]
    ConfusionMatrixDisplay.from_predictions(*both, ax=axes, cmap="Blues", colorbar=False)
    axes.set(xlabel="predicted", ylabel="actual")


def _written(label: Any) -> Any:
    return visible_text.line(label) if isinstance(label, str) else label


def _draw_residuals(axes: Any, predictions: pd.DataFrame) -> None:
    """Points on the line are right. Many points are drawn as a density."""
    both = predictions[["actual", "prediction"]].to_numpy()
    axes.axline((both.min(), both.min()), slope=1, color="0.6", linewidth=1)
    if len(both) > MOST_POINTS:
        axes.hexbin(*both.T, gridsize=60, bins="log", mincnt=1, cmap="Blues")
    else:
        axes.scatter(*both.T, s=12, alpha=0.7)
    axes.set(xlabel="actual", ylabel="predicted")
