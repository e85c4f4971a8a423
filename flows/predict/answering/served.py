"""What the smaller form of a version answers that a server answers with: its ONNX file, computed by ONNX Runtime."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from flows.predict import writer
from flows.predict.answering import answers, arrays
from flows.serving.engine.onnx import Sessions
from pipelines.config.data import Data
from pipelines.hardware.device import Choice


class Served:
    """As answers.Answerer. schema: of its answers. choice: what it computes on."""

    def __init__(self, folder: Path, form: Path, form_hash: str, data: Data):
        """folder: of the version's model; form: serving.json of the smaller form and what it names. Raises
        IntegrityError if a file is not the recorded one."""
        self._about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        variant = json.loads((form / "serving.json").read_text(encoding="utf-8")).get("variant", "a smaller form")
        self._engine = Sessions().engine(form, form_hash)
        self.choice = Choice("cpu", 1, "float32", "off", f"cpu: {variant}, by ONNX Runtime")
        self.schema = writer.schema(data, self._about["classes"], {})

    def answer(self, rows: pa.Table) -> pa.Table:
        """The answers to typed rows, with their row_id and, of a sequence, series and time."""
        inputs, size = arrays.to_arrays(rows, self._about), self._about["batch_size"]
        parts = [
            self._engine.answers(
                {name: np.ascontiguousarray(values[at : at + size]) for name, values in inputs.items()}
            )
            for at in range(0, rows.num_rows, size)
        ]
        return answers.table(np.concatenate(parts), rows, self._about["classes"], self.schema)
