"""A variant of a model in its folder: the file that answers, its answers to the test rows, and what they cost."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipelines.answering import predictions
from pipelines.compressing.not_compressed import NotCompressed
from pipelines.config.data import Data
from pipelines.errors import TrainingError
from pipelines.model.predictor import Predictor, file_hash
from pipelines.onnx import build, check
from pipelines.onnx.not_carried import NotCarried
from pipelines.table import row_groups

if TYPE_CHECKING:  # half a second to import, and needed only where rows are at hand
    import pandas as pd

PREDICTIONS, SERVING, MODEL = "predictions.parquet", "serving.json", "model"
WEIGHTS = ("architecture.json", "model.weights.h5")  # of a model folder that Keras serves


class OnnxPredictor(Predictor):
    """Answers of an ONNX file in the place of the model's own."""

    def __init__(self, content: bytes, about: dict[str, Any]):
        """about: model.json. Raises NotCompressed if ONNX Runtime cannot load the file."""
        self.about = about
        try:
            running = check.session(content)
        except NotCarried as error:
            raise NotCompressed(str(error)) from error
        self._answer = lambda batch: running.run(None, batch)[0]


@dataclass(frozen=True)
class Parent:
    """A trained model, as its stages have left it. folder: data/<model>; about: model.json; metrics: the declared."""

    folder: Path
    data: Data
    about: dict[str, Any]
    model_hash: str
    metrics: list[str]

    @property
    def serving(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "serving" / SERVING).read_text(encoding="utf-8"))
        return found

    def content(self) -> bytes:
        """The ONNX file that serves it. Raises NotCompressed, saying why there is none."""
        if self.serving["runtime"] != "onnx":
            raise NotCompressed(f"only an ONNX file is stored in fewer bits, and {self.serving['why']}")
        return (self.folder / "serving" / build.FILE).read_bytes()


def served_bytes(serving: Path, model: Path) -> int:
    """What a server loads: the ONNX file, or else the network and its weights."""
    onnx = serving / build.FILE
    return sum(path.stat().st_size for path in ([onnx] if onnx.is_file() else [model / name for name in WEIGHTS]))


def write_serving(folder: Path, content: bytes, parent: Parent, found: dict[str, Any]) -> None:
    """model.onnx and serving.json of an ONNX file that was made of the parent's. found: of `measured`."""
    about = {
        "format": build.FORMAT,
        "runtime": "onnx",
        "why": "",
        "model_hash": parent.model_hash,
        "files": {build.FILE: hashlib.sha256(content).hexdigest()},
        "checked": {
            "rows": row_groups.rows(folder / PREDICTIONS),
            "largest_difference": found["largest"],
            "scale": (parent.serving["checked"] or {}).get("scale", 1.0),
            "labels_changed": found["changed_labels"] or 0,
        },
    }
    (folder / build.FILE).write_bytes(content)
    _write(folder / SERVING, about)


def as_variant(folder: Path, name: str, parent: Parent) -> None:
    """Let serving.json of a model that was made of the parent say so (flows/deployment/serving_files.py)."""
    about = json.loads((folder / SERVING).read_text(encoding="utf-8"))
    _write(folder / SERVING, about | {"model_hash": parent.model_hash, "variant": name})


def measured(folder: Path, answering: Predictor, parent: Parent) -> dict[str, Any]:
    """Answer the test rows, in the order of the parent's, and write predictions.parquet; returns what they say.

    metrics: the declared ones. changed_labels: rows with another class than the parent's; None for a regression.
    largest: the largest difference of a probability, or of a number. Raises NotCompressed for answers that are no
    numbers.
    """
    path = folder / PREDICTIONS
    schema = predictions.predictions_schema(parent.data, parent.about["classes"])
    with row_groups.Writer(path, schema) as out:
        for part in predictions.parts(answering, parent.folder / "test.parquet", parent.data):
            table = pa.Table.from_pandas(part, schema, preserve_index=False).combine_chunks()
            for batch in table.to_batches():
                out.write(batch)
    found, before = predictions.answers(path), predictions.answers(parent.folder / PREDICTIONS)
    try:
        scores = predictions.score(found, parent.data, parent.metrics)
    except TrainingError as error:
        raise NotCompressed("some of its answers to the test rows are no finite numbers") from error
    return {"metrics": scores, **_differences(found, before)}


def _differences(found: "pd.DataFrame", before: "pd.DataFrame") -> dict[str, Any]:
    columns = [name for name in found if str(name).startswith("probability_")]
    changed = int((found["prediction"] != before["prediction"]).sum()) if columns else None
    columns = columns or ["prediction"]
    largest = np.abs(found[columns].to_numpy(np.float64) - before[columns].to_numpy(np.float64)).max()
    return {"changed_labels": changed, "largest": float(f"{largest:.2g}")}


def described(folder: Path, kind: str, parent: Parent, found: dict[str, Any]) -> dict[str, Any]:
    """A variant's entry of compressed.json. kind: "serving" or "model"; found: what else is known."""
    return {
        "kind": kind,
        "bytes": served_bytes(folder, folder / MODEL),
        "parent_bytes": served_bytes(parent.folder / "serving", parent.folder / MODEL),
        **found,
        "why": "",
        "serving_hash": file_hash(folder / SERVING),
    }


def refused(kind: str, why: str) -> dict[str, Any]:
    """The entry of a variant that cannot be made."""
    return {"kind": kind, "bytes": None, "parent_bytes": None, "metrics": {}, "changed_labels": None} | {
        "largest": None,
        "why": why,
        "serving_hash": None,
    }


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
