"""Evaluate: predict the test split with the saved model, and score it.

python -m pipelines evaluate digits

data/<model>/model/, data/<model>/test.parquet  ->  metrics.json, predictions.parquet, evaluation.png
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field

from pipelines import device, settings, tables
from pipelines.device import Hardware
from pipelines.errors import DataError, TrainingError
from pipelines.metrics import METRICS
from pipelines.predictor import Predictor
from pipelines.settings import FORMAT, Data, Section


class Evaluate(Section):
    metrics: list[str] = Field(min_length=1)


def run(model: str) -> None:
    data = settings.load(model, "data", Data)
    config = settings.load(model, "evaluate", Evaluate)
    folder = Path("data") / model
    recorded = json.loads((folder / "model" / "model.json").read_text(encoding="utf-8"))["hardware"]
    device.prepare(Hardware(**recorded), seed=0)
    predictions = predict(Predictor(folder / "model"), folder / "test.parquet", data)
    scores = score(predictions, data, config.metrics)
    table = pa.Table.from_pandas(predictions, preserve_index=False).replace_schema_metadata(None)
    tables.write(folder / "predictions.parquet", table.schema, table.combine_chunks().to_batches())
    draw(predictions, data, folder / "evaluation.png")
    text = json.dumps({"format": FORMAT, "test": scores}, indent=2, allow_nan=False)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")


def predict(predictor: Predictor, path: Path, data: Data) -> pd.DataFrame:
    """row_id, actual, prediction and probabilities of every row of a split, in its order."""
    size = predictor.about["batch_size"]
    parts = []
    for batch in _even(tables.batches(path), size):
        frame = batch.to_pandas()
        found = predictor.predict(frame)
        found.insert(1, "actual", frame[data.target].to_numpy())
        parts.append(found)
    return pd.concat(parts, ignore_index=True)


def _even(batches: Any, size: int) -> Any:
    """The same rows in pieces of a multiple of `size`, so that row groups do not decide how rows are batched."""
    rest = None
    for batch in batches:
        table = (
            pa.Table.from_batches([batch]) if rest is None else pa.concat_tables([rest, pa.Table.from_batches([batch])])
        )
        whole = table.num_rows // size * size
        yield table.slice(0, whole)
        rest = table.slice(whole)
    if rest is not None and rest.num_rows:
        yield rest


def score(predictions: pd.DataFrame, data: Data, names: list[str]) -> dict[str, float]:
    """The declared metrics of a table of predictions, by scikit-learn. Raises DataError for one that is no number."""
    columns = [name for name in predictions if str(name).startswith("probability_")]
    probabilities = predictions[columns].to_numpy() if columns else None
    classes = sorted(_label(name, data) for name in columns)
    actual, predicted = predictions["actual"].to_numpy(), predictions["prediction"].to_numpy()
    if not np.isfinite(probabilities if probabilities is not None else predicted).all():
        raise TrainingError("The model's predictions are not finite numbers.", "Look at the training's learning curve.")
    if unknown := set(actual.tolist()) - set(classes) if columns else None:
        raise DataError(f"The test split has classes that the model does not know: {sorted(unknown)}.")
    return {name: round(METRICS[name].score(actual, predicted, probabilities, classes), 9) for name in names}


def _label(column: Any, data: Data) -> Any:
    text = str(column).removeprefix("probability_")
    return int(text) if data.label == "integer" else text


def draw(predictions: pd.DataFrame, data: Data, path: Path) -> None:
    """The confusion matrix of a classification, or predicted against actual of a regression."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 5), layout="constrained")
    axes = figure.add_subplot()
    actual, predicted = predictions["actual"], predictions["prediction"]
    if data.task == "classification":
        from sklearn.metrics import ConfusionMatrixDisplay

        ConfusionMatrixDisplay.from_predictions(actual, predicted, ax=axes, cmap="Blues", colorbar=False)
        axes.set(title=f"{data.target}: {len(actual):,} test rows", xlabel="predicted", ylabel="actual")
    else:
        low, high = min(actual.min(), predicted.min()), max(actual.max(), predicted.max())
        axes.plot([low, high], [low, high], color="0.6", linewidth=1)
        axes.scatter(actual, predicted, s=12, alpha=0.7)
        axes.set(title=f"{data.target}: {len(actual):,} test rows", xlabel="actual", ylabel="predicted")
    figure.savefig(path, dpi=100, metadata={"Software": None})
