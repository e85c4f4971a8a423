"""Predict the rows of a file with a registered model, in a process of its own: python -m flows.predict.worker REQUEST

TensorFlow looks only once at what it is to compute on, and a fresh process has not asked it yet. REQUEST is a JSON
file; the answer, or the error, is written beside it. Rows are read, predicted and written some at a time, in batches
of the size that the model records: the same rows in the same batches give the same bits as in its evaluation.
"""

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from flows.predict import unknown_words, writer
from flows.predict.forecast_rows import Ahead
from flows.predict.kept import Kept, beside
from flows.predict.read_rows import Unseen
from flows.predict.unknown_words import Unknown
from flows.processes import fresh_process, log_watch
from pipelines import evaluate
from pipelines.config.data import Data
from pipelines.errors import DataError, IntegrityError, RatchetError
from pipelines.hardware import device
from pipelines.hardware.device import Hardware
from pipelines.ingest import Ingest
from pipelines.model.predictor import check_manifest
from pipelines.process.lifeline import follow

if TYPE_CHECKING:  # half a second to import, and needed only where rows are at hand
    import pandas as pd

EVERY = 2.0  # seconds from one line about the rows to the next


@dataclass(frozen=True)
class Request:
    """data, ingest: sections of the version's own YAML. folder: the model folder, checked before any of it is run.

    device: auto, cpu or gpu. output: a file that is not there yet, alone in its folder. keep: columns of the
    source that go beside the answers. strict: refuses unknown words.
    """

    model: str
    version: int
    model_hash: str
    folder: str
    data: dict[str, Any]
    ingest: dict[str, Any]
    source: str
    output: str
    device: str
    keep: list[str] = field(default_factory=list)
    strict: bool = False


def run(request: Request, folder: Path, environment: dict[str, str], notice: Callable[[str], None]) -> dict[str, Any]:
    """Start the process and read its answer: rows, columns, kept, ignored, unknown, unknown_words, left_out, added,
    device, hardware.

    environment: its variables. notice: is told what it waits for, and how far it is. Raises the error that it met, as a
    RatchetError.
    """
    failed = "The rows could not be predicted in a process of their own"
    found = fresh_process.run("flows.predict.worker", asdict(request), folder, environment, failed, notice)
    if "error" in found:
        raise _Told(found["error"], found["status"])
    return found


class _Told(RatchetError):
    """An error as the process has told it."""

    def __init__(self, what: str, status: int):
        super().__init__(what)
        self.status = status


def main(path: Path) -> None:
    follow(os.environ.get("RATCHET_LIFELINE"))
    request = Request(**json.loads(path.read_text(encoding="utf-8")))
    try:
        answer = predict(request)
    except RatchetError as error:
        answer = {"error": _told(error, request.version), "status": error.status}
    (path.parent / "answer.json").write_text(json.dumps(answer), encoding="utf-8")


def _told(error: RatchetError, version: int) -> str:
    """The paragraph; where it speaks of the YAML it says which one that is."""
    if isinstance(error, DataError) and ("ingest:" in error.do or "YAML" in error.do):
        return f"{error} Rows are read by the YAML that version {version} was trained with: here correct the input."
    return str(error)


def predict(request: Request) -> dict[str, Any]:
    """Write the predictions and say what they are of. Raises RatchetError."""
    data, output = Data.model_validate(request.data), Path(request.output)
    folder = _checked(request)
    unknown = Unknown(data, unknown_words.known(folder, data), request.strict)
    kept = Kept(data, request.keep, texts=output.suffix.lower() != ".parquet")
    unseen = Unseen(Path(request.source), data, Ingest.model_validate(request.ingest), kept, unknown.look)
    ahead = Ahead(unseen, output.parent) if data.kind == "sequence" else None
    batches = (ahead or unseen).batches()
    batches = chain([next(batches)], batches)  # what is wrong from the start is told before TensorFlow is loaded
    with device.turn(Hardware(device=request.device), f"predictions of {request.model}"):  # type: ignore[arg-type]
        choice = device.prepare(device.of_model(folder, request.device), seed=0)
        predictor = loaded(folder)
        about = {name: str(getattr(request, name)) for name in ("model", "version", "model_hash")}
        schema = writer.schema(data, predictor.about["classes"], about | {evaluate.DEVICE: choice.device})
        told = time.monotonic()
        with writer.writer(output, writer.beside(schema, kept.schema)) as out:
            for batch in _predicted(predictor, batches, schema, kept):
                _check(batch, out.rows, schema.names)
                out.write(batch)
                if time.monotonic() > told + EVERY:
                    told = time.monotonic()
                    print(f"{log_watch.MARK}{out.rows:,} rows are predicted", flush=True)
    return {
        "rows": out.rows,
        "columns": schema.names,
        "kept": kept.schema.names,
        "ignored": list(unseen.ignored),
        "unknown": unknown.counts,
        "unknown_words": unknown.words,
        "left_out": {why: count for why, count in ahead.left_out.items() if count} if ahead else {},
        "added": ahead.added if ahead else 0,
        "device": choice.device,
        "hardware": choice.told,
    }


def _checked(request: Request) -> Path:
    """The model folder. Raises IntegrityError if it is not the one that was asked for."""
    folder = Path(request.folder)
    try:
        check_manifest(folder, request.model_hash)
    except (ValueError, OSError) as error:
        raise IntegrityError(f"Version {request.version} of {request.model} is not loaded: {error}.") from error
    return folder


def loaded(folder: Path) -> Any:
    """The model of a folder that was checked, loaded by the code that lies in it and was registered with it."""
    spec = importlib.util.spec_from_file_location("ratchet_predictor", folder / "predictor.py")
    if spec is None or spec.loader is None:
        raise RatchetError(f"{folder / 'predictor.py'} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Predictor(folder)


def _predicted(
    predictor: Any, batches: Iterator[pa.RecordBatch], schema: pa.Schema, kept: Kept
) -> Iterator[pa.RecordBatch]:
    """The answers, for as many rows at a time as come together, and the kept columns beside them."""
    for piece in evaluate.even(batches, predictor.about["batch_size"]):
        found: pd.DataFrame = predictor.predict(piece.to_pandas())
        for name in schema.names:
            if name not in found:  # of a sequence: when, and of which series
                found[name] = piece[name].to_pandas()
        yield from beside(found, schema, kept).combine_chunks().to_batches()


def _check(batch: pa.RecordBatch, before: int, answers: list[str]) -> None:
    """Raises DataError for an answer that is no number. before: answers that have been written; answers: the columns
    that have them."""
    import numpy as np

    for name in answers:
        if pa.types.is_floating(batch[name].type):
            wrong = ~np.isfinite(batch[name].to_numpy(zero_copy_only=False))
            if wrong.any():
                row = int(wrong.argmax())
                which = f"row {before + row + 1} (row_id {batch['row_id'][row].as_py()})"
                raise DataError(
                    f"The answer to {which} is no finite number: "
                    "its values lie too far from those that the model was trained on.",
                    "Look at that row, and correct it or take it out.",
                )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
