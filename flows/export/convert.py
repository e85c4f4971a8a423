"""Write a model in a format, in a process of its own: python -m flows.export.convert REQUEST

It imports TensorFlow. It also writes what the model itself answers to the rows by which the file is checked. REQUEST is
a JSON file; the answer is written beside it.
"""

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from flows.export import formats
from flows.export.format import Format, NotCarried, sentence
from flows.processes import fresh_process
from flows.project.locks import Notice
from pipelines.config import plugins
from pipelines.hardware import device
from pipelines.model import predictor
from pipelines.model.predictor import Predictor
from pipelines.process import fork_server
from pipelines.process.lifeline import follow

ANSWERS = "answers.npy"
Row = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """model: a checked model folder. format: its name; "" to write nothing. out: the file or folder to write. rows: a
    JSON file."""

    model: str
    model_hash: str
    format: str
    int8: bool
    out: str
    rows: str


def known() -> dict[str, Format]:
    """All formats by name, in the order of their names."""
    return plugins.found(formats, Format)


def run(request: Request, folder: Path, notice: Notice) -> np.ndarray:
    """Write the file, and return the model's own answers to the rows [rows, outputs].

    folder: an empty one to work in. Raises NotCarried, RatchetError.
    """
    environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    environment.pop(fork_server.VARIABLE, None)  # a warm process may have TensorFlow for another arithmetic
    failed = "The model cannot be exported"
    found = fresh_process.run("flows.export.convert", asdict(request), folder, environment, failed, notice)
    if found["refused"]:
        raise NotCarried(found["refused"])
    return np.asarray(np.load(folder / ANSWERS))


def main(path: Path) -> None:
    follow(os.environ.get("RATCHET_LIFELINE"))
    request, folder = Request(**json.loads(path.read_text(encoding="utf-8"))), path.parent
    place = Path(request.model)
    device.prepare(device.of_model(place, "cpu"), seed=0)
    loaded, refused = Predictor(place, request.model_hash), ""
    np.save(folder / ANSWERS, answers(loaded, json.loads(Path(request.rows).read_text(encoding="utf-8"))))
    if request.format:
        try:
            _write(loaded.model, known()[request.format], Path(request.out), request.int8)
        except NotCarried as error:
            refused = str(error)
    (folder / "answer.json").write_text(json.dumps({"refused": refused}), encoding="utf-8")


def _write(model: Any, wanted: Format, out: Path, int8: bool) -> None:
    if wanted.write is None:
        return
    try:
        wanted.write(model, out, int8)
    except NotCarried:
        raise
    except Exception as error:  # of a library, for what a network of a user's own may hold
        raise NotCarried(f"the model cannot be written for {wanted.runtime}: {sentence(error)}") from error


def answers(loaded: Predictor, rows: list[Row]) -> np.ndarray:
    """The model's own answers to rows as reader.py takes them: float32 [rows, outputs]."""
    import pandas as pd

    table = pd.DataFrame([_as_stored(row) for row in rows])
    inputs, size = predictor.to_arrays(table, loaded.about), loaded.about["batch_size"]
    parts = [loaded._batch(inputs, start, size) for start in range(0, len(rows), size)]
    return np.concatenate(parts)


def _as_stored(row: Row) -> Row:
    """A row as a split file has it: a picture as bytes."""
    return {"image": np.array(row["image"], np.uint8).tobytes()} if "image" in row else row


if __name__ == "__main__":
    main(Path(sys.argv[1]))
