"""Keras: the whole model in one file, which takes arrays of raw rows."""

from pathlib import Path
from typing import Any

from flows.export.format import Format


def write(model: Any, path: Path, int8: bool) -> None:
    """model: the keras.Model of raw rows."""
    model.save(path)


KERAS = Format(
    "keras",
    "model.keras",
    "Keras",
    "keras",
    ("tensorflow", "keras"),
    write,
    alone=("ai_edge_litert", "onnxruntime"),
)
