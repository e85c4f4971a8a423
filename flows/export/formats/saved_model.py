"""SavedModel: the whole model as a folder of TensorFlow's, which takes arrays of raw rows."""

from pathlib import Path
from typing import Any

from flows.export.format import Format


def write(model: Any, path: Path, int8: bool) -> None:
    """model: the keras.Model of raw rows."""
    model.export(path, format="tf_saved_model", verbose=False)


SAVED_MODEL = Format(
    "saved_model",
    "saved_model/",
    "TensorFlow",
    "tensorflow",
    ("tensorflow",),
    write,
    alone=("ai_edge_litert", "onnxruntime"),
)
