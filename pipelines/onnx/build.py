"""Build the files for serving beside a model: serving.json, and model.onnx where ONNX carries the model.

Whoever calls it has prepared TensorFlow for the arithmetic of the model (pipelines/hardware/device.py).
"""

import hashlib
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.model import predictor
from pipelines.model.predictor import Predictor
from pipelines.onnx import check, convert, planted
from pipelines.onnx.check import Compared
from pipelines.onnx.not_carried import NotCarried
from pipelines.onnx.planted import Arrays

if TYPE_CHECKING:  # half a second to import, and needed only where rows are at hand
    import pandas as pd

FORMAT = 1
NAME, FILE = "serving.json", "model.onnx"
MOST_ROWS = 20_000  # that are compared, without the planted ones
PLANTED_ROWS = 256  # of the first ones, into which missing values and unknown words are planted


def build(model: Path, out: Path, tables: "Iterable[pd.DataFrame]", scale: float | None = None) -> dict[str, Any]:
    """Write the folder `out` anew; returns what serving.json holds.

    model: the model folder. tables: raw rows for the check, as Predictor.predict takes them; at most MOST_ROWS are
    used. scale: the standard deviation of a regression's target; None for the one that the model itself scales with.
    Raises ValueError if the model does not match its manifest, or the rows do not fit it.
    """
    loaded = Predictor(model)
    unit = 1.0 if loaded.about["classes"] else scale or _own_scale(loaded.model)
    content, why, compared = b"", "", None
    try:
        content = _content(loaded)
        compared = check.compare(loaded, check.session(content), _rows(loaded, tables), unit)
        compared.verdict()
    except NotCarried as reason:
        precision = loaded.about["hardware"].get("precision", "float32")
        content, why = b"", str(reason) if precision == "float32" else f"the model computes in {precision}: {reason}"
    return _write(out, content, why, predictor.model_hash(model), compared)


def _content(loaded: Predictor) -> bytes:
    """The bytes of model.onnx. Raises NotCarried."""
    try:
        return bytes(convert.converted(loaded.model, loaded.about).SerializeToString(deterministic=True))
    except NotCarried:
        raise
    except Exception as error:  # of tf2onnx, TensorFlow or protobuf, for what a network of a user's own may hold
        raise NotCarried(f"the model cannot be turned into ONNX: {check.sentence(error)}") from error


def _own_scale(model: Any) -> float:
    """The standard deviation by which the model multiplies the number of its network."""
    (layer,) = [layer for layer in model.layers if layer.name == "target_units"]
    return float(layer.scale)


def _rows(loaded: Predictor, tables: "Iterable[pd.DataFrame]") -> Iterator[Arrays]:
    """The rows of the check as arrays, and at the end some of the first ones with something planted."""
    left, first = MOST_ROWS, None
    for table in tables:
        arrays = predictor.to_arrays(table.head(left), loaded.about)
        first = arrays if first is None else first
        yield arrays
        left -= len(table)
        if left <= 0:
            break
    if first is not None:
        yield from planted.rows({name: values[:PLANTED_ROWS] for name, values in first.items()})


def _write(out: Path, content: bytes, why: str, model_hash: str, compared: Compared | None) -> dict[str, Any]:
    files = {FILE: hashlib.sha256(content).hexdigest()} if content else {}
    about = {
        "format": FORMAT,
        "runtime": "onnx" if content else "keras",
        "why": why,
        "model_hash": model_hash,
        "files": files,
        "checked": compared.content() if compared else None,
    }
    partial = out.with_name(f".{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if content:
        (partial / FILE).write_bytes(content)
    (partial / NAME).write_text(json.dumps(about, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    shutil.rmtree(out, ignore_errors=True)
    partial.rename(out)
    return about
