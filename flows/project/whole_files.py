"""Files that a reader sees whole: the old one or the new one."""

import os
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Text in place of what was there: written beside it, under a name of this process, then renamed."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)  # on a full disk, or interrupted: nobody else has a use for it
