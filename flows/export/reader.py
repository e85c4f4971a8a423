"""Answers rows with the model in this folder, in plain Python and NumPy, and the runtime that the model's file is for.

    python reader.py example.json

It prints one JSON object for each row of the file: `prediction` and, for a classification, `probability_<class>`. In a
program: `Model().predict(rows)`. A row is an object of columns: numbers; words as text; dates as ISO text with an
offset; null where a value is missing. A column of a window is a list of its last values, the oldest first. A picture is
{"image": ...}, lists of numbers from 0 to 255. features.json says which columns there are.

Where the runtime has no words, dates or missing values, features.json holds the steps from a row to the numbers that
the network takes, and from its answer to the unit of the target. They are the model's own, computed here.
"""

import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parent
NO_PAST: dict[str, Any] = {"window": 0, "numbers": [], "categories": []}
Arrays = dict[str, np.ndarray]
Row = dict[str, Any]


class Model:
    """The model in a folder."""

    def __init__(self, folder: Path = FOLDER):
        self.about = json.loads((Path(folder) / "features.json").read_text(encoding="utf-8"))
        self._runtime = RUNTIMES[self.about["export"]](Path(folder) / self.about["file"])
        self._steps = [_prepared(step) for step in self.about.get("steps", [])]

    def predict(self, rows: Sequence[Row]) -> list[Row]:
        """The answers to rows: a list of objects."""
        classes = self.about["classes"]
        found: list[Row] = []
        for answer in self.answers(rows):
            if classes:
                probabilities = {
                    f"probability_{name}": float(value) for name, value in zip(classes, answer, strict=True)
                }
                found.append({"prediction": classes[int(answer.argmax())], **probabilities})
            else:
                found.append({"prediction": float(answer[0])})
        return found

    def answers(self, rows: Sequence[Row]) -> np.ndarray:
        """float32 [rows, classes], or [rows, 1] in the unit of the target. Raises ValueError for a row that does not
        fit."""
        return self.compute(arrays(rows, self.about))

    def compute(self, given: Arrays) -> np.ndarray:
        """The same for what `arrays` gives."""
        if not self._steps:
            return np.asarray(self._runtime(given))
        values: dict[str, Any] = dict(given)
        for step in self._steps:
            inputs = [_given(one, values) for one in step["inputs"]]
            operation = self._runtime if step["kind"] == NETWORK else OPERATIONS[step["kind"]]
            values[step["name"]] = operation(*inputs, **step["options"])
        return np.asarray(values[self._steps[-1]["name"]])


# ------------------------------------------------------------------ rows -> arrays


def arrays(rows: Sequence[Row], about: dict[str, Any]) -> Arrays:
    """Rows as arrays: image uint8 [rows, height, width, channels]; numbers float64 [rows, n], NaN where missing;
    categories text [rows, m], "" where missing; dates float64 [rows, d], seconds since 1970; past_numbers float64
    [rows, window, n]; past_categories text [rows, window, m]. Raises ValueError, naming row and column."""
    if about["kind"] == "image":
        shape = about["shape"]
        pictures = [_cell(row, place, "image", lambda value: _picture(value, shape)) for place, row in _all(rows)]
        return {"image": np.array(pictures, np.uint8).reshape(-1, *shape)}
    past = about.get("past", NO_PAST)
    read: dict[str, Any] = {
        "numbers": (about["numbers"], _number, np.float64, 0),
        "categories": (about["categories"], _word, object, 0),
        "dates": (about.get("dates", []), _seconds, np.float64, 0),
        "past_numbers": (past["numbers"], _number, np.float64, past["window"]),
        "past_categories": (past["categories"], _word, object, past["window"]),
    }
    return {
        name: _columns(rows, columns, one, kind, window)
        for name, (columns, one, kind, window) in read.items()
        if columns
    }


