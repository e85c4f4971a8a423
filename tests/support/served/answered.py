"""Answered rows for the log, and what is in it."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from flows.serving.answer import Answer
from flows.serving.engine.loaded import Answered
from flows.serving.log import reading
from flows.serving.log.writer import Log
from flows.serving.rows.batch import Batch
from flows.serving.version import Version

KEY = b"a key of a test, of thirty-two b"
NOON = datetime(2026, 11, 29, 12, tzinfo=UTC)
SERVE = {"log": True, "sample": 1.0, "keep_days": 180, "largest_gb": 5.0, "sensitive": "leave_out"}
EVER = (date(2000, 1, 1), date(2100, 1, 1))


def version(number: int = 7, private: Sequence[str] = (), **serve: Any) -> Version:
    """private: the sensitive columns."""
    return Version(
        model="shop",
        number=number,
        model_hash=f"{number:064x}",
        serving_hash=None,
        runtime="onnx",
        why="",
        since="2026-11-01T00:00:00+00:00",
        folder=Path("nowhere"),
        serve=SERVE | serve,
        sensitive=tuple(private),
        columns={},
    )


def answered(rows: Sequence[dict[str, Any]], by: Version, answer: Answer | None = None) -> Answered:
    """Every row is answered alike."""
    said = answer or Answer("yes", {"no": 0.25, "yes": 0.75})
    return Answered(by, [said] * len(rows), Batch({}, len(rows), [()] * len(rows), list(rows)))


def write(
    log: Log, rows: Sequence[dict[str, Any]], by: Version | None = None, at: datetime = NOON, **more: Any
) -> bool:
    """Whether rows are logged. more: `names`, their ids; `answer`."""
    names = more.pop("names", [f"row {place}" for place in range(len(rows))])
    return log.write(answered(rows, by or version(), **more), names, at)


def kept(answers: Path, first: date = EVER[0], last: date = EVER[1]) -> list[dict[str, Any]]:
    """The rows in the log of the model `shop`."""
    with reading.AnsweredRows(answers, "shop", first, last) as found:
        return [row for batch in found.batches() for row in batch.to_pylist()]


def ids(answers: Path) -> list[str]:
    return [row["id"] for row in kept(answers)]
