"""Explain the answers to the rows of a file, in a process of its own: python -m flows.explain.worker REQUEST

REQUEST is a JSON file; the answer, or the error, is written beside it. Rows are read as `ratchet predict` reads them
(flows/predict/), explained some at a time, and written as they come.
"""

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flows.explain import explained
from flows.explain.explained import Settings
from flows.predict import unknown_words, writer
from flows.predict.answering import pieces
from flows.predict.answering.pieces import Reading
from flows.predict.forecast_rows import Ahead
from flows.predict.read_rows import Unseen
from flows.predict.unknown_words import Unknown
from flows.processes import fresh_process, log_watch
from pipelines.answering.predictions import even
from pipelines.config.data import Data
from pipelines.errors import DataError
from pipelines.ingest import Ingest
from pipelines.process.lifeline import follow

TOGETHER = 32  # rows that are explained between two lines about the progress


@dataclass(frozen=True)
class Request:
    """data, ingest: sections of the version's own YAML. folder, serving, background: the model folder, the serving
    files ("" if there are none) and the rows to compare with, all checked. output: a file that is not there yet, alone
    in its folder. pictures: a folder beside it, made if it is needed. sensitive: columns that are not explained."""

    model: str
    version: int
    model_hash: str
    folder: str
    serving: str
    background: str
    data: dict[str, Any]
    ingest: dict[str, Any]
    source: str
    output: str
    pictures: str
    settings: dict[str, Any]
    sensitive: list[str] = field(default_factory=list)
    strict: bool = False


def run(request: Request, folder: Path, environment: dict[str, str], notice: Callable[[str], None]) -> dict[str, Any]:
    """Start the process and read its answer. environment: its variables. notice: is told how far it is. Raises the
    error that it met, as a RatchetError."""
    failed = "The rows could not be explained in a process of their own"
    return fresh_process.asked("flows.explain.worker", asdict(request), folder, environment, failed, notice)


def main(path: Path) -> None:
    follow(os.environ.get("RATCHET_LIFELINE"))
    fresh_process.answered(path, lambda request: explain(Request(**request)))


def explain(request: Request) -> dict[str, Any]:
    """Write the explanations and say what they are of. Raises RatchetError."""
    folder, output = Path(request.folder), Path(request.output)
    data = Data.model_validate(request.data)
    reading = Reading(data, Ingest.model_validate(request.ingest), unknown_words.known(folder), request.strict)
    met = Unknown(data, reading.known, request.strict)
    unseen = Unseen(Path(request.source), data, reading.config, None, met.look)
    ahead = Ahead(unseen, output.parent) if data.kind == "sequence" else None
    tables = _windows(ahead) if ahead else _rows(unseen, reading, met)
    first = next(tables, None)  # what is wrong with the rows is told before the model is loaded
    if first is None:
        raise DataError(f"{request.source} holds no row that can be explained.", "Name a file that has some.")
    explainer = explained.of_version(
        folder,
        Path(request.serving) if request.serving else None,
        pq.read_table(request.background),
        Settings(**request.settings),
        request.sensitive,
        Path(request.pictures),
    )
    schema = explainer.schema(data)
    with writer.writer(output, schema) as out:
        for table in chain([first], tables):
            for batch in explainer.explained(table, schema).to_batches():
                out.write(batch)
            print(f"{log_watch.MARK}{out.rows:,} rows are explained", flush=True)
    return explainer.told() | {
        "rows": out.rows,
        "columns": schema.names,
        "kept": [],
        "ignored": list(unseen.ignored),
        "unknown": met.counts,
        "unknown_words": met.words,
        "left_out": {why: count for why, count in ahead.left_out.items() if count} if ahead else {},
        "added": ahead.added if ahead else 0,
    }


def _rows(unseen: Unseen, reading: Reading, met: Unknown) -> Iterator[pa.Table]:
    """The rows of a table, or images, a few at a time."""
    for piece in pieces.cut(unseen.parts(), TOGETHER):
        table, unknown = reading.read(piece)
        met.add(unknown)
        yield from _few(table)


def _windows(ahead: Ahead) -> Iterator[pa.Table]:
    """The windows of a sequence, a few at a time."""
    for table in even(ahead.batches(), TOGETHER):
        yield from _few(table)


def _few(table: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, len(table), TOGETHER):
        yield table.slice(start, TOGETHER)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