def _columns(rows: Sequence[Row], columns: list[str], one: Callable[[Any], Any], kind: type, window: int) -> np.ndarray:
    """An array of some columns [rows, columns], or [rows, window, columns]."""

    def cell(value: Any) -> Any:
        if not window:
            return one(value)
        if not isinstance(value, list | tuple) or len(value) != window:
            raise ValueError(f"is no list of the last {window} values")
        return [one(part) for part in value]

    found = [[_cell(row, place, name, cell) for name in columns] for place, row in _all(rows)]
    values: np.ndarray = np.array(found, kind).reshape(len(rows), len(columns), *([window] if window else []))
    return np.moveaxis(values, 1, 2) if window else values


def _all(rows: Sequence[Row]) -> Iterator[tuple[int, Row]]:
    return enumerate(rows, 1)


def _cell(row: Row, place: int, name: str, read: Callable[[Any], Any]) -> Any:
    if not isinstance(row, dict) or name not in row:
        raise ValueError(f"row {place} lacks the column {name!r}")
    try:
        return read(row[name])
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"row {place}, column {name!r}: {error}") from error


def _number(value: Any) -> float:
    if value is None or value == "":
        return math.nan
    found = float(value)
    if math.isinf(found):
        raise ValueError(f"{value!r} is not a finite number")
    return found


def _word(value: Any) -> str:
    """Text as it is, a whole number as `1` however it is stored, "" for a missing value."""
    if isinstance(value, str):
        return value
    if value is None or value != value:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _seconds(value: Any) -> float:
    if value is None or value == "":
        return math.nan
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no date")
    found = datetime.fromisoformat(value[:-1] + "+00:00" if value.endswith("Z") else value)
    if found.tzinfo is None:
        raise ValueError(f"{value!r} has no offset, such as +00:00 for UTC")
    return found.timestamp()


def _picture(value: Any, shape: list[int]) -> np.ndarray:
    found = np.array(value)
    fits = found.shape in (tuple(shape), tuple(shape[:2]) if shape[2] == 1 else None, (math.prod(shape),))
    if not fits or found.dtype.kind not in "iuf":
        raise ValueError(f"is no picture of {shape[0]} x {shape[1]} x {shape[2]} numbers")
    if ((found < 0) | (found > 255) | (found != np.floor(found))).any():
        raise ValueError("has values that are no whole numbers from 0 to 255")
    return found.astype(np.uint8).reshape(shape)


# ------------------------------------------------------------------ the steps of features.json

NETWORK = "network"


def _prepared(step: dict[str, Any]) -> dict[str, Any]:
    """A step whose constants are arrays, and whose words have places."""
    inputs = [_constant(one) if isinstance(one, dict) else one for one in step["inputs"]]
    options = dict(step.get("options", {}))
    if "words" in options:
        options["words"] = {word: place for place, word in enumerate(options["words"], 1)}
    return {**step, "inputs": inputs, "options": options}


def _constant(one: dict[str, Any]) -> Any:
    return np.array(one["constant"], one["dtype"]) if one["dtype"] else one["constant"]


def _given(one: Any, values: dict[str, Any]) -> Any:
    """An input of a step: of a name the value, of a list of names the values."""
    if isinstance(one, str):
        return values[one]
    return [values[name] for name in one] if isinstance(one, list) else one


def _places(values: np.ndarray, words: dict[str, int], one_hot: bool) -> np.ndarray:
    """The place of each word, 0 for one that is not known; one_hot: as a vector, in place of the last dimension."""
    flat = [words.get(word, 0) for word in values.reshape(-1).tolist()]
    places = np.array(flat, np.int64).reshape(values.shape)
    if not one_hot:
        return places
    found = np.zeros((*places.shape[:-1], len(words) + 1), np.float32)
    np.put_along_axis(found, places, 1.0, axis=-1)
    return found


def _item(values: np.ndarray, index: list[Any]) -> np.ndarray:
    parts = [slice(*one) if isinstance(one, list) else Ellipsis if one == "..." else one for one in index]
    return values[tuple(parts)]


