"""What a registered model answers to rows that have been read: a table of answers, with the bits of its evaluation.

The model is loaded by the code that lies in its folder and was registered with it. Rows are computed in batches of the
size that it records, by its own compiled function: the same rows in the same batches give the same bits.
"""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from flows.predict import writer
from flows.predict.answering import arrays, coded
from pipelines.config.data import Data
from pipelines.errors import RatchetError
from pipelines.hardware import device
from pipelines.hardware.device import Choice
from pipelines.model import predictor


def loaded(folder: Path) -> Any:
    """The Predictor of a folder that was checked, by the code that lies there."""
    spec = importlib.util.spec_from_file_location("ratchet_predictor", folder / "predictor.py")
    if spec is None or spec.loader is None:
        raise RatchetError(f"{folder / 'predictor.py'} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Predictor(folder)


def of_folder(folder: Path, data: Data, wanted: str, many: bool) -> "Answerer":
    """The model of a folder that was checked. wanted: auto, cpu or gpu. many: whether it is for so many rows that a
    faster form of its graph is worth a second. Raises TrainingError without such a device."""
    choice = device.prepare(device.of_model(folder, wanted), seed=0)
    return Answerer(folder, data, choice, many and choice.device == "cpu")


def table(values: np.ndarray, rows: pa.Table, classes: list[Any], schema: pa.Schema) -> pa.Table:
    """Answers [rows, classes], or [rows, 1] of a regression, as a table. schema: of writer.schema."""
    kind = schema.field("prediction").type
    chosen = pa.array(classes, kind).take(pa.array(values.argmax(axis=1))) if classes else values[:, 0]
    made = {"prediction": pa.array(chosen, kind)}
    made |= {f"probability_{name}": pa.array(values[:, at], pa.float32()) for at, name in enumerate(classes)}
    columns = [made[name] if name in made else rows[name] for name in schema.names]
    return pa.Table.from_arrays(columns, schema=schema)


class Answerer:
    """A loaded model. schema: of its answers. choice: what it computes on."""

    def __init__(self, folder: Path, data: Data, choice: Choice, fast: bool):
        self.choice = choice
        self._predictor = loaded(folder)
        self._about = self._predictor.about
        self._is_todays = predictor.file_hash(folder / "predictor.py") == predictor.file_hash(Path(predictor.__file__))
        self._coded = coded.of_predictor(self._predictor) if fast and self._is_todays else None
        self._is_compared = False
        self.schema = writer.schema(data, self._about["classes"], {})

    def answer(self, rows: pa.Table) -> pa.Table:
        """The answers to typed rows, with their row_id and, of a sequence, series and time."""
        if not self._is_todays:  # an older one may take other arrays: it makes them itself
            return self._by_pandas(rows)
        return table(self._computed(rows), rows, self._about["classes"], self.schema)

    def _computed(self, rows: pa.Table) -> np.ndarray:
        """float32 [rows, classes], or [rows, 1] for a regression. The faster graph is used if it has the very bits of
        the model's own for the rows that come first."""
        if self._coded is None:
            return self._by_predictor(rows)
        found = self._coded.computed(rows)
        if not self._is_compared:
            wanted, self._is_compared = self._by_predictor(rows.slice(0, self._coded.most)), True
            if not np.array_equal(found[: len(wanted)], wanted, equal_nan=True):
                self._coded = None
                return self._by_predictor(rows)
        return found

    def _by_predictor(self, rows: pa.Table) -> np.ndarray:
        inputs, size = arrays.to_arrays(rows, self._about), self._about["batch_size"]
        return np.concatenate([self._predictor._batch(inputs, at, size) for at in range(0, rows.num_rows, size)])

    def _by_pandas(self, rows: pa.Table) -> pa.Table:
        found = self._predictor.predict(rows.to_pandas())
        for name in self.schema.names:
            if name not in found:  # of a sequence: when, and of which series
                found[name] = rows[name].to_pandas()
        return pa.Table.from_pandas(found, self.schema, preserve_index=False)
