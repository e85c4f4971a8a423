"""The registered model: the script that MLflow runs to load it (models-from-code).

It imports nothing of the project. What predicts is the model folder that lies among its artifacts: that folder
is checked against its manifest, then its own predictor.py is loaded. The folder `reading` beside it (reading.py) reads
raw values before that, as `ingest` does; a version of an older Ratchet has none. What is wrong with the rows of a
request is an error of MLflow's: its server answers with that sentence and status 400, and with a traceback to any other
error.
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext
from mlflow.types.schema import Schema


class Served(PythonModel):
    def load_context(self, context: PythonModelContext) -> None:
        folder = Path(context.artifacts["model"])
        code, source = folder / "predictor.py", (folder / "predictor.py").read_bytes()
        wanted = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]["predictor.py"]
        if hashlib.sha256(source).hexdigest() != wanted:  # before any of it is run
            raise ValueError(f"{code} is not what the manifest says")
        about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        _settle(about.get("hardware", {}).get("precision", "float32"))
        self._predictor = _module(code, source).Predictor(folder)
        place = context.artifacts.get("reading")
        self._reading = Reading(Path(place), self._predictor.about) if place else None

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: Any = None) -> pd.DataFrame:
        """Raw rows -> prediction and, for a classification, the probability of each class.

        Raises MlflowException for a column that is absent or a value that does not fit.
        """
        try:
            rows = pd.DataFrame(model_input)
            return self._predictor.predict(self._reading.read(rows) if self._reading else rows)
        except ValueError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from error


def _module(code: Path, source: bytes) -> ModuleType:
    """A module of these bytes. It is not imported from the file: Python would run byte code that lies beside it, which
    nobody has looked at."""
    module = ModuleType(f"ratchet_{code.stem}_{hashlib.sha256(source).hexdigest()[:12]}")
    module.__file__ = str(code)
    exec(compile(source, code, "exec", dont_inherit=True), module.__dict__)  # noqa: S102
    return module


class Reading:
    """Raw values of any type -> those of raw.parquet. about: of the model folder, which columns there are."""

    def __init__(self, folder: Path, about: dict[str, Any]):
        found = json.loads((folder / "reading.json").read_text(encoding="utf-8"))
        self._values = _module(folder / "values.py", (folder / "values.py").read_bytes())
        key = {"key": _hash_key(found["hash_key"])} if found.get("hash_key") else {}
        self._rules = self._values.Rules(**found["rules"], **key)
        self._private = found["rules"].get("private", {})
        self._instants: dict[str, list[str]] = found["instants"]
        past = about.get("past", {"numbers": [], "categories": []})
        self._roles = dict.fromkeys(about.get("numbers", []), "number")
        self._roles |= dict.fromkeys(about.get("categories", []), "category") | dict.fromkeys(
            about.get("dates", []), "date"
        )
        self._past = dict.fromkeys(past["numbers"], "number") | dict.fromkeys(past["categories"], "category")
        if about["kind"] != "image":
            _let_csv_through()

    def read(self, table: pd.DataFrame) -> pd.DataFrame:
        """The rows with the columns that the model knows. Raises ValueError for the first value that does not fit."""
        made = {name: self._joined(name, table) for name in self._instants if name not in table}
        found = {name: self._column(table[name], role) for name, role in self._roles.items() if name in table}
        lists = {name: self._lists(table[name], role) for name, role in self._past.items() if name in table}
        return table.assign(**{name: column for name, column in (made | found | lists).items() if column is not None})

    def _column(self, column: pd.Series, role: str) -> pd.Series:
        if role == "number" and column.dtype == "float64" and not self._marked(column.name):
            return column
        read = self._values.read(_cells(column), role, self._rules, column.name)
        return pd.Series(read, column.index, "float64" if role == "number" else object)

    def _marked(self, name: Any) -> bool:
        """Whether some numbers of a column stand for missing ones, or none is kept as it came."""
        return bool(self._rules.numeric_marks) or name in self._rules.marks or name in self._private

    def _lists(self, column: pd.Series, role: str) -> pd.Series:
        """Of lists; what is none stays, and is refused by the predictor."""
        read = [self._list(row, cell, role, column.name) for row, cell in enumerate(column)]
        return pd.Series(read, column.index, object)

    def _list(self, row: int, cell: Any, role: str, name: Any) -> Any:
        if not isinstance(cell, list | tuple | np.ndarray):
            return cell
        if isinstance(cell, np.ndarray) and cell.dtype == np.float64 and not self._marked(name):
            return cell
        try:
            return [self._values.one(value, role, self._rules, name) for value in cell]
        except self._values.Misfit as error:
            raise ValueError(f"row {row}, column {name!r}: a list holds a value that {error}") from error

    def _joined(self, name: str, table: pd.DataFrame) -> pd.Series | None:
        """A date that is made of several columns; None where one of these is not there."""
        if not set(parts := self._instants[name]) <= set(table):
            return None
        found = []
        for row, cells in enumerate(zip(*(_cells(table[part]) for part in parts), strict=True)):
            try:
                found.append(self._values.joined(cells, self._rules, name))
            except self._values.Misfit as error:
                shown = "the value" if name in self._private else repr(cells)
                raise ValueError(f"row {row}, column {name!r}: {shown} {error}") from error
        return pd.Series(found, table.index, object)


def _hash_key(fingerprint: str) -> bytes:
    """The key that private columns are hashed with, b"" if it is not here: rows that are hashed already can be read."""
    place = Path(os.environ.get("RATCHET_HASH_KEY") or Path(os.environ.get("RATCHET_STATE", ".ratchet")) / "hash-key")
    try:
        key = bytes.fromhex(place.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return b""
    known = f"k{hashlib.sha256(b'ratchet hash key' + key).hexdigest()[:11]}"
    return key if known == fingerprint else b""


def _cells(column: pd.Series) -> list[Any]:
    """One by one, each with its own type: pandas would make a double of a number of 32 bits, with other decimals."""
    if any(short in str(column.dtype).lower() for short in ("float32", "float16", "float[", "halffloat[")):
        half = "16" in str(column.dtype) or "half" in str(column.dtype)
        return list(column.to_numpy("float16" if half else "float32", na_value=float("nan")))
    return list(column.tolist())


def _let_csv_through() -> None:
    """MLflow's server refuses rows in CSV where a column may hold any type. They are text then, as for `ingest`."""

    def lenient(schema: Schema) -> list[Any]:
        return [getattr(one.type, "to_pandas", lambda: np.dtype(object))() for one in schema.inputs]

    Schema.pandas_types = lenient  # type: ignore[method-assign, assignment]


def _settle(precision: str) -> None:
    """Before a model in half precision is loaded: oneDNN stays off, or may use all instructions of the processor.

    Else the process would crash on some processors. Raises RuntimeError where it is too late for that: a model in
    float32 that was loaded before allows oneDNN the instructions alone that it was trained with.
    """
    if precision == "float32":
        return
    if "tensorflow" not in sys.modules:
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
    elif os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0" and os.environ.get("ONEDNN_MAX_CPU_ISA", "ALL") != "ALL":
        import tensorflow as tf

        if not tf.config.list_physical_devices("GPU"):
            raise RuntimeError(
                f"This model computes in {precision}, and oneDNN may use {os.environ['ONEDNN_MAX_CPU_ISA']} at most in "
                "this process, which would crash. Load it in a process of its own, or start this one with "
                "TF_ENABLE_ONEDNN_OPTS=0."
            )


set_model(Served())