def _added(*values: Any) -> Any:
    """Two values, or a list of them."""
    terms = values[0] if isinstance(values[0], list) else values
    return sum(terms[1:], start=terms[0])


OPERATIONS: dict[str, Callable[..., Any]] = {
    "Add": _added,
    "Cast": lambda values, dtype: values.astype(dtype),
    "Clip": lambda values, x_min, x_max: np.clip(values, x_min, x_max),
    "Concatenate": lambda parts, axis: np.concatenate(parts, axis),
    "Cos": np.cos,
    "Cumsum": lambda values, axis: np.cumsum(values, axis, dtype=values.dtype),
    "Divide": np.divide,
    "Equal": np.equal,
    "ExpandDims": lambda values, axis: np.expand_dims(values, axis),
    "GetItem": _item,
    "Isnan": np.isnan,
    "LogicalAnd": np.logical_and,
    "LogicalNot": np.logical_not,
    "Max": lambda values, axis, keepdims: np.max(values, axis, keepdims=keepdims),
    "Maximum": np.maximum,
    "Mod": np.mod,
    "Multiply": np.multiply,
    "RepeatVector": lambda values, n: np.repeat(values[:, None], n, axis=1),
    "Rescaling": lambda values, scale, offset: values * np.float32(scale) + np.float32(offset),
    "Sin": np.sin,
    "StringLookup": _places,
    "Subtract": np.subtract,
    "Sum": lambda values, axis, keepdims: np.sum(values, axis, keepdims=keepdims),
    "Take": lambda values, indices, axis: np.take(values, indices, axis),
    "TrueDivide": np.divide,
    "Where": np.where,
    "ZerosLike": np.zeros_like,
}


# ------------------------------------------------------------------ runtimes


def _litert(path: Path) -> Callable[[Any], Any]:
    """The network alone takes one row at a time: its shapes are fixed, as small devices want it."""
    from ai_edge_litert.interpreter import Interpreter

    network = Interpreter(model_path=str(path), num_threads=1)
    network.allocate_tensors()
    (taken,), (given,) = network.get_input_details(), network.get_output_details()

    def run(values: Any) -> np.ndarray:
        found = np.empty((len(values), *given["shape"][1:]), np.float32)
        for row, value in enumerate(np.asarray(values, np.float32)):
            network.set_tensor(taken["index"], value[None])
            network.invoke()
            found[row] = network.get_tensor(given["index"])[0]
        return found

    return run


def _onnx(path: Path) -> Callable[[Any], Any]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # more only cost time in small models
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return lambda values: session.run(None, values)[0]


def _saved_model(path: Path) -> Callable[[Any], Any]:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    return lambda values: np.asarray(loaded.serve({name: tf.constant(value) for name, value in values.items()}))


def _keras(path: Path) -> Callable[[Any], Any]:
    import keras
    import tensorflow as tf

    model = keras.saving.load_model(path)
    shapes = {value.name: tf.TensorSpec(value.shape, value.dtype) for value in model.inputs}

    def answer(values: Any) -> Any:
        return model(values, training=False)

    compiled = tf.function(answer, input_signature=[shapes], autograph=False)  # one row takes a tenth of the time
    return lambda values: np.asarray(compiled(values))


Runtime = Callable[[Path], Callable[[Any], Any]]
RUNTIMES: dict[str, Runtime] = {"litert": _litert, "onnx": _onnx, "saved_model": _saved_model, "keras": _keras}


def main(arguments: list[str]) -> None:
    if len(arguments) != 1:
        sys.exit("Run it with a file of rows: python reader.py example.json")
    try:
        rows = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
        found = Model().predict(rows if isinstance(rows, list) else [rows])
    except (OSError, ValueError, ImportError) as error:
        sys.exit(f"error: {error}")
    for answer in found:
        print(json.dumps(answer, ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1:])
