"""A trained model in its folder: check it, load it, predict raw rows with it.

This file is copied into every model folder and travels with the model, so it imports nothing of the project.
The folder holds architecture.json, model.weights.h5, model.json (what the rows are), predictor.py, and
manifest.json with the SHA-256 of each. The hash of the manifest is the model's name: its `model_hash`.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:  # half a second to import, and needed only where rows are at hand
    import pandas as pd

FILES = ("architecture.json", "model.json", "model.weights.h5", "predictor.py")


def file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path) -> str:
    """Seal a model folder; returns its model_hash."""
    content = {"format": 1, "files": {name: file_hash(folder / name) for name in FILES}}
    (folder / "manifest.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return model_hash(folder)


def model_hash(folder: Path) -> str:
    return file_hash(folder / "manifest.json")


def check_manifest(folder: Path, expected: str | None = None) -> None:
    """Raises ValueError, naming the file, if the folder is not exactly what its manifest says."""
    path = folder / "manifest.json"
    if not path.is_file():
        raise ValueError(f"{path} is missing")
    if expected is not None and model_hash(folder) != expected:
        raise ValueError(f"{path} is not that of model {expected[:12]}")
    files = _read_manifest(path)
    present = {entry.name for entry in folder.iterdir()} - {"manifest.json", "__pycache__"}
    if present != set(files) or set(files) != set(FILES):
        raise ValueError(f"{folder} holds {sorted(present)}, and its manifest names {sorted(files)}")
    for name, digest in files.items():
        if file_hash(folder / name) != digest:
            raise ValueError(f"{folder / name} is not what the manifest says")


def _read_manifest(path: Path) -> dict[str, str]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is not a manifest") from error


class Predictor:
    """A model folder, loaded. Raises ValueError if it does not match its manifest."""

    def __init__(self, folder: Path, expected: str | None = None):
        check_manifest(folder, expected)
        self.about: dict[str, Any] = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        # The instructions it was trained with give the same bits; TensorFlow looks once, when it is imported.
        if self.about["hardware"].get("precision", "float32") == "float32":  # with others oneDNN crashes under AVX2
            os.environ.setdefault("ONEDNN_MAX_CPU_ISA", self.about["hardware"]["instructions"])
        import keras
        import tensorflow as tf

        self.model = keras.models.model_from_json((folder / "architecture.json").read_text(encoding="utf-8"))
        self.model.load_weights(folder / "model.weights.h5")
        rows = {value.name: tf.TensorSpec(value.shape, value.dtype) for value in self.model.inputs}
        # one program for every number of rows: layer by layer a single row takes ten times as long
        self._answer = tf.function(self._compute, input_signature=[rows], autograph=False)

    def predict(self, table: pd.DataFrame) -> pd.DataFrame:
        """Raw rows -> `prediction` and, for a classification, `probability_<class>`; `row_id` first if it is given.

        table holds the raw feature columns, missing values and unknown categories included. Rows are computed
        in batches of the recorded size: the same rows in the same batches give the same bits. Raises ValueError for
        a column that is absent or a value that does not fit.
        """
        import pandas as pd

        inputs, size = to_arrays(table, self.about), self.about["batch_size"]
        parts = [self._batch(inputs, start, size) for start in range(0, len(table), size)]
        answers = np.concatenate(parts) if parts else np.empty((0, max(1, len(self.about["classes"]))), np.float32)
        result = pd.DataFrame(index=table.index)
        if "row_id" in table:
            result["row_id"] = table["row_id"]
        if not self.about["classes"]:
            return result.assign(prediction=answers[:, 0].astype(np.float64))
        result["prediction"] = np.array(self.about["classes"])[answers.argmax(axis=1)]
        for index, name in enumerate(self.about["classes"]):
            result[f"probability_{name}"] = answers[:, index]
        return result

    def _batch(self, inputs: dict[str, np.ndarray], start: int, size: int) -> np.ndarray:
        batch = {name: values[start : start + size] for name, values in inputs.items()}
        return np.asarray(self._answer(batch))

    def _compute(self, batch: dict[str, Any]) -> Any:
        return self.model(batch, training=False)


def to_arrays(table: pd.DataFrame, about: dict[str, Any]) -> dict[str, np.ndarray]:
    """Raw columns as the arrays that the graph takes; about: kind, shape, numbers, categories, dates, past.

    image: uint8 [rows, height, width, channels]; numbers: float64 [rows, n], NaN where missing; categories: text
    [rows, m], empty where missing; dates: float64 [rows, d], seconds since 1970, NaN where missing. Of a sequence
    past_numbers: float64 [rows, window, n], and past_categories: text [rows, window, m]. Raises ValueError naming what
    is absent or does not fit.
    """
    dates, past = about.get("dates", []), about.get("past", {"window": 0, "numbers": [], "categories": []})
    known = [*past["numbers"], *past["categories"], *about["numbers"], *about["categories"], *dates]
    wanted = ["image"] if about["kind"] == "image" else known
    absent = [name for name in wanted if name not in table]
    if absent:
        raise ValueError(f"the rows lack the columns {absent}")
    if about["kind"] == "image":
        return {"image": _images(table["image"].tolist(), about["shape"])}
    result = {}
    if about["numbers"]:
        result["numbers"] = _numbers(table[about["numbers"]])
    if about["categories"]:
        words = [[_word(value) for value in table[name].tolist()] for name in about["categories"]]
        result["categories"] = np.array(words, object).reshape(len(words), len(table)).T
    if dates:
        result["dates"] = np.column_stack([_seconds(table[name]) for name in dates])
    if past["numbers"]:
        cells = [_doubles(_past(table[name], past["window"]), name) for name in past["numbers"]]
        result["past_numbers"] = np.stack(cells, axis=2)
    if past["categories"]:
        cells = [_past(table[name], past["window"]) for name in past["categories"]]
        words = [[_word(value) for value in found.reshape(-1).tolist()] for found in cells]
        shape = (len(words), len(table), past["window"])
        result["past_categories"] = np.moveaxis(np.array(words, object).reshape(shape), 0, 2)
    return result


def _seconds(column: pd.Series) -> np.ndarray:
    """Instants as seconds since 1970 [rows]: ISO text with an offset, or timestamps with a zone."""
    import pandas as pd

    found = np.full(len(column), np.nan)
    for row, value in enumerate(column.tolist()):
        if value is None or value is pd.NaT or value != value or value == "":
            continue
        try:
            at = pd.Timestamp(value)
        except (ValueError, TypeError) as error:
            raise ValueError(f"row {row}, column {column.name!r}: {value!r} is no date") from error
        if at.tz is None:
            raise ValueError(f"row {row}, column {column.name!r}: {value!r} has no offset, such as +00:00 for UTC")
        found[row] = at.timestamp()
    return found


def _past(column: pd.Series, window: int) -> np.ndarray:
    """A column of lists as [rows, window] of whatever they hold."""
    cells = [cell if isinstance(cell, np.ndarray) else np.asarray(cell, object) for cell in column.tolist()]
    for row, cell in enumerate(cells):
        if cell.shape != (window,):
            raise ValueError(f"row {row}, column {column.name!r}: not a list of the last {window} values")
    if not cells:
        return np.empty((0, window), object)
    if all(cell.dtype == np.float64 for cell in cells):  # as Parquet gives them
        return np.stack(cells)
    return np.stack([cell.astype(object) for cell in cells])


def _doubles(cells: np.ndarray, name: str) -> np.ndarray:
    """Numbers [rows, window], NaN where missing."""
    import pandas as pd

    try:
        values = cells if cells.dtype == np.float64 else np.where(pd.isna(cells), np.nan, cells).astype(np.float64)
    except (ValueError, TypeError) as error:
        raise ValueError(f"column {name!r}: a list holds what is no number ({error})") from error
    if np.isinf(values).any():
        raise ValueError(f"row {np.argwhere(np.isinf(values))[0][0]}, column {name!r}: a value is not a finite number")
    return values


def _images(images: list[Any], shape: list[int]) -> np.ndarray:
    size = int(np.prod(shape))
    for row, image in enumerate(images):
        if not isinstance(image, bytes | bytearray | memoryview) or len(image) != size:
            raise ValueError(f"row {row}, column 'image': not the {size} bytes of an image {shape}")
    return np.frombuffer(b"".join(images), np.uint8).reshape(-1, *shape)


def _numbers(table: pd.DataFrame) -> np.ndarray:
    values = np.column_stack([_column(table[name]) for name in table])
    if np.isinf(values).any():
        row, column = np.argwhere(np.isinf(values))[0]
        raise ValueError(f"row {row}, column {table.columns[column]!r}: {values[row, column]} is not a finite number")
    return values


def _column(column: pd.Series) -> np.ndarray:
    try:
        return column.to_numpy(np.float64, na_value=np.nan)
    except (ValueError, TypeError) as error:
        raise ValueError(f"column {column.name!r} holds what is no number ({error})") from error


def _word(value: Any) -> str:
    """Text as it is; a whole number as `1` however it is stored; empty for a missing value."""
    if isinstance(value, str):
        return value
    if value is None or str(value) == "<NA>" or value != value:  # None, pandas.NA, NaN
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
