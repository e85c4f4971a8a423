"""Predict the rows of a file with a registered model, in a process of its own: python -m flows.predict.worker REQUEST

TensorFlow looks only once at what it is to compute on, and a fresh process has not asked it yet. REQUEST is a JSON
file; the answer, or the error, is written beside it. Rows are read, predicted and written some at a time, in batches
of the size that the model records: the same rows in the same batches give the same bits as in its evaluation. Where
many rows come, processes of its own answer them (flows/predict/answering/), while this one reads files and writes.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa

from flows.predict import writer
from flows.predict.answering import pieces, session, workers
from flows.predict.answering.pieces import Piece
from flows.predict.answering.session import Answered, Asked
from flows.predict.forecast_rows import Ahead
from flows.predict.kept import Kept, beside
from flows.predict.read_rows import Unseen
from flows.predict.unknown_words import Unknown
from flows.processes import fresh_process, log_watch
from pipelines import evaluate
from pipelines.answering.predictions import even
from pipelines.errors import DataError, IntegrityError, RatchetError
from pipelines.hardware import device, gpus
from pipelines.hardware.device import Hardware
from pipelines.model.predictor import check_manifest
from pipelines.process.lifeline import follow

MANY = 8  # pieces, of which several processes take less time, although each has to load TensorFlow
EVERY = 2.0  # seconds from one line about the rows to the next


@dataclass(frozen=True)
class Request:
    """data, ingest: sections of the version's own YAML. folder: the model folder, checked before any of it is run.

    device: auto, cpu or gpu. output: a file that is not there yet, alone in its folder. keep: columns of the
    source that go beside the answers. strict: refuses unknown words. workers: processes that answer, at most; 0 for as
    many as fit. form: the checked files of the smaller form that answers, and form_hash: their serving_hash; "" where
    the version itself does. form_model: the hash of the model folder in them, where ONNX does not carry it.
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
    workers: int = 0
    form: str = ""
    form_hash: str = ""
    form_model: str = ""


def run(request: Request, folder: Path, environment: dict[str, str], notice: Callable[[str], None]) -> dict[str, Any]:
    """Start the process and read its answer: rows, columns, kept, ignored, unknown, unknown_words, left_out, added,
    device, hardware.

    environment: its variables. notice: is told what it waits for, and how far it is. Raises the error that it met, as a
    RatchetError.
    """
    failed = "The rows could not be predicted in a process of their own"
    return fresh_process.asked("flows.predict.worker", asdict(request), folder, environment, failed, notice)


def main(path: Path) -> None:
    follow(os.environ.get("RATCHET_LIFELINE"))
    request = Request(**json.loads(path.read_text(encoding="utf-8")))
    fresh_process.answered(path, lambda _: predict(request), lambda error: _told(error, request.version))


def _told(error: RatchetError, version: int) -> str:
    """The paragraph; where it speaks of the YAML it says which one that is."""
    if isinstance(error, DataError) and ("ingest:" in error.do or "YAML" in error.do):
        return f"{error} Rows are read by the YAML that version {version} was trained with: here correct the input."
    return str(error)


def predict(request: Request) -> dict[str, Any]:
    """Write the predictions and say what they are of. Raises RatchetError."""
    folder, output = _checked(request), Path(request.output)
    form = {} if request.form_model else {"form": request.form, "form_hash": request.form_hash}
    asked = Asked(str(folder), request.data, request.ingest, request.device, request.strict, **form)
    reading, about = asked.reading, json.loads((folder / "model.json").read_text(encoding="utf-8"))
    data, met = reading.data, Unknown(reading.data, reading.known, request.strict)
    kept = Kept(data, request.keep, texts=output.suffix.lower() != ".parquet")
    unseen = Unseen(Path(request.source), data, reading.config, kept, met.look)
    ahead = Ahead(unseen, output.parent) if data.kind == "sequence" else None
    size = about["batch_size"]
    found = _windows(request, asked, ahead, size) if ahead else _rows(request, asked, pieces.cut(unseen.parts(), size))
    with closing(found):
        first = next(found)
        of = {name: str(getattr(request, name)) for name in ("model", "version", "model_hash")}
        schema = writer.schema(data, about["classes"], of | {evaluate.DEVICE: first.choice.device})
        with writer.writer(output, writer.beside(schema, kept.schema)) as out:
            _write(out, chain([first], found), schema, kept, met)
    return {
        "rows": out.rows,
        "columns": schema.names,
        "kept": kept.schema.names,
        "ignored": list(unseen.ignored),
        "unknown": met.counts,
        "unknown_words": met.words,
        "left_out": {why: count for why, count in ahead.left_out.items() if count} if ahead else {},
        "added": ahead.added if ahead else 0,
        "device": first.choice.device,
        "hardware": first.choice.told,
    }


def _rows(request: Request, asked: Asked, source: Iterator[Piece]) -> Generator[Answered]:
    """The answers to the rows of a table or to images, by several processes if that many rows are there."""
    there, source = workers.read_ahead(source, MANY)
    count = min(there, request.workers or (workers.fitting() if there == MANY else 1))
    if count > 1 and not _has_gpu(request.device):
        yield from workers.each(partial(session.answered, asked.text()), source, count)
    else:
        yield from _here(request, asked, map(asked.reading.read, source), there == MANY)


def _windows(request: Request, asked: Asked, ahead: Ahead, size: int) -> Generator[Answered]:
    """The forecasts for the windows of a sequence. Its rows are looked through when they are read."""
    nothing = Unknown(ahead.data, {})
    yield from _here(request, asked, ((rows, nothing) for rows in even(ahead.batches(), size)))


def _here(
    request: Request, asked: Asked, source: Iterator[tuple[pa.Table, Unknown]], many: bool = False
) -> Generator[Answered]:
    """The answers of this process, which waits for its turn where it uses a GPU."""
    source = chain([next(source)], source)  # what is wrong from the start is told before TensorFlow is loaded
    with device.turn(Hardware(device=request.device), f"predictions of {request.model}"):  # type: ignore[arg-type]
        answerer = session.answerer(asked, many)
        for rows, unknown in source:
            yield Answered(answerer.answer(rows), unknown, answerer.choice)


def _has_gpu(wanted: str) -> bool:
    """Whether a GPU may answer: one process has it to itself."""
    return wanted != "cpu" and bool(gpus.usable(gpus.look()))


def _write(out: writer.Writer, found: Iterator[Answered], schema: pa.Schema, kept: Kept, met: Unknown) -> None:
    """Write the answers as they come, with the kept columns beside them, and say now and then how many there are."""
    told = time.monotonic()
    for one in found:
        met.add(one.unknown)
        for batch in beside(one.answers, schema, kept).combine_chunks().to_batches():
            _check(batch, out.rows, schema.names)
            out.write(batch)
        if time.monotonic() > told + EVERY:
            told = time.monotonic()
            print(f"{log_watch.MARK}{out.rows:,} rows are predicted", flush=True)


def _checked(request: Request) -> Path:
    """The model folder that answers. Raises IntegrityError if it is not the one that was asked for."""
    folder = Path(request.form) / "model" if request.form_model else Path(request.folder)
    try:
        check_manifest(folder, request.form_model or request.model_hash)
    except (ValueError, OSError) as error:
        raise IntegrityError(f"Version {request.version} of {request.model} is not loaded: {error}.") from error
    return folder


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
