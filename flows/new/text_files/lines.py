"""The lines of a text file by which it is judged: its beginning, and its end."""

import io
from pathlib import Path

from pipelines.readers import compressed, text_errors

HEAD_BYTES = 1 << 20  # that are looked at for the delimiter and the names
TAIL_BYTES = 1 << 16  # and for lines below the table
ALIGNED = 4  # bytes: no character of any encoding is cut at a multiple of it, in a file that begins with one


def of_text(text: str, cut: bool) -> list[tuple[int, str]]:
    """Each line with its number. cut: whether the last one may not be whole; it is left out if there are others."""
    found = list(enumerate(io.StringIO(text, newline=""), 1))
    return found[:-1] if cut and len(found) > 1 else found


def last(path: Path, encoding: str) -> list[str]:
    """The last lines of a file, whole ones, with their ends."""
    with compressed.opened(path) as file:
        before, block, size = b"", file.read(TAIL_BYTES), 0
        while following := file.read(TAIL_BYTES):
            before, block, size = block, following, size + len(block)
    content, start = before + block, size - len(before)
    shift = -start % ALIGNED
    text = content[shift:].decode(text_errors.codec(encoding), errors="ignore")
    found = list(io.StringIO(text, newline=""))
    return found[1:] if start else found
