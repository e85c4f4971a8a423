"""Files and folders that a reader sees whole: the old one or the new one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import RequestError


def write(path: Path, text: str) -> None:
    """Text in place of what was there: written beside it, under a name of this process, then renamed."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)  # on a full disk, or interrupted: nobody else has a use for it


@contextmanager
def partial(place: Path, advice: str) -> Iterator[Path]:
    """Where a file or folder is made until it is whole: in a folder beside its place, gone with the block.

    Raises RequestError, with this advice, where none can be made there.
    """
    whole = place.resolve()
    try:
        folder = tempfile.TemporaryDirectory(dir=whole.parent, prefix=f".{whole.name}-", suffix=".partial")
    except OSError as error:
        raise RequestError(f"{place} cannot be written: {error.strerror}.", advice) from error
    with folder as name:
        yield Path(name) / whole.name
