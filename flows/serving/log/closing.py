"""Closes the lines of finished files into Parquet, and deletes what is too old or too much.

    python -m flows.serving.log.closing <state>/answers

One process at a time does it, with the lowest priority, beside the servers. It may be killed at any moment: a Parquet
file is written under another name, is on the disk before it gets its own, and only then the lines are deleted. Lines
beside a Parquet file of their name have been closed.
"""

import fcntl
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from flows.serving.log import columns, layout, retention
from flows.serving.log.layout import Part

LOWEST = 19  # of priorities


def close_all(answers: Path, today: date) -> list[str]:
    """Close every part that is finished, then keep to the limits. Returns what could not be done, a sentence each.

    Nothing is done while another process does it.
    """
    with _alone(answers) as alone:
        return [problem for folder in layout.models(answers) for problem in _tidied(folder, today)] if alone else []


def _tidied(folder: Path, today: date) -> list[str]:
    """What could not be done for one model."""
    problems = []
    for part in filter(layout.finished, layout.open_parts(folder)):
        try:
            close(part)
        except (OSError, pa.ArrowException) as error:
            problems.append(f"{part.lines} could not be closed: {error}")
    try:
        retention.apply(folder, today)
    except (OSError, ValueError) as error:
        problems.append(f"{folder} could not be held to the limits of `serve:`: {error}")
    return problems


def close(part: Part) -> None:
    """The lines of a part -> its Parquet file. Nobody else may write or close it. Raises OSError or ArrowException;
    then the lines are still there."""
    if not part.closed.exists():
        _write(part)
    part.lines.unlink()


def _write(part: Part) -> None:
    with part.lines.open("rb") as lines:
        shape = columns.Shape()
        about = look(lines, shape)
        if not shape.prediction and not about:
            return  # no line was ever written
        schema = shape.schema().with_metadata({"format": "1", "model": part.folder.name} | about)
        part.closed.parent.mkdir(mode=0o700, exist_ok=True)
        partial = part.closed.with_suffix(".partial")
        try:
            _fill(partial, lines, schema)
            os.replace(partial, part.closed)
        finally:
            partial.unlink(missing_ok=True)  # on a full disk
    _settle(part.closed.parent)


def _fill(path: Path, lines: BinaryIO, schema: pa.Schema) -> None:
    """Write the rows, and wait until the disk has them."""
    lines.seek(0)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for batch in columns.batches(lines, schema):
                writer.write_batch(batch)
        file.flush()
        os.fsync(file.fileno())


def look(lines: BinaryIO, shape: columns.Shape, most: int | None = None) -> dict[str, str]:
    """Add the columns of a file of lines to a shape. most: bytes to look at.

    Returns, as texts, `torn`: how many lines cannot be read, and `gaps`: a JSON list; without those that say nothing.
    """
    lines.seek(0)
    torn, gaps = 0, []
    for line in until(lines, most):
        found = columns.record(line)
        if found is None:
            torn += 1
        elif "gap" in found:
            gaps.append(found["gap"])
        else:
            shape.take(found)
    told = {"torn": str(torn)} if torn else {}
    return told | ({"gaps": json.dumps(gaps)} if gaps else {})


def until(lines: BinaryIO, most: int | None) -> Iterator[bytes]:
    """The lines that begin before this many bytes."""
    seen = 0
    for line in lines:
        if most is not None and seen >= most:
            return
        seen += len(line)
        yield line


@contextmanager
def _alone(answers: Path) -> Iterator[bool]:
    """Whether this process is the only one that closes. The lock dies with it."""
    if not answers.is_dir():
        yield False
        return
    descriptor = os.open(answers / "closing.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


def _settle(folder: Path) -> None:
    """The names in a folder outlive a power failure from here on."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main(answers: Path) -> int:
    os.nice(LOWEST)
    problems = close_all(answers, datetime.now(UTC).date())
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
