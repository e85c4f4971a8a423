"""A version: what live.json says of the model that is served."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Version:
    """A registered version that is loaded."""

    model: str
    number: int
    model_hash: str
    serving_hash: str | None
    """The SHA-256 of its serving.json; None if it has none."""
    runtime: str
    """What computes the answers: `onnx` or `keras`."""
    why: str
    """Why it is not `onnx`; "" if it is."""
    since: str
    """When it became the champion: ISO text in UTC."""
    folder: Path
    """Its files: model/, reading/, serving/, maybe variant/, columns.json, examples.json, files.json."""
    serve: Mapping[str, Any]
    """The section `serve:` of the model's YAML."""
    sensitive: tuple[str, ...]
    """The columns whose values appear in no message, page or log."""
    columns: Mapping[str, Any]
    """The content of columns.json."""
    variant: str = ""
    """The smaller form of it that answers, such as int8; "" for the version itself."""
    variant_model: str = ""
    """The model_hash of that form, where Keras computes it."""
